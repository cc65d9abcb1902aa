"""What a processor has done over time: rows of one second for ten minutes, of ten for a day.

A row counts what happened in the seconds that it stands for, so those of several steps add up.
There is no row for a time in which a processor did not run, or the machine slept: a gap is a gap,
and a zero was seen. Rows are columns of numbers, 37 bytes each, since there are many.
"""

from __future__ import annotations

import math
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

if TYPE_CHECKING:  # Python 3.11 cannot say of what an array is
    Column: TypeAlias = array[Any]

__all__ = (
    "COARSE_KEPT_S",
    "COARSE_S",
    "FINE_KEPT_S",
    "MARKS",
    "NO_BACKLOG",
    "ROW_BYTES",
    "SPANS",
    "History",
    "Mark",
    "Row",
    "Rows",
)

FINE_KEPT_S = 600
COARSE_S = 10
COARSE_KEPT_S = 86_400
SPANS = {"10m": 600, "1h": 3_600, "24h": 86_400}  # that charts show
MARKS = 200  # of a processor; older ones are forgotten
NO_BACKLOG = -1
_MOST = 2**32 - 1
_TYPES = {"at": "I", "seconds": "B", "taken": "I", "given": "I", "failed": "I"} | {
    "p50_s": "f",
    "p99_s": "f",
    "backlog": "q",
    "in_flight": "I",
}
ROW_BYTES = sum(array(kind).itemsize for kind in _TYPES.values())


class Row(NamedTuple):
    """What happened in `seconds` seconds from `at` on (whole seconds since the epoch).

    `taken`, `given` and `failed` count elements; `failed` those that failed for good. Latencies are
    of the elements that were done with in these seconds, NaN where none was. `backlog` is
    `NO_BACKLOG` where the source cannot tell; it and `in_flight` are the most that was seen.
    """

    at: int
    seconds: int = 1
    taken: int = 0
    given: int = 0
    failed: int = 0
    p50_s: float = math.nan
    p99_s: float = math.nan
    backlog: int = NO_BACKLOG
    in_flight: int = 0


