"""From the columns of elements to BigQuery's and to the Arrow that it takes, and the other way.

Not every type has one: an array holds no arrays and nothing that may be missing, and a span of time
is kept as its microseconds, an INTEGER. A list that is None becomes an empty one, since BigQuery
has no other.

Source: BigQuery documentation, "Data types"; Storage Write API, "Arrow data type mapping".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from buildflow_nb.core.errors import DeclarationError, PermanentError
from buildflow_nb.io.columns.element_columns import Column, ElementColumns, columns_given
from buildflow_nb.io.columns.kinds import PLAIN_KINDS, Kind, list_kind, struct_kind

__all__ = ("check_columns", "columns_there", "misfits", "schema_json", "wire_rows", "wire_schema")

TYPES = {
    "int64": "INTEGER",
    "double": "FLOAT",
    "bool": "BOOLEAN",
    "string": "STRING",
    "binary": "BYTES",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "DATETIME",
    "timestamptz": "TIMESTAMP",
    "duration": "INTEGER",
    "decimal": "NUMERIC",
    "uuid": "STRING",
    "json": "JSON",
}
_ALIASES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
_TAKEN = {"json": ("JSON", "STRING"), "decimal": ("NUMERIC", "BIGNUMERIC")}  # else the one type
_WORDS = {
    **{name: word for word, name in TYPES.items() if word not in ("duration", "uuid")},
    "BIGNUMERIC": "decimal",
}
Field = Mapping[str, Any]  # of BigQuery's JSON


def check_columns(owner: str, columns: Sequence[Column]) -> None:
    """Look whether BigQuery can have such columns.

    Raises:
        DeclarationError: it cannot; `owner` opens the message.
    """
    seen: dict[str, str] = {}
    for name, kind, _ in columns:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            msg = f"{owner}: columns {other!r} and {name!r} are one to BigQuery; rename one"
            raise DeclarationError(msg)
        _check_kind(f"{owner}: column {name!r}", kind)


def _check_kind(where: str, kind: Kind) -> None:
    if kind.word == "struct":
        for name, part in kind.shape[1].items():
            _check_kind(f"{where}, field {name!r}", part)
    elif kind.word == "list":
        inner = kind.shape[1]
        if inner.word == "list" or inner.optional:
            what = "arrays" if inner.word == "list" else "missing values"
            msg = f"{where}: BigQuery has no arrays that hold {what}; use a record inside"
            raise DeclarationError(msg)
        _check_kind(where, inner)


def schema_json(columns: Sequence[Column]) -> str:
    """The schema of a table with such columns, as BigQuery's JSON."""
    return json.dumps([_field(name, kind) for name, kind, _ in columns])


def _field(name: str, kind: Kind) -> dict[str, Any]:
    mode = "NULLABLE" if kind.optional else "REQUIRED"
    if kind.word == "list":
        return {**_field(name, kind.shape[1]), "mode": "REPEATED"}
    if kind.word == "struct":
        fields = [_field(part, inner) for part, inner in kind.shape[1].items()]
        return {"name": name, "type": "RECORD", "mode": mode, "fields": fields}
    return {"name": name, "type": TYPES[kind.word], "mode": mode}


def columns_there(fields: Sequence[Field], table: str) -> ElementColumns:
    """The columns of a table that is there, for elements without a declared type.

    Raises:
        PermanentError: it has a column of a type that cannot be written from here.
    """
    return columns_given(
        [Column(one["name"], _kind(one, table), one.get("mode") != "REQUIRED") for one in fields]
    )


def _kind(field: Field, table: str) -> Kind:
    named = _ALIASES.get(field["type"], field["type"])
    if named == "RECORD":
        kind = struct_kind({part["name"]: _kind(part, table) for part in field["fields"]})
    elif named in _WORDS:
        kind = PLAIN_KINDS[_WORDS[named]]
    else:
        msg = f"table {table} has a column {field['name']!r} of type {named}, which is not written"
        raise PermanentError(msg)
    return list_kind(kind) if field.get("mode") == "REPEATED" else kind


def misfits(columns: Sequence[Column], fields: Sequence[Field]) -> Iterator[str]:
    """Why elements with such columns do not go into a table with such fields."""
    known = {field["name"].lower(): field for field in fields}
    for name, kind, _ in columns:
        field = known.pop(name.lower(), None)
        if field is None:
            yield f"it has no column {name!r} ({_said(_field(name, kind))})"
        else:
            yield from _differences(name, kind, field)
    for field in known.values():
        if field.get("mode") == "REQUIRED":
            yield f"its column {field['name']!r} is REQUIRED, and the elements have none"


def _differences(where: str, kind: Kind, field: Field) -> Iterator[str]:
    repeated = field.get("mode") == "REPEATED"
    named = _ALIASES.get(field["type"], field["type"])
    inner = kind.shape[1] if kind.word == "list" else kind
    wanted = ("RECORD",) if inner.word == "struct" else _TAKEN.get(inner.word, ())
    wanted = wanted or (TYPES.get(inner.word, "nothing"),)
    if repeated != (kind.word == "list") or named not in wanted:
        yield f"its column {where!r} is {_said(field)}, not {_said(_field(where, kind))}"
    elif named == "RECORD":
        parts = [Column(name, part, part.optional) for name, part in inner.shape[1].items()]
        for one in misfits(parts, field["fields"]):
            yield f"in {where!r} {one}"


def _said(field: Field) -> str:
    named = _ALIASES.get(field["type"], field["type"])
    return f"REPEATED {named}" if field.get("mode") == "REPEATED" else str(named)


def wire_schema(columns: ElementColumns) -> Any:
    """The Arrow schema in which rows are sent."""
    import pyarrow as pa

    return pa.schema([pa.field(part.name, _wire_type(part.type)) for part in columns.arrow])


def wire_rows(table: Any, schema: Any) -> Any:
    """A table of elements as the one that is sent."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for column, kind in zip(table.columns, schema.types, strict=True):
        made = column if column.type == kind else column.cast(kind)
        if made.null_count and pa.types.is_list(kind):
            made = pc.fill_null(made, pa.scalar([], kind))
        columns.append(made)
    return pa.Table.from_arrays(columns, schema=schema)


def _wire_type(kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_duration(kind):
        return pa.int64()
    if pa.types.is_list(kind):
        return pa.list_(_wire_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(part.name, _wire_type(part.type)) for part in kind])
    return kind
