"""A history as so many points for a span of time: the highest of each step, so no spike is lost.

Steps begin at whole multiples of their length, so that a chart that is drawn each second moves and
does not shimmer. A step without a row is a gap.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import truediv

from buildflow_nb.cockpit.views import formats
from buildflow_nb.core.status.history import COARSE_S, NO_BACKLOG, SPANS, History, Mark, Row, Rows

__all__ = ("COLUMN", "POINTS", "SERIES", "Points", "points_of")

POINTS = 120
COLUMN = 2  # points that are pointed at together
MINUTE_S = 60
SERIES = ("in", "out", "failed", "p50", "p99", "backlog")
Point = float | None


@dataclass(frozen=True, slots=True)
class Points:
    """`series` has a value for each step from `start` on (seconds since the epoch), None for gaps.

    Rates are elements a second, latencies seconds, `backlog` elements. `marks` are those of the
    span. `ends_at` is when the last row ends, None where there is none.
    """

    processor_id: str
    span: str
    start: float
    step_s: float
    series: Mapping[str, Sequence[Point]]
    marks: tuple[Mark, ...]
    ends_at: float | None

    @property
    def end(self) -> float:
        """When the last step ends."""
        return self.start + POINTS * self.step_s

    def said(self, index: int) -> str:
        """The time of day at which a step begins, with as much of it as tells steps apart."""
        time_of_day = formats.clock(self.start + index * self.step_s)
        return time_of_day if self.step_s * COLUMN < MINUTE_S else time_of_day[:-3]

    def seen(self, name: str) -> list[float]:
        """The values of a series, without gaps."""
        return [value for value in self.series[name] if value is not None]

    def last(self, name: str) -> Point:
        """The newest value of a series."""
        return next(iter(reversed(self.seen(name))), None)

    @property
    def broken(self) -> bool:
        """Whether there is a gap between two rows."""
        known = [index for index, value in enumerate(self.series["in"]) if value is not None]
        return bool(known) and len(known) <= known[-1] - known[0]

    def share(self, at: float) -> float:
        """Where a moment is, from 0 at the start to 1 at the end."""
        return (at - self.start) / (self.end - self.start)


def points_of(history: History, span: str, now: float) -> Points:
    """The points of a span ("10m", "1h", "24h") that ends now."""
    seconds = SPANS[span]
    step_s = seconds / POINTS
    column_s = COLUMN * step_s
    end = (math.floor(now / column_s) + 1) * column_s
    start = end - seconds
    short = step_s < COARSE_S
    rows = history.rows(start - COARSE_S, fine=short)
    series = _of_each(rows, start, step_s) if short else _of_many(rows, start, step_s)
    marks = tuple(mark for mark in history.marks if start <= mark.at < end)
    return Points(history.processor_id, span, start, step_s, series, marks, history.ends_at)


def _of_each(rows: Rows, start: float, step_s: float) -> dict[str, list[Point]]:
    """The highest of each step, where a row may be of several."""
    series: dict[str, list[Point]] = {name: [None] * POINTS for name in SERIES}
    for row in rows:
        first = math.floor((row.at - start) / step_s)
        last = math.ceil((row.at + row.seconds - start) / step_s)
        for name, value in zip(SERIES, _values(row), strict=True):
            points = series[name]
            for index in range(max(first, 0), min(last, POINTS)):
                points[index] = _higher(points[index], value)
    return series


def _of_many(rows: Rows, start: float, step_s: float) -> dict[str, list[Point]]:
    """The highest of each step, where many rows are of one: by columns, since a day is long."""
    series: dict[str, list[Point]] = {name: [None] * POINTS for name in SERIES}
    at = rows.at
    for index in range(POINTS):
        first = bisect_left(at, start + index * step_s)
        last = bisect_left(at, start + (index + 1) * step_s)
        if first == last:
            continue
        _, seconds, taken, given, failed, p50, p99, backlog, _ = (
            column[first:last] for column in rows.columns
        )
        whole = min(seconds) == max(seconds)
        for name, counts in zip(SERIES, (taken, given, failed), strict=False):
            series[name][index] = (
                max(counts) / seconds[0] if whole else max(map(truediv, counts, seconds))
            )
        for name, latencies in (("p50", p50), ("p99", p99)):
            series[name][index] = max((one for one in latencies if one == one), default=None)  # noqa: PLR0124
        waiting = max(backlog)
        series["backlog"][index] = None if waiting == NO_BACKLOG else float(waiting)
    return series


def _higher(one: Point, other: Point) -> Point:
    return other if one is None or (other is not None and other > one) else one


def _values(row: Row) -> tuple[Point, ...]:
    rates = (count / row.seconds for count in (row.taken, row.given, row.failed))
    latencies = (None if math.isnan(one) else one for one in (row.p50_s, row.p99_s))
    return (*rates, *latencies, None if row.backlog == NO_BACKLOG else float(row.backlog))
