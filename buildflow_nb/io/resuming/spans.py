"""A set of whole numbers as spans: compact for numbers that come nearly in order, and bounded."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

__all__ = ("Spans",)

MOST = 10_000  # spans; a document of them takes some 200 kB


class Spans:
    """Numbers that are done. Where there are too many gaps, it forgets the shortest spans.

    What is forgotten is done again, so nothing is lost by it.
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
        if len(self._starts) > MOST:
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
