"""A queue in memory that keeps leases by a clock which tests turn, as SQS does by its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from buildflow_nb.io.aws.sqs.client import Counts, Message, RefusedError
from tests.io.clock import ManualClock

__all__ = ("FakeQueue",)

BATCH = 10


@dataclass
class _Kept:
    body: str
    visible_at: float = 0.0
    handle: str = ""
    times: int = 0


class FakeQueue:
    """Stands for a `QueueClient`; a call that finds nothing answers at once.

    `forgiving` makes it take deletes by handles that are too old, and delete nothing, as standard
    queues of AWS do; else it refuses them, as FIFO queues and emulators do.
    """

    name = "fake"

    def __init__(self, now: ManualClock, lease_s: int = 30, *, forgiving: bool = False) -> None:
        self.lease = lease_s
        self.fifo = False
        self.waits: list[int] = []
        self.calls: Counter[str] = Counter()
        self.faults: dict[str, list[Exception]] = {}
        self.closed = asyncio.Event()
        self.deleting = asyncio.Event()
        self.before_answer = asyncio.Event()  # a receive call answers when this is set
        self.before_answer.set()
        self.asked = asyncio.Event()
        self.on_delete = lambda: None
        self.slow_s = 0.0  # by which each call turns the clock
        self._now = now
        self._forgiving = forgiving
        self._kept: dict[str, _Kept] = {}

    def put(self, *bodies: str) -> None:
        """Send messages; each body is the message's id, too."""
        self._kept.update({body: _Kept(body) for body in bodies})

    def left(self) -> list[str]:
        """The bodies of all that were not deleted."""
        return list(self._kept)

    def visible_in(self, body: str) -> float:
        """Seconds until a message is delivered to whoever asks."""
        return self._kept[body].visible_at - self._now()

    def taken(self) -> list[Message]:
        """What a call receives right now, by whoever it is."""
        now = self._now()
        found = [(i, m) for i, m in self._kept.items() if m.visible_at <= now][:BATCH]
        for i, message in found:
            message.times += 1
            message.handle = f"{i} #{message.times}"
            message.visible_at = now + self.lease
        return [Message(i, m.handle, m.body, m.times) for i, m in found]

    async def lease_s(self) -> int:
        return self.lease

    async def receive(self, wait_s: int) -> list[Message]:
        self._call("receive")
        self.waits.append(wait_s)
        answer = self.taken()
        self.asked.set()
        await asyncio.sleep(0)
        await self.before_answer.wait()
        return answer

    async def delete(self, handles):
        self._call("delete")
        self.deleting.set()
        await asyncio.sleep(0)
        self.on_delete()
        return self._each(handles, lambda i, _: self._kept.pop(i))

    async def change_visibility(self, handles):
        self._call("change_visibility")
        await asyncio.sleep(0)

        def hidden(i: str, handle: str) -> None:
            self._kept[i].visible_at = self._now() + handles[handle]

        return self._each(handles, hidden)

    async def count(self) -> Counts:
        self._call("count")
        hidden = sum(m.visible_at > self._now() for m in self._kept.values())
        return Counts(len(self._kept) - hidden, hidden, 0)

    async def close(self) -> None:
        self.closed.set()

    def _call(self, kind: str) -> None:
        self.calls[kind] += 1
        self._now.at += self.slow_s
        if faults := self.faults.get(kind):
            raise faults.pop(0)

    def _each(self, handles, change):
        failures: dict[int, Exception] = {}
        for place, handle in enumerate(handles):
            i = handle.partition(" #")[0]
            kept = self._kept.get(i)
            if kept is not None and kept.handle == handle:
                change(i, handle)
            elif not self._forgiving:
                failures[place] = RefusedError("too old")
        return failures
