"""What was pulled and not yet processed, handed to lanes in hauls of a few milliseconds.

Sources yield batches of whatever size suits them; code takes whatever time it takes. A haul is cut
so that it takes about `HAUL_S`: long enough that switching threads costs next to nothing, short
enough that a swap, a stop or a neighbour never waits long. Slow code gets one element at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from buildflow_nb.core.primitive import Batch

__all__ = ("Haul", "Inbox", "Load", "Pace")

HAUL_S = 0.01
MAX_HAUL = 10_000  # elements; more gains nothing
GROWTH = 8  # a haul grows at most this much at a time, so that one fast element cannot mislead


@dataclass(slots=True)
class Load:
    """Elements that came together, with how often they were tried."""

    items: Sequence[object]
    receipts: Sequence[object] | None
    origin: Callable[[int], str] | None
    pulled_at: float
    tries: int = 0

    @classmethod
    def of(cls, batch: Batch, now: float) -> Load:
        """What a source gave at `now` (monotonic seconds)."""
        return cls(batch.items, batch.receipts, batch.origin, now)

    def part(self, start: int, end: int) -> Load:
        """The elements from one position up to another."""
        if start == 0 and end == len(self.items):
            return self
        origin = self.origin
        return Load(
            self.items[start:end],
            None if self.receipts is None else self.receipts[start:end],
            None if origin is None else (lambda i: origin(start + i)),
            self.pulled_at,
            self.tries,
        )

    def again(self, i: int) -> Load:
        """Element *i* alone, to be tried once more."""
        alone = self.part(i, i + 1)
        return Load(alone.items, alone.receipts, alone.origin, self.pulled_at, self.tries + 1)


@dataclass(slots=True)
class Haul:
    """Pieces of loads that are processed as one list."""

    parts: list[tuple[Load, int, int]]

    def __len__(self) -> int:
        return sum(end - start for _, start, end in self.parts)

    def items(self) -> Sequence[object]:
        """All elements, in order."""
        if len(self.parts) == 1:
            load, start, end = self.parts[0]
            whole = start == 0 and end == len(load.items)
            return load.items if whole else load.items[start:end]
        found: list[object] = []
        for load, start, end in self.parts:
            whole = start == 0 and end == len(load.items)
            found += load.items if whole else load.items[start:end]
        return found

    def find(self, i: int) -> tuple[Load, int]:
        """The load and the position in it of element *i*."""
        for load, start, end in self.parts:
            if i < end - start:
                return load, start + i
            i -= end - start
        raise IndexError(i)

    def receipts(self, without: frozenset[int]) -> list[object]:
        """The receipts of all elements but some."""
        found: list[object] = []
        i = 0
        for load, start, end in self.parts:
            if load.receipts is not None:
                if without:
                    found += [
                        load.receipts[k] for k in range(start, end) if i + k - start not in without
                    ]
                elif start == 0 and end == len(load.receipts):
                    found += load.receipts
                else:
                    found += load.receipts[start:end]
            i += end - start
        return found


class Pace:
    """How many elements make a haul, learnt from how long they take."""

    def __init__(self) -> None:
        self.haul = 1
        self._element_s = 0.0

    def learn(self, elements: int, seconds: float) -> None:
        """Take a haul's time into account."""
        each = seconds / elements
        self._element_s = each if not self._element_s else (self._element_s + each) / 2
        wanted = int(HAUL_S / max(self._element_s, 1e-9))
        self.haul = max(1, min(wanted, self.haul * GROWTH, MAX_HAUL))


class Inbox:
    """Loads in order of arrival; used on the loop only."""

    def __init__(self) -> None:
        self.elements = 0
        self._loads: deque[tuple[Load, int]] = deque()
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()

    def put(self, load: Load) -> None:
        """Add a load at the end."""
        self._loads.append((load, 0))
        self.elements += len(load.items)
        self._arrived.set()

    async def take(self, most: int) -> Haul:
        """Wait for elements and take up to `most` of them from the front."""
        while not self._loads:
            self._arrived.clear()
            await self._arrived.wait()
        parts: list[tuple[Load, int, int]] = []
        left = most
        while self._loads and left > 0:
            load, start = self._loads.popleft()
            end = len(load.items)
            if end - start > left:
                end = start + left
                self._loads.appendleft((load, end))
            parts.append((load, start, end))
            left -= end - start
        self.elements -= most - left
        self._taken.set()
        return Haul(parts)

    async def wait_taken(self) -> None:
        """Wait until something was taken or `wake` called since the last wait."""
        await self._taken.wait()
        self._taken.clear()

    def wake(self) -> None:
        """Let `wait_taken` return, since what it depends on has changed."""
        self._taken.set()

    def clear(self) -> list[Haul]:
        """Take everything that is left."""
        left = [Haul([(load, start, len(load.items))]) for load, start in self._loads]
        self._loads.clear()
        self.elements = 0
        return left
