"""Columns of elements as columns of a Postgres table: types, what is there, what has to be made.

A table that is there keeps its types; elements fit where no value can be cut by its column. Every
name is quoted, so reserved words, capitals and quotes are names like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from buildflow_nb.core.errors import PermanentError
from buildflow_nb.io.columns.element_columns import Column
from buildflow_nb.io.columns.kinds import PLAIN_KINDS, Kind, list_kind

__all__ = ("Existing", "Found", "create", "existing", "kind_named", "misfits", "quoted", "type_of")

TYPES: Mapping[str, str] = {
    "int64": "bigint",
    "double": "double precision",
    "bool": "boolean",
    "string": "text",
    "binary": "bytea",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "duration": "interval",
    "decimal": "numeric",
    "uuid": "uuid",
    "json": "jsonb",
    "struct": "jsonb",
}
JSONS = ("json", "jsonb")
TEXTS = ("text", "varchar", "bpchar", "name", "citext")
# The types of columns that are there, by `pg_type.typname`, that take a word's values.
_TAKES: Mapping[str, tuple[str, ...]] = {
    "int64": ("int8", "int4", "int2", "numeric"),
    "double": ("float8", "float4", "numeric"),
    "bool": ("bool",),
    "string": (*TEXTS, *JSONS, "uuid", "xml", "inet", "cidr", "macaddr"),
    "binary": ("bytea",),
    "date": ("date",),
    "time": ("time",),
    "timestamp": ("timestamp",),
    "timestamptz": ("timestamptz", "timestamp"),
    "duration": ("interval",),
    "decimal": ("numeric",),
    "uuid": ("uuid", *TEXTS),
    "json": JSONS,
    "struct": JSONS,
}
_KINDS: Mapping[str, str] = {
    name: word
    for word in ("int64", "double", "bool", "binary", "date", "time", "duration", "json")
    for name in _TAKES[word]
} | {"timestamptz": "timestamptz", "timestamp": "timestamptz", "numeric": "decimal"}
# PostgreSQL documentation, "System Catalogs": pg_attribute, pg_type, pg_attrdef.
_COLUMNS = """
SELECT a.attname AS name, coalesce(base.typname, t.typname) AS type,
       format_type(a.atttypid, a.atttypmod) AS shown, coalesce(base.typtype, t.typtype) AS form,
       item.typname AS item, n.nspname AS home, a.attnotnull AS needed,
       a.atthasdef OR a.attidentity <> '' AS given, a.attgenerated <> '' AS made
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_type base ON base.oid = t.typbasetype AND t.typtype = 'd'
LEFT JOIN pg_type item ON item.oid = t.typelem AND t.typcategory = 'A'
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
_UNIQUE = """
SELECT array_agg(a.attname::text) AS names
FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
GROUP BY i.indexrelid
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A column that is there, of a type of the schema `home`.

    `given` says that Postgres has a value where a row has none, `made` that nobody may give one.
    """

    name: str
    type: str
    shown: str
    form: str
    item: str | None
    home: str
    needed: bool
    given: bool
    made: bool

    def takes(self, kind: Kind) -> bool:
        """Whether it takes the values of a kind, none of them cut."""
        if kind.word == "list":
            return self.item is not None or self.type in JSONS
        if kind.word == "string" and self.form == "e":  # an enum
            return True
        return self.type in _TAKES[kind.word]


@dataclass(frozen=True, slots=True)
class Existing:
    """A table that is there: its columns by name, and the sets of columns that are unique."""

    columns: Mapping[str, Found]
    unique: Sequence[frozenset[str]]


def quoted(*names: str) -> str:
    """Names for SQL, as they stand, joined by dots."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def type_of(kind: Kind) -> str:
    """The type of a column that is made for a kind."""
    if kind.word != "list":
        return TYPES[kind.word]
    inner = kind.shape[1]
    plain = inner.word not in ("list", "struct")  # lists of several lengths are no array
    return f"{type_of(inner)}[]" if plain else TYPES["json"]


async def existing(connection: Any, table: str) -> Existing | None:
    """What is there under a quoted name; None if nothing."""
    rows = await connection.fetch(_COLUMNS, table)
    if not rows:
        return None
    unique = await connection.fetch(_UNIQUE, table)
    columns = [Found(**{**row, "form": _text(row["form"])}) for row in rows]
    return Existing({one.name: one for one in columns}, [frozenset(row["names"]) for row in unique])


def create(table: str, columns: Iterable[Column], key: Sequence[str]) -> str:
    """The statement that makes a table."""
    parts = [
        f"{quoted(name)} {type_of(kind)}{'' if optional and name not in key else ' NOT NULL'}"
        for name, kind, optional in columns
    ]
    if key:
        parts.append(f"PRIMARY KEY ({', '.join(map(quoted, key))})")
    return f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(parts)})"


def misfits(shown: str, found: Existing, columns: Sequence[Column], key: Sequence[str]) -> None:
    """Look whether elements with such columns fit a table that is there.

    Raises:
        PermanentError: they do not; `shown` names the table.
    """
    for name, kind, _ in columns:
        there = found.columns[name]
        if there.made or not there.takes(kind):
            want = "a value that Postgres makes itself" if there.made else there.shown
            msg = (
                f"table {shown} has {want} in column {name!r}, and the elements have {kind.word}, "
                f"which is {type_of(kind)}; change one of them"
            )
            raise PermanentError(msg)
    names = {name for name, _, _ in columns}
    for there in found.columns.values():
        if there.needed and not (there.given or there.made or there.name in names):
            msg = (
                f"table {shown} needs a value in column {there.name!r}, which the elements do not "
                "have; give them one, or the column a default"
            )
            raise PermanentError(msg)
    if key and frozenset(key) not in found.unique:
        names_of_key = ", ".join(key)
        msg = (
            f"table {shown} has no primary key or unique index of just ({names_of_key}), which "
            "key= needs; make one"
        )
        raise PermanentError(msg)


def kind_named(found: Found) -> Kind:
    """The kind of the values that a column which is there takes, for elements of no type."""
    if found.item is not None:
        return list_kind(PLAIN_KINDS[_KINDS.get(found.item, "string")])
    return PLAIN_KINDS[_KINDS.get(found.type, "string")]


def _text(value: object) -> str:
    """A value of type "char", which the client gives as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
