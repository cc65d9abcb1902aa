"""Rows of text that share a header: to anybody a sequence of dicts, to a decoder its columns.

To make a dict of every row and read it field by field costs twice what a row's conversion does
column by column. So a source hands out the rows as they are, and dicts are made for whoever wants
them. The conversion by column is msgspec's own, of the same types, so it gives the same values; it
is for plain dataclasses of plain types, and where it fails in anything, the rows are converted as
dicts, which says what is at fault.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, overload

import msgspec

from buildflow_nb.core.conversion.annotations import is_pydantic, optional_of, record_hints

__all__ = ("TextRows", "column_converter", "joined")

Convert = Callable[["TextRows"], list[object] | None]
# What msgspec reads of text without help, and makes of it what nobody can change.
_PLAIN = frozenset({int, float, bool, str, dt.datetime, dt.date})


class TextRows(Sequence[dict[str, str]]):
    """Rows as long as their `header`; a field that is one of `missing` counts as empty."""

    __slots__ = ("header", "missing", "rows")

    def __init__(
        self,
        header: Sequence[str],
        rows: Sequence[Sequence[str]],
        missing: frozenset[str] = frozenset(),
    ) -> None:
        self.header = tuple(header)
        self.rows = rows
        self.missing = missing

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, str]]:
        return map(self._record, self.rows)

    @overload
    def __getitem__(self, at: int) -> dict[str, str]: ...

    @overload
    def __getitem__(self, at: slice) -> TextRows: ...

    def __getitem__(self, at: int | slice) -> dict[str, str] | TextRows:
        if isinstance(at, slice):
            return TextRows(self.header, self.rows[at], self.missing)
        return self._record(self.rows[at])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self))

    def _record(self, row: Sequence[str]) -> dict[str, str]:
        missing = self.missing
        if missing and not missing.isdisjoint(row):
            row = ["" if field in missing else field for field in row]
        return dict(zip(self.header, row, strict=True))


def joined(parts: Sequence[Sequence[object]]) -> Sequence[object]:
    """The elements of all parts, as rows where all parts are rows of one form."""
    first = parts[0]
    if type(first) is TextRows and all(_alike(first, part) for part in parts):
        rows = [row for part in parts for row in part.rows]  # type: ignore[attr-defined]
        return TextRows(first.header, rows, first.missing)
    return [element for part in parts for element in part]


def _alike(first: TextRows, part: object) -> bool:
    return type(part) is TextRows and part.header == first.header and part.missing == first.missing


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    many: Any  # the type of a list of its values
    blank: str | None  # what an empty field is
    converted: bool


def column_converter(hint: object) -> Convert | None:
    """What makes instances of a type of rows, or says by None that it cannot, and another has to.

    None where the type is more than a plain dataclass of plain types.
    """
    plain = _plain_fields(hint)
    if plain is None:
        return None
    made: Any = hint

    def convert(rows: TextRows) -> list[object] | None:
        try:
            columns = dict(zip(rows.header, zip(*rows.rows, strict=True), strict=True))
            found = [_values(columns[field.name], field, rows.missing) for field in plain]
            return list(map(made, *found))
        except Exception:  # noqa: BLE001  (whatever it is, the other way tells it)
            return None

    return convert


def _values(column: Sequence[str], field: _Field, missing: frozenset[str]) -> Sequence[object]:
    values: Sequence[object] = column
    blanks = missing if field.blank is not None else {*missing, ""}
    if any(blank in column for blank in blanks):
        values = [field.blank if value in blanks else value for value in column]
    if not field.converted:
        return values
    return msgspec.convert(values, field.many, strict=False)  # type: ignore[no-any-return]


def _plain_fields(hint: object) -> list[_Field] | None:
    """The fields in the order of the arguments, where instances are made of them and no more."""
    if not isinstance(hint, type) or not is_dataclass(hint) or is_pydantic(hint):
        return None
    own: Any = vars(hint)
    parameters = own.get("__dataclass_params__")
    if (
        type(hint) is not type
        or parameters is None
        or not parameters.init
        or hint.__new__ is not object.__new__
        or (hint.__setattr__ is not object.__setattr__ and not parameters.frozen)
        or hasattr(hint, "__post_init__")
        or not all(field.init and not field.kw_only for field in fields(hint))
    ):
        return None
    found = []
    for name, kind in record_hints(hint).items():
        inner, optional = optional_of(kind)
        if inner not in _PLAIN:
            return None
        many: Any = list[kind]  # type: ignore[valid-type]
        blank = None if optional else ""
        found.append(_Field(name, many, blank, converted=kind is not str))
    return found or None
