"""Columns of elements as Snowflake has them, and how each gets there from a Parquet file.

What Parquet and Snowflake do not both have goes as text: bytes in hexadecimal, times of a day, and
as JSON what is semi-structured. Durations are whole microseconds.
Source: Snowflake documentation, "Summary of data types", "Transforming data during a load".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from operator import methodcaller
from typing import Any

from buildflow_nb.io.columns.element_columns import Column
from buildflow_nb.io.columns.kinds import Kind

__all__ = ("column_type", "copy_into", "parquet_of", "quoted")

_TYPES = {
    "int64": "NUMBER(38, 0)",
    "double": "FLOAT",
    "bool": "BOOLEAN",
    "string": "VARCHAR",
    "binary": "BINARY",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP_NTZ",
    "timestamptz": "TIMESTAMP_TZ",
    "duration": "NUMBER(38, 0)",
    "decimal": "NUMBER(38, 9)",
    "uuid": "VARCHAR",
    "json": "VARIANT",
    "list": "ARRAY",
    "struct": "OBJECT",
}
_STRUCTURED = ("json", "list", "struct")


def quoted(name: str) -> str:
    """A name as an identifier, in the case in which it is written."""
    return '"' + name.replace('"', '""') + '"'


def column_type(kind: Kind) -> str:
    """The type of a column."""
    return _TYPES[kind.word]


def copy_into(table: str, files: str, columns: Sequence[Column]) -> str:
    """The COPY of files that `parquet_of` made."""
    names = ", ".join(quoted(column.name) for column in columns)
    return (
        f"COPY INTO {table} ({names}) FROM (SELECT {loaded(columns)} FROM {files})"  # noqa: S608
        " FILE_FORMAT = (TYPE = PARQUET)"
    )


def loaded(columns: Sequence[Column]) -> str:
    """What a COPY selects of a file that `parquet_of` made: column `i` is called `c<i>` there."""
    return ", ".join(_selected(f'$1:"c{i}"', kind) for i, (_, kind, _) in enumerate(columns))


def _selected(value: str, kind: Kind) -> str:
    if kind.word in _STRUCTURED:
        parsed = f"PARSE_JSON({value}::VARCHAR)"
        return parsed if kind.word == "json" else f"{parsed}::{_TYPES[kind.word]}"
    if kind.word == "binary":
        return f"TO_BINARY({value}::VARCHAR, 'HEX')"
    return f"{value}::{_TYPES[kind.word]}"


def parquet_of(table: Any, columns: Sequence[Column]) -> bytes:
    """The rows of an Arrow table as one Parquet file, in forms that a COPY can load."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = [_carried(table.column(i), kind) for i, (_, kind, _) in enumerate(columns)]
    named = pa.Table.from_arrays(made, names=[f"c{i}" for i in range(len(made))])
    file = pa.BufferOutputStream()
    pq.write_table(named, file, compression="snappy")
    return bytes(file.getvalue())


def _carried(values: Any, kind: Kind) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind.word == "json":
        return values  # it is text already
    if kind.word in ("list", "struct"):
        return pa.array([_text(one, kind) for one in values.to_pylist()], pa.string())
    if kind.word == "binary":
        found = [None if one is None else one.hex() for one in values.to_pylist()]
        return pa.array(found, pa.string())
    if kind.word == "time":
        return pc.cast(values, pa.string())
    return pc.cast(values, pa.int64()) if kind.word == "duration" else values


def _text(value: Any, kind: Kind) -> str | None:
    return None if value is None else json.dumps(_plain(value, kind))


def _plain(value: Any, kind: Kind) -> Any:
    """A value as JSON has it; numbers with decimals that JSON would round are text."""
    if value is None:
        return None
    if kind.word == "list":
        return [_plain(one, kind.shape[1]) for one in value]
    if kind.word == "struct":
        return {name: _plain(value[name], one) for name, one in kind.shape[1].items()}
    plain = _PLAIN.get(kind.word)
    return value if plain is None else plain(value)


def _microseconds(value: Any) -> int:
    return (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds  # type: ignore[no-any-return]


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "json": json.loads,
    "binary": bytes.hex,
    "duration": _microseconds,
    "decimal": str,
    **dict.fromkeys(("date", "time", "timestamp", "timestamptz"), methodcaller("isoformat")),
}
