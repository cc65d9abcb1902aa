"""Messages that wait for delivery in the order of their keys.

Guarantees (Pub/Sub documentation, "Order messages"): messages of one key are delivered in the
order of their publishing; while one of them is out, later ones go only to the stream that holds
it, and to nobody if it was pulled by a single call; a message that comes back brings all later
ones of its key back with it. Keys are independent of each other, and take turns.

Invariant: whatever is out of a key is older than whatever waits of it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from buildflow_nb.local_cloud.pubsub.lease import Holder
from buildflow_nb.local_cloud.pubsub.message import Message

__all__ = ("OrderedBacklog",)


class _Hold:
    """The messages of one key that are out, by ack id, and the stream that has them."""

    __slots__ = ("holder", "out")

    def __init__(self, holder: Holder | None) -> None:
        self.holder = holder
        self.out: dict[str, int] = {}


class OrderedBacklog:
    """A queue for each key; times are the clock's seconds."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Message]] = {}
        self._holds: dict[str, _Hold] = {}
        self._paused: dict[str, float] = {}
        self._alarms: list[tuple[float, str]] = []
        # Keys that may be taken from now: by anybody, or by the stream that holds them. The
        # dictionaries are used as sets that remember their order.
        self._free: dict[str, None] = {}
        self._bound: dict[Holder, dict[str, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __iter__(self) -> Iterator[Message]:
        for queue in self._waiting.values():
            yield from queue

    def add(self, messages: Iterable[Message]) -> None:
        """Queue messages that are newer than all others of their keys."""
        for message in messages:
            queue = self._waiting.get(message.key)
            if queue is None:
                queue = self._waiting[message.key] = deque()
            queue.append(message)
            if len(queue) == 1:
                self._offer(message.key)

    def put_back(self, messages: Sequence[Message], ready_at: float) -> None:
        """Queue messages of one key again, in their old places, from `ready_at` on."""
        key = messages[0].key
        queue = self._waiting.setdefault(key, deque())
        queue.extendleft(sorted(messages, key=lambda message: -message.seq))
        self._paused[key] = max(ready_at, self._paused.get(key, ready_at))
        heapq.heappush(self._alarms, (self._paused[key], key))
        self._withdraw(key)

    def wake(self, now: float) -> bool:
        """Make ready the keys that have waited long enough, and tell whether there was any."""
        woken = False
        while self._alarms and self._alarms[0][0] <= now:
            _, key = heapq.heappop(self._alarms)
            if self._paused.get(key, now + 1) <= now:
                del self._paused[key]
                self._offer(key)
                woken = True
        return woken

    def take(self, limit: int, max_bytes: int, holder: Holder | None) -> list[Message]:
        """Remove messages that this holder may have, key by key.

        It stops at `limit` messages, and before the message that would exceed `max_bytes`,
        though never before the first.
        """
        taken: list[Message] = []
        bound = self._bound.get(holder, {}) if holder is not None else {}
        for key in [*bound, *self._some_free(limit)]:
            queue = self._waiting[key]
            while queue and len(taken) < limit:
                if queue[0].size > max_bytes and taken:
                    return taken
                max_bytes -= queue[0].size
                taken.append(queue.popleft())
            if not queue:
                del self._waiting[key]
                self._withdraw(key)
            if len(taken) >= limit:
                break
        return taken

    def hold(
        self, ack_ids: Sequence[str], messages: Sequence[Message], holder: Holder | None
    ) -> None:
        """Note that messages which were just taken are out."""
        for ack_id, message in zip(ack_ids, messages, strict=True):
            hold = self._holds.get(message.key)
            if hold is None:
                hold = self._holds[message.key] = _Hold(holder)
            hold.out[ack_id] = message.seq
        for key in {message.key for message in messages}:
            self._withdraw(key)
            self._offer(key)

    def release(self, key: str, ack_id: str) -> bool:
        """Note that a message is no longer out, and tell whether this frees its key."""
        hold = self._holds.get(key)
        if hold is None or hold.out.pop(ack_id, None) is None or hold.out:
            return False
        self._withdraw(key)
        del self._holds[key]
        self._offer(key)
        return True

    def later(self, key: str, seq: int) -> list[str]:
        """Give the ack ids of a key's messages that are out and newer than `seq`."""
        hold = self._holds.get(key)
        return [] if hold is None else [ack for ack, out in hold.out.items() if out > seq]

    def expire(self, before: float) -> list[Message]:
        """Remove the waiting messages that were published before a time since the epoch."""
        dropped = []
        for key, queue in list(self._waiting.items()):
            while queue and queue[0].published < before:
                dropped.append(queue.popleft())
            if not queue:
                del self._waiting[key]
                self._withdraw(key)
        return dropped

    def clear(self) -> None:
        """Remove everything, and forget what is out."""
        for part in (self._waiting, self._holds, self._paused, self._free, self._bound):
            part.clear()
        self._alarms.clear()

    def _some_free(self, limit: int) -> list[str]:
        return [key for key, _ in zip(self._free, range(limit), strict=False)]

    def _offer(self, key: str) -> None:
        """List a key where those look who may take from it, if anybody may."""
        if key not in self._waiting or key in self._paused:
            return
        hold = self._holds.get(key)
        if hold is None:
            self._free[key] = None
        elif hold.holder is not None:
            self._bound.setdefault(hold.holder, {})[key] = None

    def _withdraw(self, key: str) -> None:
        self._free.pop(key, None)
        hold = self._holds.get(key)
        if hold is not None and hold.holder is not None:
            bound = self._bound.get(hold.holder)
            if bound is not None:
                bound.pop(key, None)
                if not bound:
                    del self._bound[hold.holder]
