"""Columns of Python values as an Arrow table; pyarrow is loaded on first use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from buildflow_nb.core.errors import ConversionError
from buildflow_nb.io._kinds import Kind, has_zone, kind_of, seen_hint
from buildflow_nb.io._layout import Layout

__all__ = ("JSON_MARK", "arrow_schema", "arrow_table", "kinds_of")

JSON_MARK = b"buildflow_nb.json"  # on a field whose text is JSON, so that reading decodes it


def kinds_of(layout: Layout, columns: Sequence[Sequence[Any]]) -> dict[str, Kind]:
    """The column types, from the declared types and, where those say too little, the values."""
    found = {}
    for name, values in zip(layout.names, columns, strict=True):
        hint = layout.hints[name] if name in layout.hints else seen_hint(values)
        found[name] = kind_of(hint, zoned=any(map(has_zone, values)))
    return found


def arrow_schema(kinds: Mapping[str, Kind]) -> Any:
    """The Arrow schema of such columns."""
    import pyarrow as pa

    fields = [
        pa.field(name, _arrow_type(kind), metadata={JSON_MARK: b"1"} if kind.json else None)
        for name, kind in kinds.items()
    ]
    return pa.schema(fields)


def arrow_table(kinds: Mapping[str, Kind], schema: Any, columns: Sequence[Sequence[Any]]) -> Any:
    """The columns as a table.

    Raises:
        ConversionError: a value does not fit its column; the message names the column.
    """
    import pyarrow as pa

    arrays = []
    for (name, kind), field, values in zip(kinds.items(), schema, columns, strict=True):
        try:
            arrays.append(pa.array(kind.column(values), type=field.type))
        except (ValueError, TypeError, OverflowError, AttributeError) as error:
            reason = str(error).splitlines()[0]
            msg = f"column {name!r} ({kind.sql}): {reason}"
            raise ConversionError(msg) from error
    return pa.Table.from_arrays(arrays, schema=schema)


def _arrow_type(kind: Kind) -> Any:
    import pyarrow as pa

    if isinstance(kind.shape, tuple):
        form, inner = kind.shape
        if form == "list":
            return pa.list_(_arrow_type(inner))
        return pa.struct([pa.field(name, _arrow_type(k)) for name, k in inner.items()])
    return {
        "int64": pa.int64,
        "double": pa.float64,
        "bool": pa.bool_,
        "string": pa.string,
        "binary": pa.binary,
        "date": pa.date32,
        "time": lambda: pa.time64("us"),
        "timestamp": lambda: pa.timestamp("us"),
        "timestamptz": lambda: pa.timestamp("us", "UTC"),
        "duration": lambda: pa.duration("us"),
        "decimal": lambda: pa.decimal128(38, 9),
    }[kind.shape]()
