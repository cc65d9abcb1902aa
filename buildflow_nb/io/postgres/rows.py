"""Elements as rows for asyncpg: Python's values, each in the form that its column's codec takes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from buildflow_nb.core.conversion.json_forms import value_json
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.io.columns.element_columns import Column, ElementColumns
from buildflow_nb.io.partial_push import ELEMENT_FAULTS
from buildflow_nb.io.postgres.columns import JSONS, TEXTS, Found
from buildflow_nb.io.postgres.values import has_last_days

__all__ = ("Rows", "converters", "rows_of")

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows, column by column; `faults` say, by position, why an element is no row.

    Row `i` is the element at position `kept[i]`.
    """

    columns: Sequence[Sequence[Any]]
    kept: Sequence[int]
    faults: Mapping[int, Exception] = field(default_factory=dict)
    extreme: bool = False  # whether the first or the last moment of Python's is in them

    def __len__(self) -> int:
        return len(self.kept)

    def records(self) -> Iterator[tuple[Any, ...]]:
        """The rows, as the client takes them."""
        return zip(*self.columns, strict=True)

    def part(self, first: int, behind: int) -> Rows:
        """The rows between two numbers."""
        return Rows([column[first:behind] for column in self.columns], self.kept[first:behind])

    def only(self, chosen: Sequence[int]) -> Rows:
        """The rows of these numbers, in their order."""
        if len(chosen) == len(self):
            return self
        columns = [[column[i] for i in chosen] for column in self.columns]
        return Rows(columns, [self.kept[i] for i in chosen], self.faults, self.extreme)


def rows_of(
    columns: ElementColumns, converts: Mapping[str, Convert], items: Sequence[object]
) -> Rows:
    """The elements as rows; those at fault are found before anything is sent."""
    values = columns.plain(items)
    kept: Sequence[int] = range(len(items))
    faults: dict[int, Exception] = {}
    if values is None:
        fitted = columns.fit(items)
        values = [column.to_pylist() for column in fitted.table.columns]
        kept, faults = fitted.kept, dict(fitted.faults)
    extreme = False
    for at, (name, kind, _) in enumerate(columns.columns):
        extreme = extreme or has_last_days(values[at], kind.word)
        convert = converts.get(name)
        if convert is not None:
            values[at] = _converted(convert, name, values[at], kept, faults)
    found = Rows(values, kept, faults, extreme)
    return found.only([i for i, at in enumerate(kept) if at not in faults]) if faults else found


def _converted(
    convert: Convert,
    name: str,
    values: Sequence[Any],
    kept: Sequence[int],
    faults: dict[int, Exception],
) -> list[Any]:
    """The values converted; those at fault are None, and noted."""
    made = []
    for at, value in zip(kept, values, strict=True):
        try:
            made.append(None if value is None else convert(value))
        except ELEMENT_FAULTS as error:
            faults[at] = ConversionError(f"column {name!r}: {error}")
            made.append(None)
    return made


def converters(columns: Sequence[Column], found: Mapping[str, Found]) -> dict[str, Convert]:
    """What makes the form that a column's codec takes of a value, for columns that need it."""
    made: dict[str, Convert] = {}
    for name, kind, _ in columns:
        there = found[name]
        if there.type in JSONS and kind.word in ("list", "struct"):
            made[name] = lambda value: value_json(value).decode()
        elif there.type == "timestamp" and kind.word == "timestamptz":
            made[name] = _in_utc
        elif there.type in TEXTS and kind.word == "uuid":
            made[name] = str
    return made


def _in_utc(value: dt.datetime) -> dt.datetime:
    return value.astimezone(dt.UTC).replace(tzinfo=None)
