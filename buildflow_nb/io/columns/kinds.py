"""From a type annotation to a column: its SQL type, its Arrow type, and how values get in.

The one table that files and DuckDB share. What has no column type of its own (dicts, unions,
`Any`), and what holds such a thing, is kept as JSON.
"""

from __future__ import annotations

import collections.abc
import datetime as dt
import decimal
import enum
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Literal, cast, get_args, get_origin

from buildflow_nb.core.conversion.annotations import (
    is_named_tuple,
    is_record,
    is_unknown,
    optional_of,
)
from buildflow_nb.core.conversion.encode import to_record
from buildflow_nb.core.conversion.fields_written import Written, fields_written
from buildflow_nb.core.conversion.json_forms import value_json
from buildflow_nb.core.conversion.plain_forms import based
from buildflow_nb.core.credentials import is_secret_class, revealed

__all__ = ("JSON", "Kind", "has_zone", "kind_of", "seen_hint", "whole")

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A column type. `shape` says the Arrow type: a name, ("list", Kind) or ("struct", {…}).

    `convert` turns a value (never None) into what Arrow takes, or refuses what the column would
    cut; None where Arrow does that itself. `fits` tells quickly that none of a column's values
    needs it. `json` marks text that is JSON.
    """

    sql: str
    shape: Any
    convert: Convert | None = None
    json: bool = False
    fits: Callable[[Sequence[Any]], bool] | None = None

    def column(self, values: Sequence[Any]) -> Sequence[Any]:
        """The values of a column, as Arrow takes them.

        Raises:
            ValueError: a value does not fit; the other errors of `convert` too.
        """
        convert = self.convert
        if convert is None or (self.fits is not None and self.fits(values)):
            return values
        return [None if value is None else convert(value) for value in values]


def whole(value: Any) -> Any:
    """The value of an integer column; Arrow itself would cut a fraction off.

    Raises:
        ValueError: the value has a fraction.
    """
    if type(value) is int or not isinstance(value, (float, decimal.Decimal)) or value % 1 == 0:
        return value
    msg = f"expected int, got {value!r}"
    raise ValueError(msg)


def _revealed(value: Any) -> Any:
    return revealed(value) if is_secret_class(type(value)) else value


def _json_text(value: Any) -> str:
    return value_json(value).decode()


def _naive(value: Any) -> Any:
    value = based(value)
    if getattr(value, "tzinfo", None) is not None:
        msg = f"{value} has a zone, and the column's times have none; give it without one"
        raise ValueError(msg)
    return value


def _day(value: Any) -> Any:
    value = based(value)
    if isinstance(value, dt.datetime) and value != dt.datetime(value.year, value.month, value.day):
        msg = f"{value} is more than a date; give its date()"
        raise ValueError(msg)
    return value


def _only(*kinds: type) -> Callable[[Sequence[Any]], bool]:
    allowed = {*kinds, type(None)}
    return lambda values: set(map(type, values)) <= allowed


def _all_naive(values: Sequence[Any]) -> bool:
    if set(map(type, values)) != {dt.datetime}:
        return False
    return set(map(_zone, values)) == {None}


_zone = attrgetter("tzinfo")
JSON = Kind("JSON", "string", _json_text, json=True)
_TEXT = Kind("VARCHAR", "string")
_HIDDEN = Kind("VARCHAR", "string", _revealed)  # a sink gets what a secret holds
_HIDDEN_BYTES = Kind("BLOB", "binary", _revealed)
_MOMENT = Kind("TIMESTAMP", "timestamp", _naive, fits=_all_naive)
_ZONED = Kind("TIMESTAMPTZ", "timestamptz", based, fits=_only(dt.datetime))  # none is UTC
# Subclasses come before their bases: bool is an int, a datetime is a date.
_PLAIN: tuple[tuple[type, Kind], ...] = (
    (bool, Kind("BOOLEAN", "bool")),
    (int, Kind("BIGINT", "int64", whole, fits=_only(int))),
    (float, Kind("DOUBLE", "double")),
    (str, _TEXT),
    (bytes, Kind("BLOB", "binary")),
    (bytearray, Kind("BLOB", "binary", bytes)),
    (dt.datetime, _MOMENT),
    (dt.date, Kind("DATE", "date", _day, fits=_only(dt.date))),
    (dt.time, Kind("TIME", "time", _naive)),
    (dt.timedelta, Kind("INTERVAL", "duration", based, fits=_only(dt.timedelta))),
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
    found = None if is_named_tuple(hint) else fields_written(hint)  # an array, inside an element
    if found is not None and found.hints:
        return _struct(found, zoned=zoned)
    if issubclass(hint, enum.Enum):
        return _enum(hint)
    if is_secret_class(hint):
        return _HIDDEN_BYTES if hint.__name__ == "SecretBytes" else _HIDDEN
    for known, kind in _PLAIN:
        if issubclass(hint, known):
            if kind is _MOMENT and zoned:
                return _ZONED
            return kind if kind.convert or hint is known else replace(kind, convert=based)
    return JSON


def _enum(hint: type[enum.Enum]) -> Kind:
    kind = _same_kind([type(member.value) for member in hint])
    inner = kind.convert
    if inner is None:
        return replace(kind, convert=_value_of)
    return replace(kind, convert=lambda value: inner(_value_of(value)), fits=None)


def _value_of(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _same_kind(types: Sequence[type]) -> Kind:
    return kind_of(types[0]) if len(set(types)) == 1 else JSON


def _list(origin: object, args: tuple[Any, ...], *, zoned: bool) -> Kind:
    if origin is tuple and args[-1] is not Ellipsis and len(set(args)) > 1:
        return JSON
    inner = kind_of(args[0], zoned=zoned)
    if inner.json:
        return JSON
    return Kind(f"{inner.sql}[]", ("list", inner), lambda values: inner.column(list(values)))


def _struct(found: Written, *, zoned: bool) -> Kind:
    kinds = {name: kind_of(inner, zoned=zoned) for name, inner in found.hints.items()}
    if any(kind.json for kind in kinds.values()):
        return JSON  # a column is JSON as a whole, or none of it: so it can be read again
    sql = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" {k.sql}' for name, k in kinds.items())
    getters = {name: attrgetter(at) for name, at in (found.attributes or {}).items()}

    def convert(value: Any) -> dict[str, Any]:
        if isinstance(value, Mapping):
            made = {name: value.get(name) for name in kinds}
        elif found.attributes is None:
            made = dict.fromkeys(kinds) | to_record(value)
        else:
            made = {name: get(value) for name, get in getters.items()}
        for name, kind in kinds.items():
            if kind.convert is not None and made[name] is not None:
                made[name] = kind.convert(made[name])
        return made

    return Kind(f"STRUCT({sql})", ("struct", kinds), convert)


def has_zone(value: Any) -> bool:
    """Whether there is a time with a zone in a value, however deep."""
    if isinstance(value, (dt.datetime, dt.time)):
        return value.tzinfo is not None
    if isinstance(value, Mapping):
        return any(map(has_zone, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(has_zone, value))
    found = fields_written(type(value)) if is_record(type(value)) else None
    names = found.attributes.values() if found and found.attributes else ()
    return any(has_zone(getattr(value, name, None)) for name in names)


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
