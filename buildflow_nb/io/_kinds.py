"""From a type annotation to a column: its SQL type, its Arrow type, and how values get in.

The one table that files and DuckDB share. What has no column type of its own (dicts, unions,
`Any`) is kept as JSON.
"""

from __future__ import annotations

import collections.abc
import datetime as dt
import decimal
import enum
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, Literal, cast, get_args, get_origin

from buildflow_nb.core.annotations import is_record, is_unknown, optional_of, record_hints
from buildflow_nb.core.credentials import is_secret_class, revealed
from buildflow_nb.core.encode import json_bytes

__all__ = ("JSON", "Kind", "kind_of", "seen_hint", "whole")

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A column type. `shape` says the Arrow type: a name, ("list", Kind) or ("struct", {…}).

    `convert` turns a value (never None) into what Arrow takes; None where it takes it as it is.
    `json` marks text that is JSON.
    """

    sql: str
    shape: Any
    convert: Convert | None = None
    json: bool = False


def whole(value: Any) -> Any:
    """The value of an integer column; Arrow itself would cut a fraction off.

    Raises:
        ValueError: the value has a fraction.
    """
    if type(value) is int or not isinstance(value, (float, decimal.Decimal)) or value % 1 == 0:
        return value
    msg = f"expected int, got {value!r}"
    raise ValueError(msg)


def _json_text(value: Any) -> str:
    return json_bytes(value).decode()


JSON = Kind("JSON", "string", _json_text, json=True)
_INT = Kind("BIGINT", "int64")
_TEXT = Kind("VARCHAR", "string")
_HIDDEN = Kind("VARCHAR", "string", revealed)  # a sink gets what a secret holds
_HIDDEN_BYTES = Kind("BLOB", "binary", revealed)
_MOMENT = Kind("TIMESTAMP", "timestamp")
_ZONED = Kind("TIMESTAMPTZ", "timestamptz")
# Subclasses come before their bases: bool is an int, a datetime is a date.
_PLAIN: tuple[tuple[type, Kind], ...] = (
    (bool, Kind("BOOLEAN", "bool")),
    (int, _INT),
    (float, Kind("DOUBLE", "double")),
    (str, _TEXT),
    (bytes, Kind("BLOB", "binary")),
    (bytearray, Kind("BLOB", "binary", bytes)),
    (dt.datetime, _MOMENT),
    (dt.date, Kind("DATE", "date")),
    (dt.time, Kind("TIME", "time")),
    (dt.timedelta, Kind("INTERVAL", "duration")),
    (decimal.Decimal, Kind("DECIMAL(38, 9)", "decimal")),
    (uuid.UUID, Kind("UUID", "string", str)),
)
_LISTS = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Set)


def kind_of(hint: object, *, zoned: bool = False) -> Kind:
    """The column type for an annotation; `zoned` says that its times have a zone."""
    hint = _bare(hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _same_kind([type(value) for value in args])
    if origin in _LISTS and args:
        return _list(origin, args, zoned=zoned)
    if isinstance(hint, type) and origin is None:
        return _class(hint, zoned=zoned)
    if args and origin is not dict and {_bare(arg) for arg in args} == {int, float}:
        return kind_of(float)
    return JSON


def _bare(hint: object) -> object:
    """The hint without `| None`, `Annotated` and NewType."""
    while True:
        inner, _ = optional_of(hint)
        if get_origin(inner) is typing.Annotated:
            inner = get_args(inner)[0]
        inner = getattr(inner, "__supertype__", inner)
        if inner is hint:
            return inner
        hint = inner


def _class(hint: type, *, zoned: bool) -> Kind:
    if is_record(hint) and record_hints(hint):
        return _struct(hint, zoned=zoned)
    if issubclass(hint, enum.Enum):
        return _enum(hint)
    if is_secret_class(hint):
        return _HIDDEN_BYTES if hint.__name__ == "SecretBytes" else _HIDDEN
    for known, kind in _PLAIN:
        if issubclass(hint, known):
            if kind is _MOMENT and zoned:
                return _ZONED
            return kind if kind.convert or hint is known else _derived(kind, known)
    return JSON


def _derived(kind: Kind, known: type) -> Kind:
    """Arrow takes subclasses of most types as they are, but not of str (an Enum, say)."""
    return Kind(kind.sql, kind.shape, known if known in (str, int, float) else None)


def _enum(hint: type[enum.Enum]) -> Kind:
    kind = _same_kind([type(member.value) for member in hint])
    inner = kind.convert
    if inner is None:
        return Kind(kind.sql, kind.shape, _value_of)
    return Kind(kind.sql, kind.shape, lambda v: inner(_value_of(v)), json=kind.json)


def _value_of(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _same_kind(types: Sequence[type]) -> Kind:
    return kind_of(types[0]) if len(set(types)) == 1 else JSON


def _list(origin: object, args: tuple[Any, ...], *, zoned: bool) -> Kind:
    if origin is tuple and args[-1] is not Ellipsis and len(set(args)) > 1:
        return JSON
    inner = kind_of(args[0], zoned=zoned)
    convert: Convert = list
    if inner.convert is not None:
        one = inner.convert

        def convert(values: Any) -> list[Any]:
            return [None if value is None else one(value) for value in values]

    return Kind(f"{inner.sql}[]", ("list", inner), convert)


def _struct(hint: type, *, zoned: bool) -> Kind:
    kinds = {name: kind_of(inner, zoned=zoned) for name, inner in record_hints(hint).items()}
    sql = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" {k.sql}' for name, k in kinds.items())
    is_dict = typing.is_typeddict(hint)
    getters = {name: itemgetter(name) if is_dict else attrgetter(name) for name in kinds}

    def convert(value: Any) -> dict[str, Any]:
        if is_dict or isinstance(value, Mapping):
            found = {name: value.get(name) for name in kinds}
        else:
            found = {name: get(value) for name, get in getters.items()}
        for name, kind in kinds.items():
            if kind.convert is not None and found[name] is not None:
                found[name] = kind.convert(found[name])
        return found

    return Kind(f"STRUCT({sql})", ("struct", kinds), cast("Convert", convert))


def seen_hint(values: Sequence[object]) -> object:
    """The annotation that these values of an undeclared column would have."""
    types = {type(value) for value in values if value is not None}
    if types == {int, float}:
        return float
    if not types:
        return str
    if len(types) > 1:
        return Any
    found = types.pop()
    if found is list:
        inner = [item for value in values for item in cast("list[object]", value or ())]
        return list[seen_hint(inner)]  # type: ignore[misc]
    return Any if is_unknown(found) or found is dict else found
