"""How far a source has been worked off: an offset, and what is done behind it, for each piece.

Elements are settled in any order, and some never are. So the offset of a piece is where the batch
with its first element that is not done begins; the numbers that are done from there on are kept
with it, and left out when they are read again. That is right only as long as they are the same
elements. So the furthest offset that was reached is kept, too, and no number behind it: whoever
leaves numbers out can look first whether everything up to there is what it was. All of it is safe
to use from several threads.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from buildflow_nb.io.resuming.offset import Offset

__all__ = ("Progress", "Receipt", "Spans")

MOST_OFFSETS = 1_000  # kept of a piece, while an early element of it is not done
MOST_SPANS = 10_000  # spans; a document of them takes some 200 kB
VERSION = 2
Receipt = tuple[str, int]  # a piece and a number in it


class _Piece:
    def __init__(self, offset: Offset, done: Spans, reached: Offset | None = None) -> None:
        self.offsets = [offset]
        self.done = done
        self.reached = reached or offset

    @property
    def first_left(self) -> int:
        return self.done.first_gap(self.offsets[0].number)

    def begin(self, offset: Offset) -> None:
        if offset.known_to > self.reached.known_to:
            self.reached = offset
        if offset.number > self.offsets[-1].number:
            self.offsets.append(offset)
            if len(self.offsets) > MOST_OFFSETS:
                del self.offsets[1::2]  # the coarser they lie, the more is read to be left out

    def settle(self, numbers: Iterable[int]) -> None:
        self.done.add_all(numbers)
        first = self.first_left
        passed = sum(offset.number <= first for offset in self.offsets) - 1
        del self.offsets[:passed]
        self.done.forget_below(self.offsets[0].number)


class Progress:
    """What is done of the pieces of a source; made from what `document` gave, or from nothing."""

    def __init__(self, document: Any = None) -> None:
        self._lock = threading.Lock()
        self._pieces = _pieces(document)

    def starts(self) -> list[tuple[Offset, int, Offset | None]]:
        """Where each piece is to be read on, and its first number that is not done.

        With the offset up to which it must be what it was, where numbers behind that one are done.
        """
        with self._lock:
            return [
                (
                    piece.offsets[0],
                    piece.first_left,
                    piece.reached
                    if piece.done.meets(piece.first_left, piece.reached.known_to)
                    else None,
                )
                for piece in self._pieces.values()
            ]

    def forget(self, piece: str) -> None:
        """Take nothing of a piece for done any more."""
        with self._lock:
            del self._pieces[piece]

    def begin(self, offset: Offset, count: int) -> Sequence[int]:
        """Note that so many elements were read from an offset on; gives those that are not done.

        They are counted from 0.
        """
        with self._lock:
            piece = self._pieces.get(offset.piece)
            if piece is None:
                piece = self._pieces[offset.piece] = _Piece(offset, Spans())
            piece.begin(offset)
            first, end = offset.number, offset.number + count
            if not piece.done.meets(first, end):
                return range(count)
            return [i for i, number in enumerate(range(first, end)) if number not in piece.done]

    def reach(self, offset: Offset) -> None:
        """Note that a piece was read up to an offset."""
        with self._lock:
            piece = self._pieces.get(offset.piece)
            if piece is not None:
                piece.begin(offset)

    def settle(self, receipts: Sequence[Receipt]) -> None:
        """Note that these elements are done."""
        numbers: dict[str, list[int]] = {}
        for piece, number in receipts:
            numbers.setdefault(piece, []).append(number)
        with self._lock:
            for name, found in numbers.items():
                self._pieces[name].settle(found)

    def document(self) -> dict[str, Any]:
        """All of it as plain values."""
        with self._lock:
            pieces = {
                name: [
                    _as_list(piece.offsets[0]),
                    _as_list(piece.reached),
                    piece.done.spans(below=piece.reached.known_to),
                ]
                for name, piece in self._pieces.items()
            }
        return {"version": VERSION, "pieces": pieces}


def _pieces(document: Any) -> dict[str, _Piece]:
    """What a document says; nothing where it makes no sense."""
    if not isinstance(document, Mapping) or document.get("version") != VERSION:
        return {}
    found = {}
    try:
        for name, (offset, reached, done) in document["pieces"].items():
            found[name] = _Piece(_offset(name, offset), Spans(done), _offset(name, reached))
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}
    return found


def _as_list(offset: Offset) -> list[Any]:
    return [offset.number, dict(offset.at), offset.vouches]


def _offset(name: str, found: Sequence[Any]) -> Offset:
    number, at, vouches = found
    return Offset(name, int(number), dict(at), int(vouches))


class Spans:
    """A set of numbers, compact for those that come nearly in order, and bounded.

    Where there are too many gaps, it forgets the shortest spans. They are numbers that are done:
    what is forgotten is done again, so nothing is lost by it.
    """

    def __init__(self, spans: Iterable[Sequence[int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in spans:
            self.add(start, end)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number < self._ends[at]

    def add(self, start: int, end: int) -> None:
        """Add all numbers from `start` up to but not `end`."""
        first = bisect_left(self._ends, start)  # the first span that touches it
        last = bisect_right(self._starts, end)
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]
        if len(self._starts) > MOST_SPANS:
            self._forget_short()

    def add_all(self, numbers: Iterable[int]) -> None:
        """Add numbers in any order."""
        start = end = None
        for number in sorted(numbers):
            if number != end:
                if start is not None and end is not None:
                    self.add(start, end)
                start = number
            end = number + 1
        if start is not None and end is not None:
            self.add(start, end)

    def first_gap(self, start: int) -> int:
        """The first number from `start` on that is not in it."""
        at = bisect_right(self._starts, start) - 1
        return max(start, self._ends[at]) if at >= 0 else start

    def meets(self, start: int, end: int) -> bool:
        """Whether any number from `start` up to but not `end` is in it."""
        return bisect_right(self._ends, start) < bisect_left(self._starts, end)

    def forget_below(self, number: int) -> None:
        """Let go of the spans that end at or before a number."""
        at = bisect_right(self._ends, number)
        del self._starts[:at], self._ends[:at]

    def spans(self, below: float = math.inf) -> list[list[int]]:
        """The spans of numbers below one, as plain values, in order."""
        spans = zip(self._starts, self._ends, strict=True)
        return [[start, int(min(end, below))] for start, end in spans if start < below]

    def _forget_short(self) -> None:
        """Let go of a tenth, the shortest, so that this is not done with each number."""
        by_length = sorted(
            range(len(self._starts)), key=lambda at: self._ends[at] - self._starts[at]
        )
        kept = sorted(by_length[len(by_length) // 10 :])
        self._starts = [self._starts[at] for at in kept]
        self._ends = [self._ends[at] for at in kept]
