"""Elements as one Arrow table by the columns of their type: the one way from elements to stores.

The declared type says the columns, never the values, so each table of a sink has the same schema,
an empty one too. A value is in the table as what it is, or its element is not in it: fractions do
not become integers, nothing is cut to 64 bits, to microseconds or to nine decimals, and only
columns that may be without a value are. The elements at fault are found before anything is sent.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from buildflow_nb.core.conversion.fields_written import fields_written
from buildflow_nb.core.errors import ConversionError, DeclarationError
from buildflow_nb.io.columns.arrow import arrow_field, kinds_of
from buildflow_nb.io.columns.kinds import Kind, kind_of
from buildflow_nb.io.columns.layout import Layout, declared_layout, seen_layout

__all__ = ("Column", "ElementColumns", "Fitted", "columns_given", "columns_of", "columns_seen")


_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999  # of the years 1 and 9999


class Column(NamedTuple):
    """A column: its name, its type, and whether a value may be missing."""

    name: str
    kind: Kind
    optional: bool


@dataclass(frozen=True, slots=True)
class Fitted:
    """Elements as a table: row `i` is the element at position `kept[i]` of those given.

    `faults` say, by position, why the others are not in it.
    """

    table: Any
    kept: Sequence[int]
    faults: Mapping[int, Exception]


class ElementColumns:
    """The ordered columns of elements, and how these get into an Arrow table.

    `columns` are the columns. `arrow` is their `pyarrow.Schema`; its fields, nested ones too, are
    nullable where a value may be missing, and JSON is text whose field has the mark `JSON_MARK`.
    """

    def __init__(self, layout: Layout, kinds: Mapping[str, Kind]) -> None:
        import pyarrow as pa

        self._layout = layout
        self.columns = tuple(Column(name, kinds[name], kinds[name].optional) for name in kinds)
        self.arrow: Any = pa.schema(
            [arrow_field(name, kind, exact=True) for name, kind in kinds.items()]
        )

    def __repr__(self) -> str:
        shown = (f"{name}: {kind.word}{' | None' * lax}" for name, kind, lax in self.columns)
        return f"{type(self).__name__}({', '.join(shown)})"

    def fit(self, items: Sequence[object]) -> Fitted:
        """All items as one table, in order, but those at fault; each fault names its column.

        Several times faster where none is at fault.
        """
        import pyarrow as pa

        faults: dict[int, Exception] = {}
        kept, columns = self._read(items, faults)
        try:
            made = [
                _array(column, field, values)
                for column, field, values in zip(self.columns, self.arrow, columns, strict=True)
            ]
        except ConversionError:
            for column, field, values in zip(self.columns, self.arrow, columns, strict=True):
                _find_faults(column, field, values, kept, faults)
            sound = [i for i, at in enumerate(kept) if at not in faults]
            kept = [kept[i] for i in sound]
            made = [
                _array(column, field, [values[i] for i in sound])
                for column, field, values in zip(self.columns, self.arrow, columns, strict=True)
            ]
        table = pa.Table.from_arrays(made, schema=self.arrow)
        return Fitted(table, kept, dict(sorted(faults.items())))

    def plain(self, items: Sequence[object]) -> list[list[Any]] | None:
        """The values column by column where each is just what its column holds; else None.

        Ten times as fast as `fit`, for stores whose clients take Python's own values.
        """
        try:
            columns = self._layout.columns(items)
        except ConversionError:
            return None
        sound = all(
            _is_plain(column, values) for column, values in zip(self.columns, columns, strict=True)
        )
        return columns if sound else None

    def _read(
        self, items: Sequence[object], faults: dict[int, Exception]
    ) -> tuple[Sequence[int], list[list[Any]]]:
        """The values by column, of the items that have them, and the positions of those."""
        try:
            return range(len(items)), self._layout.columns(items)
        except ConversionError:
            kept: list[int] = []
            columns: list[list[Any]] = [[] for _ in self.columns]
            for i, item in enumerate(items):
                try:
                    row = self._layout.columns([item])
                except ConversionError as error:
                    faults[i] = error
                    continue
                kept.append(i)
                for values, (value,) in zip(columns, row, strict=True):
                    values.append(value)
            return kept, columns


def columns_of(element: object, *, zoned: bool = True) -> ElementColumns | None:
    """The columns of a declared type; None where it does not say them (`dict`, `Any`, `None`).

    With `zoned` every datetime is a moment in UTC, one without a zone too; without it, none may
    have a zone.

    Raises:
        DeclarationError: the type has no fields.
    """
    layout = declared_layout(element)
    if layout is None:
        return None
    if not layout.names:
        name = getattr(element, "__name__", element)
        msg = f"{name} has no fields, so it is no row of a table; give it one"
        raise DeclarationError(msg)
    written = fields_written(element)
    lacking = written.lacking if written is not None else ()
    kinds = {
        name: _optional(kind_of(hint, zoned=zoned), also=name in lacking)
        for name, hint in layout.hints.items()
    }
    return ElementColumns(layout, kinds)


def columns_seen(items: Sequence[object], *, zoned: bool = True) -> ElementColumns:
    """The columns of elements without a declared type, as these have them; all are optional.

    Elements that cannot be read are left to `ElementColumns.fit`.

    Raises:
        ConversionError: none of them has a field.
    """
    layout = seen_layout(items)
    if not layout.names:
        msg = "the element has no fields"
        raise ConversionError(msg)
    rows = []
    for item in items:
        try:
            rows.append([value for (value,) in layout.columns([item])])
        except ConversionError:
            continue
    columns = [list(values) for values in zip(*rows, strict=True)]
    kinds = kinds_of(layout, columns, zoned=zoned)
    return ElementColumns(layout, {name: _optional(kind) for name, kind in kinds.items()})


def columns_given(columns: Sequence[Column]) -> ElementColumns:
    """The columns of a table that is there, for elements without a declared type.

    `PLAIN_KINDS`, `list_kind` and `struct_kind` are what their types are made of.
    """
    kinds = {name: _optional(kind, also=optional) for name, kind, optional in columns}
    return ElementColumns(Layout(tuple(kinds), {}), kinds)


def _optional(kind: Kind, *, also: bool = True) -> Kind:
    return replace(kind, optional=True) if also else kind


# What each word's values are in Python, for the words whose type says enough.
_PLAIN_TYPES: Mapping[str, type] = {
    "int64": int,
    "double": float,
    "bool": bool,
    "string": str,
    "binary": bytes,
    "date": dt.date,
    "duration": dt.timedelta,
    "uuid": uuid.UUID,
    "timestamptz": dt.datetime,
}


def _is_plain(column: Column, values: Sequence[Any]) -> bool:
    """Whether the values are of their column's own type, and none has to be looked at closer."""
    _, kind, optional = column
    types = set(map(type, values))
    if optional:
        types.discard(type(None))
    if not types:
        return True
    if types != {_PLAIN_TYPES.get(kind.word)}:
        return False
    if kind.word == "timestamptz":  # UTC's years are Python's; of other zones they may not be
        zones = {value.tzinfo for value in values if value is not None}
        return zones == {dt.UTC}
    return True


