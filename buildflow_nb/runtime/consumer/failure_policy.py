"""What becomes of elements that failed: tried again, dead-lettered, or given back.

An error of the user's code may pass, so the element is tried `retries` times more, with back-off,
while its neighbours go on, and then goes to the end of the inbox. An element that cannot be
converted, or that the sink refuses, never will. Those that are out of tries go to the dead-letter
sink, or without one back to the source; in all cases they stay in the ledger.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Mapping
from itertools import count

from buildflow_nb.core.errors import ConversionError
from buildflow_nb.runtime.concurrency.backoff import backoff_s
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.consumer.inbox import Chunk, Inbox, PulledBatch
from buildflow_nb.runtime.consumer.outcome import NOT_TRACED
from buildflow_nb.runtime.observability.failures import Fault
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.visits import Visit
from buildflow_nb.runtime.sinks.dead_letters import DeadLetters, fate_of
from buildflow_nb.runtime.sinks.push import Faults

__all__ = ("Done", "FailurePolicy", "Retries")

EXITS = (
    "sys.exit() in a processor fails its element and ends nothing; to end the run, stop it from "
    "outside (app.handle.stop(), Ctrl-C), or raise in setup()"
)
TURN = 50  # failures that are written down before others get their turn

Done = Callable[[int, list[object], bool], None]
_GivenUp = list[tuple[Fault, PulledBatch]]
"""Elements that failed for good, each with itself as it was pulled."""


class FailurePolicy:
    """Deals with the faults of one consumer; used on the loop only.

    `done` is called with how many elements are dealt with, their receipts, and whether the source
    shall forget them.
    """

    def __init__(
        self, retries: Retries, dead: DeadLetters, ledger: Ledger, tries: int, done: Done
    ) -> None:
        self._retries = retries
        self._dead = dead
        self._ledger = ledger
        self._tries = tries
        self._done = done
        # Bounded by the elements between pull and settle, which the consumer bounds.
        self._failed: asyncio.Queue[_GivenUp] = asyncio.Queue()
        self._in_hand: _GivenUp = []

    def decide(
        self,
        chunk: Chunk,
        faults: Faults,
        unpushed: frozenset[int],
        visits: Mapping[int, Visit] = NOT_TRACED,
    ) -> None:
        """Try again what may pass the next time; `unpushed` elements the sink refused."""
        failed: _GivenUp = []
        for i, error in faults.items():
            batch, k = chunk.find(i)
            visit = visits.get(i)
            hopeless = isinstance(error, ConversionError) or i in unpushed
            if not hopeless and batch.tries < self._tries:
                self._ledger.metrics.retried += 1
                if visit is not None:
                    visit.said_fate = "tried again"
                again = None if visit is None else visit.again
                self._retries.add(batch.for_retry(k, again))
                continue
            origin = batch.origin(k) if batch.origin is not None else None
            fault = Fault(batch.items[k], error, batch.tries + 1, origin, visit=visit)
            failed.append((fault, batch.part(k, k + 1)))
        if failed:
            self._failed.put_nowait(failed)

    async def run(self) -> None:
        """Write what failed for good, for ever."""
        while True:
            failed = self._in_hand = await self._failed.get()
            written = await self._dead.write([fault for fault, _ in failed])
            for number, (fault, batch) in enumerate(failed, 1):
                self._ledger.fail(fault, fate_of(written=written, given_back=bool(batch.receipts)))
                if isinstance(fault.error, SystemExit):
                    self._ledger.log.add("WARNING", EXITS)
                if number % TURN == 0:
                    await asyncio.sleep(0)  # a flood of failures must not starve the loop
            receipts = [receipt for _, batch in failed for receipt in batch.receipts or ()]
            self._in_hand = []
            self._done(len(failed), receipts, written)

    def left(self) -> list[PulledBatch]:
        """What was never written, after `run` was cancelled."""
        found, self._in_hand = self._in_hand, []
        while not self._failed.empty():
            found += self._failed.get_nowait()
        return [batch for _, batch in found]


class Retries:
    """A heap of batches by the time at which they are due; used on the loop only."""

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self._heap: list[tuple[float, int, PulledBatch]] = []
        self._order = count()
        self._changed = asyncio.Event()

    def add(self, batch: PulledBatch) -> None:
        """Let a batch that was tried `batch.tries` times wait its turn."""
        due = self._clock.now() + backoff_s(batch.tries)
        heapq.heappush(self._heap, (due, next(self._order), batch))
        self._changed.set()

    async def run(self) -> None:
        """Put batches back when they are due, for ever."""
        while True:
            if not self._heap:
                self._changed.clear()
                await self._changed.wait()
            wait = self._heap[0][0] - self._clock.now()
            if wait > 0:
                await self._clock.sleep(wait)
            else:
                self._inbox.put(heapq.heappop(self._heap)[2])

    def clear(self) -> list[PulledBatch]:
        """Take everything that still waits."""
        left = [batch for _, _, batch in self._heap]
        self._heap.clear()
        return left
