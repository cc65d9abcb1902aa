"""What was pulled and not yet processed, handed to workers in chunks of a few milliseconds.

Sources yield batches of whatever size suits them; code takes whatever time it takes. A chunk is cut
so that it takes about `CHUNK_S`: long enough that switching threads costs next to nothing, short
enough that a swap, a stop or a neighbour never waits long. Slow code gets one element at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from buildflow_nb.core.primitive import Batch
from buildflow_nb.runtime.observability.metrics import Activity

__all__ = ("Chunk", "InFlight", "Inbox", "Pace", "PulledBatch")

CHUNK_S = 0.01
MAX_CHUNK = 10_000  # elements; more gains nothing
GROWTH = 8  # a chunk grows at most this much at a time, so that one fast element cannot mislead


@dataclass(slots=True)
class PulledBatch:
    """Elements that came together, with how often they were tried."""

    items: Sequence[object]
    receipts: Sequence[object] | None
    origin: Callable[[int], str] | None
    pulled_at: float
    tries: int = 0

    @classmethod
    def of(cls, batch: Batch, now: float) -> PulledBatch:
        """What a source gave at `now` (monotonic seconds)."""
        return cls(batch.items, batch.receipts, batch.origin, now)

    def part(self, start: int, end: int) -> PulledBatch:
        """The elements from one position up to another."""
        if start == 0 and end == len(self.items):
            return self
        origin = self.origin
        return PulledBatch(
            self.items[start:end],
            None if self.receipts is None else self.receipts[start:end],
            None if origin is None else (lambda i: origin(start + i)),
            self.pulled_at,
            self.tries,
        )

    def for_retry(self, i: int) -> PulledBatch:
        """Element *i* alone, to be tried once more."""
        alone = self.part(i, i + 1)
        return PulledBatch(
            alone.items, alone.receipts, alone.origin, self.pulled_at, self.tries + 1
        )


@dataclass(slots=True)
class Chunk:
    """Pieces of batches that are processed as one list."""

    parts: list[tuple[PulledBatch, int, int]]

    def __len__(self) -> int:
        return sum(end - start for _, start, end in self.parts)

    def items(self) -> Sequence[object]:
        """All elements, in order."""
        if len(self.parts) == 1:
            batch, start, end = self.parts[0]
            whole = start == 0 and end == len(batch.items)
            return batch.items if whole else batch.items[start:end]
        found: list[object] = []
        for batch, start, end in self.parts:
            whole = start == 0 and end == len(batch.items)
            found += batch.items if whole else batch.items[start:end]
        return found

    def find(self, i: int) -> tuple[PulledBatch, int]:
        """The batch and the position in it of element *i*."""
        for batch, start, end in self.parts:
            if i < end - start:
                return batch, start + i
            i -= end - start
        raise IndexError(i)

    def receipts(self, without: frozenset[int]) -> list[object]:
        """The receipts of all elements but some."""
        found: list[object] = []
        i = 0
        for batch, start, end in self.parts:
            if batch.receipts is not None:
                if without:
                    found += [
                        batch.receipts[k] for k in range(start, end) if i + k - start not in without
                    ]
                elif start == 0 and end == len(batch.receipts):
                    found += batch.receipts
                else:
                    found += batch.receipts[start:end]
            i += end - start
        return found


class Pace:
    """How many elements make a chunk, learnt from how long they take."""

    def __init__(self) -> None:
        self.chunk = 1
        self._element_s = 0.0

    def learn(self, elements: int, seconds: float) -> None:
        """Take a chunk's time into account."""
        each = seconds / elements
        self._element_s = each if not self._element_s else (self._element_s + each) / 2
        wanted = int(CHUNK_S / max(self._element_s, 1e-9))
        self.chunk = max(1, min(wanted, self.chunk * GROWTH, MAX_CHUNK))


class Inbox:
    """Batches in order of arrival; used on the loop only."""

    def __init__(self) -> None:
        self.elements = 0
        self._batches: deque[tuple[PulledBatch, int]] = deque()
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()

    def put(self, batch: PulledBatch) -> None:
        """Add a batch at the end."""
        self._batches.append((batch, 0))
        self.elements += len(batch.items)
        self._arrived.set()

    async def take(self, most: int) -> Chunk:
        """Wait for elements and take up to `most` of them from the front."""
        while not self._batches:
            self._arrived.clear()
            await self._arrived.wait()
        parts: list[tuple[PulledBatch, int, int]] = []
        left = most
        while self._batches and left > 0:
            batch, start = self._batches.popleft()
            end = len(batch.items)
            if end - start > left:
                end = start + left
                self._batches.appendleft((batch, end))
            parts.append((batch, start, end))
            left -= end - start
        self.elements -= most - left
        self._taken.set()
        return Chunk(parts)

    async def wait_taken(self) -> None:
        """Wait until something was taken or `wake` called since the last wait."""
        await self._taken.wait()
        self._taken.clear()

    def wake(self) -> None:
        """Let `wait_taken` return, since what it depends on has changed."""
        self._taken.set()

    def clear(self) -> list[Chunk]:
        """Take everything that is left."""
        left = [Chunk([(batch, start, len(batch.items))]) for batch, start in self._batches]
        self._batches.clear()
        self.elements = 0
        return left


class InFlight:
    """How many elements are between pull and settle; used on the loop only."""

    def __init__(self, inbox: Inbox, activity: Activity) -> None:
        self.count = 0
        self._inbox = inbox
        self._activity = activity
        self._none = asyncio.Event()
        self._none.set()

    def add(self, count: int) -> None:
        """Count what was taken in."""
        self.count += count
        self._none.clear()
        self._activity.stir()

    def settle(self, count: int) -> None:
        """Count off what is done with; whoever waits for room looks again."""
        self.count -= count
        self._activity.stir()
        self._inbox.wake()
        if self.count == 0:
            self._none.set()

    async def wait_settled(self) -> None:
        """Wait until there are none."""
        await self._none.wait()
