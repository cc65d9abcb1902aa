"""The types of columns: BigQuery's names, Arrow's types, DuckDB's SQL.

DuckDB keeps NOT NULL for columns; what is REQUIRED inside a record is looked after by whoever
takes rows in. A repeated column is never NULL, as with Google: nothing is the empty list.

Source: BigQuery REST reference, "TableFieldSchema"; Storage Write API, "Arrow data type mapping".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from buildflow_nb.local_cloud.bigquery.refusal import invalid, not_served

__all__ = (
    "Field",
    "arrow_schema",
    "field_of_arrow",
    "field_of_engine",
    "fields_of",
    "quoted",
    "type_named",
)

JSON_MARK, JSON_NAME = b"ARROW:extension:name", b"google:sqlType:json"  # on text that is JSON
US = pa.timestamp("us", "UTC")
_ALIASES = {
    "INT64": "INTEGER",
    "FLOAT64": "FLOAT",
    "BOOL": "BOOLEAN",
    "STRUCT": "RECORD",
    "DECIMAL": "NUMERIC",
}
_PLAIN: Mapping[str, tuple[pa.DataType, str]] = {
    "INTEGER": (pa.int64(), "BIGINT"),
    "FLOAT": (pa.float64(), "DOUBLE"),
    "BOOLEAN": (pa.bool_(), "BOOLEAN"),
    "STRING": (pa.string(), "VARCHAR"),
    "BYTES": (pa.binary(), "BLOB"),
    "DATE": (pa.date32(), "DATE"),
    "TIME": (pa.time64("us"), "TIME"),
    "DATETIME": (pa.timestamp("us"), "TIMESTAMP"),
    "TIMESTAMP": (US, "TIMESTAMPTZ"),
    "NUMERIC": (pa.decimal128(38, 9), "DECIMAL(38, 9)"),
    "JSON": (pa.string(), "JSON"),
}
_KNOWN_ELSEWHERE = ("BIGNUMERIC", "BIGDECIMAL", "GEOGRAPHY", "INTERVAL", "RANGE", "FOREIGN")
_ENGINE = {  # by the ids of DuckDB's types; those that no column here has are what queries give
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint", "hugeint"), "INTEGER"),
    **dict.fromkeys(("utinyint", "usmallint", "uinteger", "ubigint", "uhugeint"), "INTEGER"),
    **dict.fromkeys(("float", "double"), "FLOAT"),
    **dict.fromkeys(("varchar", "enum", "uuid"), "STRING"),
    **dict.fromkeys(("timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns"), "DATETIME"),
    "boolean": "BOOLEAN",
    "blob": "BYTES",
    "date": "DATE",
    "time": "TIME",
    "timestamp with time zone": "TIMESTAMP",
    "decimal": "NUMERIC",
    '"null"': "INTEGER",  # of SELECT NULL, as with Google
    "null": "INTEGER",
    "sqlnull": "INTEGER",
}


def quoted(name: str) -> str:
    """A name as SQL; DuckDB reserves words that BigQuery does not."""
    return '"' + name.replace('"', '""') + '"'


def type_named(name: object) -> str:
    """The canonical name of a type.

    Raises:
        RefusedError: there is none, or it is not served.
    """
    text = str(name).upper()
    found = _ALIASES.get(text, text)
    if found in _KNOWN_ELSEWHERE:
        msg = f"columns of type {text}"
        raise not_served(msg)
    if found != "RECORD" and found not in _PLAIN:
        msg = f"Invalid value for type: {name} is not a valid value"
        raise invalid(msg)
    return found


@dataclass(frozen=True, slots=True)
class Field:
    """A column, or a field of a record; `said` holds what is merely kept (descriptions)."""

    name: str
    type: str
    mode: str = "NULLABLE"
    fields: tuple[Field, ...] = ()
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def repeated(self) -> bool:
        """Whether its values are lists."""
        return self.mode == "REPEATED"

    @property
    def required(self) -> bool:
        """Whether a value may not be missing."""
        return self.mode == "REQUIRED"

    @property
    def one(self) -> Field:
        """The field of one of its values, where it is repeated."""
        return replace(self, mode="NULLABLE") if self.repeated else self

    @property
    def arrow(self) -> pa.DataType:
        """Its Arrow type."""
        if self.type == "RECORD":
            inner = pa.struct([pa.field(part.name, part.arrow) for part in self.fields])
        else:
            inner = _PLAIN[self.type][0]
        return pa.list_(inner) if self.repeated else inner

    @property
    def engine(self) -> str:
        """Its type in DuckDB."""
        if self.type == "RECORD":
            parts = ", ".join(f"{quoted(part.name)} {part.engine}" for part in self.fields)
            inner = f"STRUCT({parts})"
        else:
            inner = _PLAIN[self.type][1]
        return f"{inner}[]" if self.repeated else inner

    @property
    def column(self) -> str:
        """Its definition in CREATE TABLE."""
        rest = " NOT NULL" if self.required else " DEFAULT []" if self.repeated else ""
        return f"{quoted(self.name)} {self.engine}{rest}"

    @property
    def rest(self) -> dict[str, Any]:
        """Its JSON form."""
        made = {**self.said, "name": self.name, "type": self.type, "mode": self.mode}
        if self.type == "RECORD":
            made["fields"] = [part.rest for part in self.fields]
        return made


def fields_of(schema: object) -> tuple[Field, ...]:
    """The fields of a schema's JSON form.

    Raises:
        RefusedError: it is none, or it has types that are not served.
    """
    given = schema.get("fields") if isinstance(schema, Mapping) else None
    if given is None:
        return ()
    if not isinstance(given, Sequence) or not all(isinstance(one, Mapping) for one in given):
        msg = "the schema's fields are not a list of objects"
        raise invalid(msg)
    made = tuple(map(_field, given))
    names = [one.name.lower() for one in made]
    for name in names:
        if names.count(name) > 1:
            msg = f"Duplicate field name {name} in the schema"
            raise invalid(msg)
    return made


def _field(given: Mapping[str, Any]) -> Field:
    name, mode = given.get("name"), str(given.get("mode") or "NULLABLE").upper()
    if not isinstance(name, str) or not name:
        msg = "a field of the schema has no name"
        raise invalid(msg)
    if mode not in ("NULLABLE", "REQUIRED", "REPEATED"):
        msg = f"Invalid value for mode of field {name}: {mode}"
        raise invalid(msg)
    kind = type_named(given.get("type"))
    parts = fields_of(given) if kind == "RECORD" else ()
    if kind == "RECORD" and not parts:
        msg = f"Field {name} is type RECORD but has no schema"
        raise invalid(msg)
    if given.get("defaultValueExpression"):
        msg = f"default values (field {name})"
        raise not_served(msg)
    kept = ("name", "type", "mode", "fields")
    return Field(name, kind, mode, parts, {n: v for n, v in given.items() if n not in kept})


def arrow_schema(fields: Sequence[Field]) -> pa.Schema:
    """The Arrow schema of columns."""
    return pa.schema([_arrow_field(one) for one in fields])


def _arrow_field(one: Field) -> pa.Field:
    mark = {JSON_MARK: JSON_NAME} if one.type == "JSON" else None
    return pa.field(one.name, one.arrow, not one.required, mark)


def field_of_engine(name: str, kind: Any) -> Field:
    """The column that DuckDB describes.

    Raises:
        RefusedError: BigQuery has no such type here.
    """
    ident = str(kind.id)
    if ident in ("list", "array"):
        inner = field_of_engine(name, dict(kind.children)["child"])
        if inner.repeated:
            msg = f"arrays of arrays (column {name})"
            raise not_served(msg)
        return replace(inner, mode="REPEATED")
    if ident == "struct":
        parts = tuple(field_of_engine(part, inner) for part, inner in kind.children)
        return Field(name, "RECORD", fields=parts)
    if str(kind) == "JSON":
        return Field(name, "JSON")
    if ident not in _ENGINE:
        msg = f"results of type {kind} (column {name}); cast it"
        raise not_served(msg)
    return Field(name, _ENGINE[ident])


def field_of_arrow(part: pa.Field) -> Field:
    """The column that BigQuery makes of Arrow's; JSON is marked as such.

    Raises:
        RefusedError: it makes none.
    """
    kind, types = part.type, pa.types
    if (part.metadata or {}).get(JSON_MARK) == JSON_NAME:
        return Field(part.name, "JSON")
    if types.is_list(kind) or types.is_large_list(kind):
        inner = field_of_arrow(part.with_type(kind.value_type))
        return Field(part.name, inner.type, "REPEATED", inner.fields)
    if types.is_struct(kind):
        return Field(part.name, "RECORD", fields=tuple(field_of_arrow(one) for one in kind))
    for named, test in _ARROW:
        if test(kind):
            return Field(part.name, named)
    if types.is_timestamp(kind):
        return Field(part.name, "TIMESTAMP" if kind.tz else "DATETIME")
    msg = f"columns of Arrow's type {kind} ({part.name})"
    raise not_served(msg)


_ARROW: tuple[tuple[str, Callable[[pa.DataType], bool]], ...] = (
    ("INTEGER", pa.types.is_integer),
    ("FLOAT", pa.types.is_floating),
    ("BOOLEAN", pa.types.is_boolean),
    ("STRING", lambda k: pa.types.is_string(k) or pa.types.is_large_string(k)),
    ("BYTES", lambda k: pa.types.is_binary(k) or pa.types.is_large_binary(k)),
    ("DATE", pa.types.is_date),
    ("TIME", pa.types.is_time),
    ("NUMERIC", pa.types.is_decimal),
)
