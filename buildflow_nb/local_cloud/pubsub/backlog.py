"""Messages that wait for delivery and have no order to keep.

New messages queue in a deque, a batch at a time. Messages that came back are older than all of
these and go first, by their number; those in back-off wait in a heap until their time.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator

from buildflow_nb.local_cloud.pubsub.message import Message

__all__ = ("Backlog",)


class Backlog:
    """A queue of messages; times are the clock's seconds."""

    def __init__(self) -> None:
        self._new: deque[Message] = deque()
        self._returned: list[tuple[int, Message]] = []
        self._delayed: list[tuple[float, int, Message]] = []

    def __bool__(self) -> bool:
        return bool(self._new or self._returned or self._delayed)

    def __iter__(self) -> Iterator[Message]:
        yield from (message for _, message in self._returned)
        yield from (message for _, _, message in self._delayed)
        yield from self._new

    def add(self, messages: Iterable[Message]) -> None:
        """Queue messages that are newer than all others."""
        self._new.extend(messages)

    def put_back(self, message: Message, ready_at: float) -> None:
        """Queue a message again, in its old place, from `ready_at` on."""
        heapq.heappush(self._delayed, (ready_at, message.seq, message))

    def wake(self, now: float) -> bool:
        """Make ready what has waited long enough, and tell whether there was any."""
        woken = False
        while self._delayed and self._delayed[0][0] <= now:
            _, seq, message = heapq.heappop(self._delayed)
            heapq.heappush(self._returned, (seq, message))
            woken = True
        return woken

    def take(self, limit: int, max_bytes: int, *, strict: bool = False) -> list[Message]:
        """Remove the oldest ready messages.

        It stops at `limit` messages, and before the message that would exceed `max_bytes`,
        though never before the first unless `strict`.
        """
        taken: list[Message] = []
        returned, new = self._returned, self._new
        while len(taken) < limit and (returned or new):
            message = returned[0][1] if returned else new[0]
            max_bytes -= message.size
            if max_bytes < 0 and (taken or strict):
                break
            if returned:
                heapq.heappop(returned)
            else:
                new.popleft()
            taken.append(message)
        return taken

    def expire(self, before: float) -> list[Message]:
        """Remove the waiting messages that were published before a time since the epoch."""
        dropped = []
        while self._returned and self._returned[0][1].published < before:
            dropped.append(heapq.heappop(self._returned)[1])
        while self._new and self._new[0].published < before:
            dropped.append(self._new.popleft())
        return dropped

    def clear(self) -> None:
        """Remove everything."""
        self._new.clear()
        self._returned.clear()
        self._delayed.clear()