class Rows:
    """Rows in the order of their times, a column for each field of `Row`."""

    __slots__ = ("columns",)

    def __init__(self, columns: Sequence[Column] | None = None) -> None:
        if columns is None:
            columns = [array(kind) for kind in _TYPES.values()]
        self.columns: list[Column] = list(columns)

    def __len__(self) -> int:
        return len(self.columns[0])

    def __iter__(self) -> Iterator[Row]:
        return map(Row._make, zip(*self.columns, strict=True))

    def __getitem__(self, index: int) -> Row:
        return Row._make(column[index] for column in self.columns)

    @property
    def at(self) -> array[int]:
        """When each begins."""
        return self.columns[0]

    def add(self, row: Iterable[float]) -> None:
        """Put a row, all of whose values have room, behind the others."""
        for column, value in zip(self.columns, row, strict=True):
            column.append(value)

    def extend(self, other: Rows) -> None:
        """Put all rows of another behind these."""
        for column, more in zip(self.columns, other.columns, strict=True):
            column.extend(more)

    def part(self, start: int, end: int | None = None) -> Rows:
        """A copy of some."""
        return Rows([column[start:end] for column in self.columns])

    def forget(self, count: int) -> None:
        """Take the first ones away."""
        for column in self.columns:
            del column[:count]

    def since(self, at: float) -> Rows:
        """A copy of those that begin then or later."""
        return self.part(bisect_left(self.at, at))

    def before(self, at: float) -> Rows:
        """A copy of those that begin earlier."""
        return self.part(0, bisect_left(self.at, at))

    def packed(self) -> bytes:
        """All of it, compressed; times as steps from one to the next, which are alike."""
        steps = array("I", self.at)
        for i in range(len(steps) - 1, 0, -1):
            steps[i] = (steps[i] - steps[i - 1]) & _MOST
        data = steps.tobytes() + b"".join(column.tobytes() for column in self.columns[1:])
        return zlib.compress(data, 1)

    @classmethod
    def unpacked(cls, data: bytes, count: int) -> Self:
        """What `packed` gave.

        Raises:
            ValueError: it was not that, or not of `count` rows.
        """
        try:
            size = count * ROW_BYTES
            bare = zlib.decompressobj().decompress(data, size + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if len(bare) != size:
            msg = f"{len(bare)} bytes are not {count} rows"
            raise ValueError(msg)
        made, start = cls(), 0
        for column in made.columns:
            end = start + count * column.itemsize
            column.frombytes(bare[start:end])
            start = end
        at = made.at
        for i in range(1, count):
            at[i] = (at[i] + at[i - 1]) & _MOST
        return made

    @classmethod
    def joined(cls, parts: Iterable[Rows]) -> Rows:
        """Rows of several writers in the order of their times; those of one time are added up."""
        made = cls()
        for part in parts:
            made.extend(part)
        at = made.at
        if all(at[i - 1] < at[i] for i in range(1, len(at))):
            return made
        found: dict[int, Row] = {}
        for row in made:
            known = found.get(row.at)
            found[row.at] = row if known is None else both(known, row)
        made = cls()
        for when in sorted(found):
            made.add(found[when])
        return made


def both(one: Row, other: Row) -> Row:
    """Two rows of one step as one: counts add up, of all else it is the larger."""
    return Row(
        one.at,
        seconds=min(one.seconds + other.seconds, COARSE_S),
        taken=min(one.taken + other.taken, _MOST),
        given=min(one.given + other.given, _MOST),
        failed=min(one.failed + other.failed, _MOST),
        p50_s=_larger(one.p50_s, other.p50_s),
        p99_s=_larger(one.p99_s, other.p99_s),
        backlog=max(one.backlog, other.backlog),
        in_flight=max(one.in_flight, other.in_flight),
    )


def _larger(one: float, other: float) -> float:
    return other if math.isnan(one) or other > one else one


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at one moment: `at` is seconds since the epoch.

    `kind` is "started", "swapped", "stopped", "done", "failed", "applied" or "destroyed"; `text`
    says more, for people: "v3". `processor_id` is None for what concerns the whole flow.
    """

    at: float
    kind: str
    text: str = ""
    processor_id: str | None = None

    @property
    def said(self) -> str:
        """In a word or two."""
        return f"{self.kind} {self.text}" if self.text else self.kind


@dataclass(frozen=True, slots=True)
class History:
    """What one processor has done; nobody changes what is in it.

    `fine` rows are of a second, the last ten minutes; `coarse` ones of ten, the last day: they have
    all that the fine ones have, and the last of them may be of a step under way.
    """

    processor_id: str
    fine: Rows = field(default_factory=Rows)
    coarse: Rows = field(default_factory=Rows)
    marks: tuple[Mark, ...] = ()

    def __len__(self) -> int:
        return len(self.fine) or len(self.coarse)

    @property
    def ends_at(self) -> float | None:
        """When its last row ends, if there is one."""
        last = [rows[-1] for rows in (self.fine, self.coarse) if len(rows)]
        return max((row.at + row.seconds for row in last), default=None)

    def rows(self, since: float = 0.0, *, fine: bool = True) -> Rows:
        """Rows from `since` on: coarse ones, and with `fine` those of a second where there are any.

        No second is in two rows.
        """
        if not fine:
            return self.coarse.since(since)
        if not len(self.fine):
            return self.coarse.since(since)
        begun = self.fine.at[0] - self.fine.at[0] % COARSE_S
        step = self.coarse.since(begun).before(begun + COARSE_S)
        told = sum(self.fine.before(begun + COARSE_S).columns[1])
        # The step that the fine rows begin in is told by them only where they have all of it.
        start = begun + COARSE_S if sum(step.columns[1]) > told else begun
        return Rows.joined(
            [self.coarse.before(start).since(since), self.fine.since(max(start, since))]
        )
