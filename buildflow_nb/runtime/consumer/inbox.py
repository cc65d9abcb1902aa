"""What was pulled and not yet processed, handed to workers in chunks of a few milliseconds.

Sources yield batches of whatever size suits them; code takes whatever time it takes. A chunk is cut
so that it takes about `CHUNK_S`: long enough that switching threads costs next to nothing, short
enough that a swap, a stop or a neighbour never waits long. Slow code gets one element at a time.

Sources that yield an element or a few at a time are cheap all the same: what comes within a moment
is joined as it comes in, so that all that follows is done once for many.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from buildflow_nb.core.conversion.text_rows import joined
from buildflow_nb.core.primitive import Batch
from buildflow_nb.core.trace_context import TraceContext
from buildflow_nb.runtime.observability.metrics import Activity

__all__ = ("Chunk", "InFlight", "Inbox", "Pace", "PulledBatch")

CHUNK_S = 0.01
MAX_CHUNK = 10_000  # elements; more gains nothing
JOINED = 512  # elements that are joined, at most; more gain nothing
JOINED_S = 0.001  # between the first and the last of them: latencies are told no finer
SLOW_S = 1e-4  # seconds of an element; to note a call takes two microseconds
GROWTH = 8  # a chunk grows at most this much at a time, so that one fast element cannot mislead


@dataclass(slots=True)
class PulledBatch:
    """Elements that came together, with how often they were tried, and the traces of some."""

    items: Sequence[object]
    receipts: Sequence[object] | None
    origin: Callable[[int], str] | None
    pulled_at: float
    tries: int = 0
    contexts: Mapping[int, TraceContext] | None = None

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
            self._contexts_from(start, end),
        )

    def _contexts_from(self, start: int, end: int) -> Mapping[int, TraceContext] | None:
        if not self.contexts:
            return None
        return {i - start: one for i, one in self.contexts.items() if start <= i < end}

    def for_retry(self, i: int, context: TraceContext | None = None) -> PulledBatch:
        """Element *i* alone, to be tried once more, in this trace."""
        alone = self.part(i, i + 1)
        contexts = alone.contexts if context is None else {0: context}
        return PulledBatch(
            alone.items, alone.receipts, alone.origin, self.pulled_at, self.tries + 1, contexts
        )


class _Joined:
    """Batches that are becoming one, and where each of them begins."""

    def __init__(self, first: Batch, now: float) -> None:
        self._items = list(first.items)
        self._receipts = None if first.receipts is None else list(first.receipts)
        self._origins: list[tuple[int, Callable[[int], str]]] = []
        self.known = first.origin is not None
        if first.origin is not None:
            self._origins.append((0, first.origin))
        origin = self._origin if self.known else None
        self._contexts = None if first.contexts is None else dict(first.contexts)
        self.batch = PulledBatch(self._items, self._receipts, origin, now, contexts=self._contexts)

    def add(self, batch: Batch, count: int, now: float) -> bool:
        """Join one more, unless it is of another form, too much, or too late."""
        items, receipts, origin = self._items, batch.receipts, batch.origin
        if (
            len(items) + count > JOINED
            or now - self.batch.pulled_at > JOINED_S
            or (origin is not None) is not self.known
        ):
            return False
        if receipts is None or self._receipts is None:
            if receipts is not self._receipts:
                return False
        elif len(receipts) == count:
            self._receipts += receipts
        else:
            return False
        if origin is not None:
            self._origins.append((len(items), origin))
        if batch.contexts:
            self._add_contexts(batch.contexts, len(items))
        items += batch.items
        return True

    def _add_contexts(self, contexts: Mapping[int, TraceContext], start: int) -> None:
        if self._contexts is None:
            self._contexts = self.batch.contexts = {}
        self._contexts.update((start + i, one) for i, one in contexts.items())

    def _origin(self, i: int) -> str:
        at = bisect_right(self._origins, i, key=_start) - 1
        start, origin = self._origins[at]
        return origin(i - start)


def _start(origin: tuple[int, Callable[[int], str]]) -> int:
    return origin[0]


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
        return joined([batch.items[start:end] for batch, start, end in self.parts])

    def find(self, i: int) -> tuple[PulledBatch, int]:
        """The batch and the position in it of element *i*."""
        for batch, start, end in self.parts:
            if i < end - start:
                return batch, start + i
            i -= end - start
        raise IndexError(i)

    def contexts(self) -> Iterator[tuple[int, TraceContext | None]]:
        """The traces of those elements that have one, or are tried again; in order."""
        at = 0
        for batch, start, end in self.parts:
            found = batch.contexts
            if batch.tries:
                for i in range(start, end):
                    yield at + i - start, found.get(i) if found else None
            elif found:
                for i in sorted(found):
                    if start <= i < end:
                        yield at + i - start, found[i]
            at += end - start

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

    @property
    def slow(self) -> bool:
        """Whether an element takes so long that noting each call costs nothing, or may."""
        return not self._element_s or self._element_s >= SLOW_S

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
        self._joined: _Joined | None = None  # the last batch, where others may join it
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()

    def put_pulled(self, batch: Batch, count: int, now: float) -> None:
        """Add at the end what a source gave at `now` (monotonic seconds): `count` elements."""
        if self._joined is not None and self._joined.add(batch, count, now):
            self.elements += count
        elif count >= JOINED or (batch.receipts is not None and len(batch.receipts) != count):
            self.put(
                PulledBatch(batch.items, batch.receipts, batch.origin, now, contexts=batch.contexts)
            )
        else:
            joined = _Joined(batch, now)
            self.put(joined.batch)
            self._joined = joined

    def put(self, batch: PulledBatch) -> None:
        """Add a batch at the end."""
        self._joined = None
        self._batches.append((batch, 0))
        self.elements += len(batch.items)
        self._arrived.set()

    async def take(self, most: int) -> Chunk:
        """Wait for elements and take up to `most` of them from the front."""
        while not self._batches:
            self._arrived.clear()
            await self._arrived.wait()
        self._joined = None  # what is taken must not grow
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
        self._joined = None
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
        if not self.count:
            self._none.clear()
        self.count += count
        self._activity.count += 1  # as `stir` does; this is done for every pull

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
