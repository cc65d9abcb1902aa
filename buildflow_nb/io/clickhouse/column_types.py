"""Columns of elements as ClickHouse has them: the types, and what Arrow cannot carry there.

ClickHouse has no missing lists: one that is missing arrives empty. A record that may be missing is
kept as JSON text, since a Tuple cannot be missing, and so is what has no type there. Times of a day
are text, durations whole microseconds. Of days and moments outside of its years ClickHouse says
nothing and shows others, so they are looked for here.
Source: ClickHouse documentation, "Data types", and "Arrow" of "Formats".
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from typing import Any

from buildflow_nb.io.columns.element_columns import Column
from buildflow_nb.io.columns.kinds import Kind

__all__ = ("adapted", "column_type", "quoted", "strange_times")

_TYPES = {
    "int64": "Int64",
    "double": "Float64",
    "bool": "Bool",
    "string": "String",
    "binary": "String",
    "date": "Date32",
    "time": "String",
    "timestamp": "DateTime64(6)",
    "timestamptz": "DateTime64(6, 'UTC')",
    "duration": "Int64",
    "decimal": "Decimal(38, 9)",
    "uuid": "UUID",
    "json": "String",
}

_FIRST = {
    "date": dt.date(1900, 1, 1),
    "timestamp": dt.datetime(1900, 1, 1),
    "timestamptz": dt.datetime(1900, 1, 1, tzinfo=dt.UTC),
}
_END = {word: first.replace(year=2300) for word, first in _FIRST.items()}


def quoted(name: str) -> str:
    """A name as an identifier, whatever is in it."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def column_type(kind: Kind) -> str:
    """The type of a column."""
    if _as_json(kind):
        return "Nullable(String)" if kind.optional else "String"
    if kind.word == "list":
        return f"Array({column_type(kind.shape[1])})"
    if kind.word == "struct":
        fields = (f"{quoted(name)} {column_type(one)}" for name, one in kind.shape[1].items())
        return f"Tuple({', '.join(fields)})"
    return f"Nullable({_TYPES[kind.word]})" if kind.optional else _TYPES[kind.word]


def strange_times(table: Any, columns: Sequence[Column]) -> Iterator[tuple[int, str]]:
    """Rows with a day or moment that ClickHouse does not have, and the name of the column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for i, (name, kind, _) in enumerate(columns):
        if kind.word in _FIRST:
            values = table.column(i)
            first, end = pa.array([_FIRST[kind.word], _END[kind.word]], values.type)
            strange = pc.or_(pc.less(values, first), pc.greater_equal(values, end))
            for row in pc.indices_nonzero(strange).to_pylist():
                yield row, name


def adapted(table: Any, columns: Sequence[Column]) -> Any:
    """The Arrow table with every column in a form that ClickHouse takes for its type."""
    made = [_adapted(table.column(i), kind) for i, (_, kind, _) in enumerate(columns)]
    return type(table).from_arrays(made, names=[column.name for column in columns])


def _as_json(kind: Kind) -> bool:
    """Whether a column holds JSON text, for want of a type."""
    if kind.word == "struct":
        return kind.optional or any(map(_as_json, kind.shape[1].values()))
    return kind.word == "list" and _as_json(kind.shape[1])


def _adapted(values: Any, kind: Kind) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if _as_json(kind):
        found = values.to_pylist()
        texts = [None if one is None else json.dumps(one, default=str) for one in found]
        return pa.array(texts, pa.string())
    if kind.word == "time":
        return pc.cast(values, pa.string())
    if kind.word == "duration":
        return pc.cast(values, pa.int64())
    if kind.word in ("list", "struct") and _holds(kind, ("time", "duration")):
        return pa.array([_plain(one, kind) for one in values.to_pylist()])
    if kind.word == "list" and values.null_count:
        return pc.fill_null(values, pa.scalar([], values.type))
    return values


def _holds(kind: Kind, words: Sequence[str]) -> bool:
    if kind.word == "list":
        return _holds(kind.shape[1], words)
    if kind.word == "struct":
        return any(_holds(one, words) for one in kind.shape[1].values())
    return kind.word in words


def _plain(value: Any, kind: Kind) -> Any:
    """A nested value with texts for times and microseconds for durations."""
    if value is None:
        return [] if kind.word == "list" else None
    if kind.word == "list":
        return [_plain(one, kind.shape[1]) for one in value]
    if kind.word == "struct":
        return {name: _plain(value[name], one) for name, one in kind.shape[1].items()}
    if kind.word == "time":
        return value.isoformat()
    if kind.word == "duration":
        return (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
    return value
