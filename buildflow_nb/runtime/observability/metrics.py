"""Counters of one processor, cheap enough to stay on: a few additions a batch, none an element.

Rates come from one-second buckets. Latencies go into a histogram with logarithmic steps, weighted
by the elements of a batch, over the last minute or two; a quantile is exact to one step (7 %).
Those since somebody took them last are kept apart, which is how a second has its own.

Not thread-safe: written and read on the loop thread only.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from buildflow_nb.core.status.snapshot import HISTORY_S
from buildflow_nb.runtime.observability.part_times import PartTimes

__all__ = (
    "Activity",
    "Counted",
    "Histogram",
    "Metrics",
    "Rate",
    "bound_s",
    "quantiles_in",
    "quantiles_of",
)

RATE_WINDOW_S = 5  # seconds over which a displayed rate is averaged
_STEP = math.log(1.07)
_LOWEST_S = 1e-6
_STEPS = 340  # reaches beyond two hours
_BOUNDS_S = [_LOWEST_S * math.exp(step * _STEP) for step in range(_STEPS)]
_TURN_S = 60  # the histogram forgets in turns of a minute


class Rate:
    """How many things happened in each of the last seconds."""

    def __init__(self) -> None:
        self.total = 0
        self._buckets: deque[tuple[int, int]] = deque(maxlen=HISTORY_S)
        self._told: tuple[int, tuple[int, ...]] = (0, ())  # the last history, and its end

    def add(self, count: int, now: float) -> None:
        """Count things that happened at `now` (monotonic seconds)."""
        self.total += count
        second = int(now)
        if self._buckets and self._buckets[-1][0] == second:
            self._buckets[-1] = (second, self._buckets[-1][1] + count)
        else:
            self._buckets.append((second, count))

    def per_s(self, now: float, started: float) -> float:
        """Average over the last seconds, or over the life of the thing if that is shorter."""
        span = min(RATE_WINDOW_S, max(now - started, 1.0))
        recent = 0
        for second, count in reversed(self._buckets):
            if second <= now - span - 1:
                break
            recent += count
        return recent / span

    def quiet_s(self, now: float) -> float | None:
        """Seconds since the last one, None where there was none."""
        return max(now - self._buckets[-1][0] - 1, 0.0) if self._buckets else None

    def history(self, now: float) -> tuple[int, ...]:
        """One count a second, oldest first, without leading zeros, nor the second under way."""
        if not self._buckets:
            return ()
        end, (told, known) = int(now), self._told
        if end == told:
            return known
        first = max(self._buckets[0][0], end - HISTORY_S)
        if not first <= told < end or len(known) < told - first:
            told, known = first, ()
        fresh = [0] * (end - told)  # since what is over does not change, only this is looked for
        for second, count in reversed(self._buckets):
            if second < told:
                break
            if second < end:
                fresh[second - told] = count
        known = (*known, *fresh)[-(end - first) :] if end > first else ()
        self._told = (end, known)
        return known


class Histogram:
    """Latencies of the last one to two minutes."""

    def __init__(self) -> None:
        self._current: dict[int, int] = {}  # how many in each step, where there are any
        self._previous: dict[int, int] = {}
        self._turned: float | None = None
        self._fresh: dict[int, int] = {}
        self.sum_s = 0.0  # of all latencies that there ever were
        self._taken = [0] * _STEPS  # how many there ever were in each step, but for the fresh

    def add(self, seconds: float, count: int, now: float) -> None:
        """Record a latency that `count` elements had."""
        if self._turned is None:
            self._turned = now
        elif now - self._turned > _TURN_S:
            self._previous = self._current
            self._current = {}
            self._turned = now
        step = int(math.log(seconds / _LOWEST_S) / _STEP) + 1 if seconds > _LOWEST_S else 0
        step = min(step, _STEPS - 1)
        self._current[step] = self._current.get(step, 0) + count
        self._fresh[step] = self._fresh.get(step, 0) + count
        self.sum_s += seconds * count

    def add_fresh(self, steps: Mapping[int, int], sum_s: float) -> None:
        """Add what a replica has taken, for whoever takes it here."""
        for step, count in steps.items():
            self._fresh[step] = self._fresh.get(step, 0) + count
        self.sum_s += sum_s

    def take_fresh(self) -> dict[int, int]:
        """How many were added in each step since this was asked last."""
        fresh = self._fresh
        if not fresh:
            return fresh
        self._fresh = {}
        taken = self._taken
        for step, count in fresh.items():
            taken[step] += count
        return fresh

    def totals(self) -> dict[int, int]:
        """How many there ever were in each step, in no order."""
        found = {step: count for step, count in enumerate(self._taken) if count}
        return found | {step: found.get(step, 0) + n for step, n in self._fresh.items()}

    def quantiles(self, *wanted: float) -> tuple[float | None, ...]:
        """The latency, in seconds, below which each wanted share (0..1) lies."""
        found = dict(self._current)
        for step, count in self._previous.items():
            found[step] = found.get(step, 0) + count
        total = sum(found.values())
        if not total:
            return tuple(None for _ in wanted)
        steps = sorted(found.items())
        return tuple(_at_share(steps, total * share) for share in wanted)

    def counts(self) -> tuple[int, ...]:
        """How many latencies lie in each step; what several processes counted adds up."""
        now, before = self._current, self._previous
        return tuple(now.get(step, 0) + before.get(step, 0) for step in range(_STEPS))


def quantiles_of(counts: Iterable[Sequence[int]], *wanted: float) -> tuple[float | None, ...]:
    """The latencies, in seconds, of histograms that are laid over each other."""
    both = [sum(step) for step in zip(*counts, strict=True)]
    total = sum(both)
    if not total:
        return tuple(None for _ in wanted)
    steps = [(step, count) for step, count in enumerate(both) if count]
    return tuple(_at_share(steps, total * share) for share in wanted)


def quantiles_in(steps: Mapping[int, int]) -> tuple[float, float]:
    """The median and the 99th percentile, in seconds, of a few latencies; NaN of none."""
    if not steps:
        return math.nan, math.nan
    total, seen, middle, last = sum(steps.values()), 0, -1, 0
    half, most = total * 0.5, total * 0.99
    for last in sorted(steps):
        seen += steps[last]
        if middle < 0 and seen >= half:
            middle = last
        if seen >= most:
            break
    return _BOUNDS_S[middle], _BOUNDS_S[last]


def bound_s(step: int) -> float:
    """The latency in seconds that a step of a histogram reaches up to."""
    return _BOUNDS_S[step]


def _at_share(steps: Sequence[tuple[int, int]], limit: float) -> float:
    """Where that many have been seen, of steps in order that are not empty."""
    seen = 0
    for step, count in steps:
        seen += count
        if seen >= limit:
            return bound_s(step)
    return bound_s(steps[-1][0])


class Counted(NamedTuple):
    """What a unit has counted until now; all but the amounts at this moment only grow."""

    taken: int
    given: int
    failed: int
    in_flight: int
    backlog: int | None
    dropped: int
    retried: int
    codes: Mapping[int, int]


class Metrics:
    """Everything that is counted about one processor."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.taken = Rate()
        self.given = Rate()
        self.latency = Histogram()
        self.dropped = 0
        self.failed = 0
        self.failures = 0  # as `failed`, but that those retried stay counted: it only grows
        self.retried = 0
        self.in_flight = 0
        self.busy_s = 0.0  # of workers in code, over all of them
        self.push_s = 0.0  # of workers that waited for the sink
        self.parts = PartTimes()
        self.codes: dict[int, int] = {}

    def counted(self, backlog: int | None = None) -> Counted:
        """What was counted until now, by a unit whose source has that left."""
        return Counted(
            self.taken.total,
            self.given.total,
            self.failures,
            self.in_flight,
            backlog,
            self.dropped,
            self.retried,
            self.codes,
        )


class Activity:
    """Whether anything in a run has moved since: a count that all its units share.

    A source is known to be empty only by a pull that began after everything else was settled, since
    what one processor writes may be what another one reads. Clocks cannot tell that order to the
    last step; a count that grows with every element taken in and every element done with can.
    """

    def __init__(self) -> None:
        self.count = 0

    def stir(self) -> None:
        """Something was taken in, or is done with."""
        self.count += 1
