"""Elements that failed and wait to be tried again, while their neighbours go on.

Each waits with exponential back-off and jitter, then goes back to the end of the inbox.
"""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

from buildflow_nb.runtime.clock import Clock, backoff_s
from buildflow_nb.runtime.inbox import Inbox, Load

__all__ = ("Retries",)


class Retries:
    """A heap of loads by the time at which they are due; used on the loop only."""

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self._heap: list[tuple[float, int, Load]] = []
        self._order = count()
        self._changed = asyncio.Event()

    def add(self, load: Load) -> None:
        """Let a load that was tried `load.tries` times wait its turn."""
        due = self._clock.now() + backoff_s(load.tries)
        heapq.heappush(self._heap, (due, next(self._order), load))
        self._changed.set()

    async def run(self) -> None:
        """Put loads back when they are due, for ever."""
        while True:
            if not self._heap:
                self._changed.clear()
                await self._changed.wait()
            wait = self._heap[0][0] - self._clock.now()
            if wait > 0:
                await self._clock.sleep(wait)
            else:
                self._inbox.put(heapq.heappop(self._heap)[2])

    def clear(self) -> list[Load]:
        """Take everything that still waits."""
        left = [load for _, _, load in self._heap]
        self._heap.clear()
        return left
