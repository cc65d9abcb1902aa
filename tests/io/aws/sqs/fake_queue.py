"""A queue in memory that keeps leases by a clock which tests turn, as SQS does by its own."""

from __future__ import annotations

import threading
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
        self.lease_s = lease_s
        self.fifo = False
        self.waits: list[int] = []
        self.calls: Counter[str] = Counter()
        self.faults: dict[str, list[Exception]] = {}
        self.before_answer = threading.Event()  # a receive call answers when this is set
        self.before_answer.set()
        self.asked = threading.Event()
        self.on_delete = lambda: None
        self.slow_s = 0.0  # by which each call turns the clock
        self._now = now
        self._forgiving = forgiving
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def put(self, *bodies: str) -> None:
        """Send messages; each body is the message's id, too."""
        with self._lock:
            self._kept.update({body: _Kept(body) for body in bodies})

    def left(self) -> list[str]:
        """The bodies of all that were not deleted."""
        with self._lock:
            return list(self._kept)

    def visible_in(self, body: str) -> float:
        """Seconds until a message is delivered to whoever asks."""
        with self._lock:
            return self._kept[body].visible_at - self._now()

    def receive(self, wait_s: int) -> list[Message]:
        self._call("receive")
        self.waits.append(wait_s)
        with self._lock:
            now = self._now()
            found = [(i, m) for i, m in self._kept.items() if m.visible_at <= now][:BATCH]
            for i, message in found:
                message.times += 1
                message.handle = f"{i} #{message.times}"
                message.visible_at = now + self.lease_s
            answer = [Message(i, m.handle, m.body, m.times) for i, m in found]
        self.asked.set()
        self.before_answer.wait(10)
        return answer

    def delete(self, handles):
        self._call("delete")
        self.on_delete()
        return self._each(handles, lambda i, _: self._kept.pop(i))

    def change_visibility(self, handles):
        self._call("change_visibility")

        def hidden(i: str, handle: str) -> None:
            self._kept[i].visible_at = self._now() + handles[handle]

        return self._each(handles, hidden)

    def count(self) -> Counts:
        self._call("count")
        with self._lock:
            hidden = sum(m.visible_at > self._now() for m in self._kept.values())
            return Counts(len(self._kept) - hidden, hidden, 0)

    def _call(self, kind: str) -> None:
        with self._lock:
            self.calls[kind] += 1
            self._now.at += self.slow_s
            if faults := self.faults.get(kind):
                raise faults.pop(0)

    def _each(self, handles, change):
        failures: dict[int, Exception] = {}
        with self._lock:
            for place, handle in enumerate(handles):
                i = handle.partition(" #")[0]
                kept = self._kept.get(i)
                if kept is not None and kept.handle == handle:
                    change(i, handle)
                elif not self._forgiving:
                    failures[place] = RefusedError("too old")
        return failures
