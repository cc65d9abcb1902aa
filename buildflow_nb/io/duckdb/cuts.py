"""Values that DuckDB would store as others than it is given, or so that nobody can read them.

DuckDB rounds where it converts for an INSERT: 1.9 becomes 2 in a BIGINT, 1.239 becomes 1.24 in a
DECIMAL(10,2), a moment becomes its day in a DATE. So such columns are asked first whether each
value comes back as it was. FLOAT may round what has a fraction: that is what it is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from buildflow_nb.core.errors import ConversionError
from buildflow_nb.io.columns.kinds import Kind
from buildflow_nb.io.duckdb.connection import name_quoted

__all__ = ("Cut", "cutting", "refuse_cut", "refuse_no_moments")

_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999  # of Python, in UTC

_WIDTHS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMBERS = (*_WIDTHS, *(f"U{name}" for name in _WIDTHS), "DECIMAL")
_MOMENTS = ("DATE", "TIMESTAMP_S", "TIMESTAMP_MS")
# By what a column's values are: the types that cut some, and the type in which they are compared.
_CUTS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "int64": (("DOUBLE", "FLOAT", "BOOLEAN"), "BIGINT"),
    "double": (_NUMBERS, "DOUBLE"),
    "decimal": ((*_NUMBERS, "DOUBLE"), "DECIMAL(38,9)"),
    "string": (_NUMBERS, "DOUBLE"),
    "timestamp": (_MOMENTS, "TIMESTAMP"),
    "timestamptz": (_MOMENTS, "TIMESTAMPTZ"),
}


@dataclass(frozen=True, slots=True)
class Cut:
    """A column, its type, and the type in which its values are compared with what is stored."""

    name: str
    type: str
    compared: str

    @property
    def condition(self) -> str:
        """SQL that is true of a value that would be cut."""
        own = name_quoted(self.name)
        stored = f"CAST(CAST({own} AS {self.type}) AS {self.compared})"
        return f"TRY_CAST({own} AS {self.compared}) IS DISTINCT FROM {stored}"


def cutting(types: Mapping[str, str], kinds: Mapping[str, Kind]) -> Sequence[Cut]:
    """The columns of these types that would cut some values of these kinds."""
    known = {name.lower(): kind for name, kind in types.items()}  # DuckDB's names know no case
    found = []
    for name, kind in kinds.items():
        type_, (cuts, compared) = known.get(name.lower(), ""), _CUTS.get(kind.word, ((), ""))
        if type_.partition("(")[0] in cuts and type_ != compared:
            found.append(Cut(name, type_, compared))
    return found


def refuse_cut(connection: Any, table: str, cuts: Sequence[Cut]) -> None:
    """Look whether a table has values that these columns would cut.

    Raises:
        ConversionError: it does; names the first column.
    """
    if not cuts:
        return
    asked = ", ".join(f"count(*) FILTER (WHERE {cut.condition})" for cut in cuts)
    (counts,) = connection.execute(f"SELECT {asked} FROM {table}").fetchall()  # noqa: S608
    for cut, count in zip(cuts, counts, strict=True):
        if count:
            msg = f"column {cut.name!r}: {cut.type} would cut the value; round it, or widen it"
            raise ConversionError(msg)


def refuse_no_moments(table: Any) -> None:
    """Look whether an Arrow table has moments which in UTC are none of Python's, and not readable.

    Raises:
        ConversionError: it has; names the column.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for name, column in zip(table.column_names, table.columns, strict=True):
        if not pa.types.is_timestamp(column.type) or column.type.tz is None:
            continue
        ends = pc.min_max(column.cast(pa.int64()))
        first, last = ends["min"].as_py(), ends["max"].as_py()
        if first is not None and (first < _FIRST_US or last > _LAST_US):
            msg = f"column {name!r}: a moment before the year 1 or behind 9999 in UTC"
            raise ConversionError(msg)
