"""Values that the columns of a table that is there would hold as others.

Snowflake rounds numbers to a column's decimals and cuts moments to its steps without a word; so
values are compared with the types of the columns before they are sent.
Source: Snowflake documentation, "Summary of data types", "COLUMNS view".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

from buildflow_nb.io.columns.element_columns import Column
from buildflow_nb.io.columns.misfits import (
    DAY_US,
    beyond_bytes,
    not_decimal,
    not_float,
    not_moment,
)

__all__ = ("ExistingColumn", "misfits")

_NUMBERS = ("NUMBER", "DECIMAL", "NUMERIC")
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999  # of the years 1 and 9999


class ExistingColumn(NamedTuple):
    """A column of a table, as the information schema has it."""

    type: str
    precision: int | None
    scale: int | None
    letters: int | None
    moment_digits: int | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The column that a row of the view COLUMNS tells of."""
        return cls(
            row["data_type"],
            row["numeric_precision"],
            row["numeric_scale"],
            row["character_maximum_length"],
            row.get("datetime_precision"),
        )


def misfits(
    table: Any, columns: Sequence[Column], existing: Mapping[str, ExistingColumn]
) -> Iterator[tuple[int, str]]:
    """Rows of an Arrow table with a value that its column would not hold, and why."""
    import pyarrow.compute as pc

    for i, (name, kind, _) in enumerate(columns):
        there = existing.get(name)
        if there is None or kind.word in ("json", "list", "struct"):
            continue
        mask = _mask(table.column(i).combine_chunks(), there)
        if mask is not None:
            reason = f"column {name!r} is {_said(there)} in the table, which does not hold this"
            for row in pc.indices_nonzero(mask).to_pylist():
                yield row, f"{reason} value"


def _mask(values: Any, there: ExistingColumn) -> Any:
    """True where a value is held as another one; None where nothing is known against any."""
    word = there.type.upper()
    if word in _NUMBERS and there.precision is not None:
        return not_decimal(values, int(there.precision), int(there.scale or 0))
    if word == "FLOAT":
        return not_float(values, 2**53, float("inf"))
    if word in ("TEXT", "VARCHAR") and there.letters is not None:
        return beyond_bytes(values, int(there.letters), letters=True)
    if word == "DATE":
        return not_moment(values, _FIRST_US, _LAST_US, DAY_US)
    if word.startswith("TIMESTAMP") and there.moment_digits is not None:
        step = 10 ** max(6 - int(there.moment_digits), 0)
        return not_moment(values, _FIRST_US, _LAST_US, step)
    return None


def _said(there: ExistingColumn) -> str:
    if there.type.upper() in _NUMBERS and there.precision is not None:
        return f"{there.type}({there.precision}, {there.scale or 0})"
    detail = there.letters if there.letters is not None else there.moment_digits
    return there.type if detail is None else f"{there.type}({detail})"