def _array(column: Column, field: Any, values: Sequence[Any]) -> Any:
    """The values as an Arrow array.

    Raises:
        ConversionError: one of them does not fit; the message names the column.
    """
    import pyarrow as pa

    name, kind, _ = column
    try:
        made = pa.array(kind.column(values), type=field.type)
        _demand_values(made, kind)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"column {name!r} ({kind.word}): {reason}"
        raise ConversionError(msg) from error
    return made


def _demand_values(made: Any, kind: Kind) -> None:
    """Raises: ValueError: a value is missing that may not, wherever in the column."""
    for part in getattr(made, "chunks", ()):  # of more than two gigabytes
        _demand_values(part, kind)
    if hasattr(made, "chunks"):
        return
    if made.null_count and not kind.optional:
        msg = "there is no value, and it may not be missing; give one, or declare it `| None`"
        raise ValueError(msg)
    if kind.word == "timestamptz":
        _demand_years(made)
    if not isinstance(kind.shape, tuple):
        return
    if made.null_count:
        made = made.drop_null()  # what is inside of nothing is not missing
    form, inner = kind.shape
    if form == "list":
        _demand_values(made.flatten(), inner)
        return
    for (name, part), values in zip(inner.items(), made.flatten(), strict=True):
        try:
            _demand_values(values, part)
        except ValueError as error:
            msg = f"field {name!r}: {error}"
            raise ValueError(msg) from None


def _demand_years(made: Any) -> None:
    """Raises: ValueError: a moment is in UTC in a year that neither Python nor stores have."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.min_max(made.cast(pa.int64())).as_py()
    if found["min"] is not None and (found["min"] < _FIRST_US or found["max"] > _LAST_US):
        msg = "a moment is out of range, which has in UTC the years 1 to 9999"
        raise ValueError(msg)


def _find_faults(
    column: Column,
    field: Any,
    values: Sequence[Any],
    kept: Sequence[int],
    faults: dict[int, Exception],
) -> None:
    """Find the values of a column that do not fit, by halving; the first fault of an item stays."""

    def narrow(first: int, behind: int) -> None:
        try:
            _array(column, field, values[first:behind])
        except ConversionError as error:
            if behind - first == 1:
                faults.setdefault(kept[first], error)
                return
            middle = (first + behind) // 2
            narrow(first, middle)
            narrow(middle, behind)

    narrow(0, len(values))
