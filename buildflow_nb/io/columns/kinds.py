"""From a type annotation to a column: its SQL type, its Arrow type, and how values get in.

The one table that files and stores share. What has no column type of its own (dicts, unions,
`Any`, types that hold themselves), and what holds such a thing, is kept as JSON.
"""

from __future__ import annotations

import collections.abc
import datetime as dt
import decimal
import enum
import math
import numbers
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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
from buildflow_nb.core.conversion.plain_forms import based, plain_form
from buildflow_nb.core.conversion.type_parts import bare
from buildflow_nb.core.credentials import is_secret_class, revealed

__all__ = (
    "JSON",
    "PLAIN_KINDS",
    "Kind",
    "has_zone",
    "kind_of",
    "list_kind",
    "seen_hint",
    "struct_kind",
    "whole",
)

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A column type. `shape` says the Arrow type: a name, ("list", Kind) or ("struct", {…}).

    `convert` turns a value (never None) into what Arrow takes, or refuses what the column would
    cut; None where Arrow does that itself. `fits` tells quickly that none of a column's values
    needs it. `json` marks text that is JSON. `optional` says that a value may be missing.

    `sql` is DuckDB's name of the type; other stores have their own for each `word`.
    """

    sql: str
    shape: Any
    convert: Convert | None = None
    json: bool = False
    fits: Callable[[Sequence[Any]], bool] | None = None
    optional: bool = False

    @property
    def word(self) -> str:
        """What the column holds: a key of `PLAIN_KINDS`, "list" or "struct"."""
        if self.json:
            return "json"
        if isinstance(self.shape, tuple):
            return cast("str", self.shape[0])
        return "uuid" if self.sql == "UUID" else cast("str", self.shape)

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
    if type(value) is int or not isinstance(value, (numbers.Real, decimal.Decimal)):
        return value
    if isinstance(value, numbers.Integral):
        return value
    try:
        if value % 1 == 0:
            return math.trunc(value)
    except ArithmeticError:  # a signalling NaN
        pass
    msg = f"expected int, got {value!r}"
    raise ValueError(msg)


def _revealed(value: Any) -> Any:
    return revealed(value) if is_secret_class(type(value)) else value


def _json_text(value: Any) -> str:
    return value_json(value).decode()


def _instance(kind: type, value: Any) -> Any:
    """A value of a time's type; Arrow itself would take a number for one.

    Raises:
        TypeError: it is none.
        ValueError: it is finer than microseconds.
    """
    if isinstance(value, kind):
        return based(value)
    with suppress(TypeError):
        found = plain_form(value)  # of NumPy's times
        if isinstance(found, kind):
            return found
    msg = f"expected {kind.__name__}, got {value!r}"
    raise TypeError(msg)


def _naive(value: Any) -> Any:
    return _without_zone(_instance(dt.datetime, value))


def _without_zone(value: Any) -> Any:
    if value.tzinfo is not None:
        msg = f"{value} has a zone, and the column's times have none; give it without one"
        raise ValueError(msg)
    return value


def _zoned(value: Any) -> Any:
    return _instance(dt.datetime, value)


def _clock(value: Any) -> Any:
    return _without_zone(_instance(dt.time, value))


def _span(value: Any) -> Any:
    return _instance(dt.timedelta, value)


def _day(value: Any) -> Any:
    value = _instance(dt.date, value)
    if isinstance(value, dt.datetime) and value != dt.datetime(value.year, value.month, value.day):
        msg = f"{value} is more than a date; give its date()"
        raise ValueError(msg)
    return value


def _uuid(value: Any) -> str:
    return str(value if isinstance(value, uuid.UUID) else uuid.UUID(value))


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
_ZONED = Kind("TIMESTAMPTZ", "timestamptz", _zoned, fits=_only(dt.datetime))  # none is UTC
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
    (dt.time, Kind("TIME", "time", _clock)),
    (dt.timedelta, Kind("INTERVAL", "duration", _span, fits=_only(dt.timedelta))),
    (decimal.Decimal, Kind("DECIMAL(38, 9)", "decimal")),
    (uuid.UUID, Kind("UUID", "string", _uuid)),
)
PLAIN_KINDS: Mapping[str, Kind] = {
    kind.word: kind for kind in (*(kind for _, kind in reversed(_PLAIN)), _ZONED, JSON)
}
_LISTS = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Set)


def kind_of(hint: object, *, zoned: bool = False, within: frozenset[type] = frozenset()) -> Kind:
    """The column type for an annotation; `zoned` says that its times have a zone.

    `within` are the records that the annotation stands in.
    """
    plain, optional = _bare(hint)
    kind = _kind(plain, zoned=zoned, within=within)
    return replace(kind, optional=True) if optional else kind


def _kind(hint: object, *, zoned: bool, within: frozenset[type]) -> Kind:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _same_kind([type(value) for value in args], zoned=zoned)
    if origin in _LISTS and args:
        return _list(origin, args, zoned=zoned, within=within)
    if isinstance(hint, type) and origin is None:
        return _class(hint, zoned=zoned, within=within)
    if args and origin is not dict and {_bare(arg)[0] for arg in args} == {int, float}:
        return kind_of(float)
    return JSON


def _bare(hint: object) -> tuple[object, bool]:
    """The hint without `| None`, `Annotated` and the like, and whether None is a value of it."""
    optional = False
    while True:
        inner, may_lack = optional_of(hint)
        optional = optional or may_lack
        inner = bare(inner)
        if inner is hint:
            break
        hint = inner
    known = not is_unknown(hint) and not isinstance(hint, typing.TypeVar)
    in_literal = get_origin(hint) is Literal and None in get_args(hint)
    return hint, optional or not known or hint is type(None) or in_literal


def _class(hint: type, *, zoned: bool, within: frozenset[type]) -> Kind:
    found = None if is_named_tuple(hint) else fields_written(hint)  # an array, inside an element
    if found is not None and found.hints:
        return JSON if hint in within else _record(found, zoned=zoned, within=within | {hint})
    if issubclass(hint, enum.Enum):
        return _enum(hint, zoned=zoned)
    if is_secret_class(hint):
        return _HIDDEN_BYTES if hint.__name__ == "SecretBytes" else _HIDDEN
    for known, kind in _PLAIN:
        if issubclass(hint, known):
            if kind is _MOMENT and zoned:
                return _ZONED
            return kind if kind.convert or hint is known else replace(kind, convert=based)
    return JSON


def _enum(hint: type[enum.Enum], *, zoned: bool) -> Kind:
    kind = _same_kind([type(member.value) for member in hint], zoned=zoned)
    inner = kind.convert
    if inner is None:
        return replace(kind, convert=_value_of)
    return replace(kind, convert=lambda value: inner(_value_of(value)), fits=None)


def _value_of(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _same_kind(types: Sequence[type], *, zoned: bool) -> Kind:
    return kind_of(types[0], zoned=zoned) if len(set(types)) == 1 else JSON


def _list(origin: object, args: tuple[Any, ...], *, zoned: bool, within: frozenset[type]) -> Kind:
    if origin is tuple and args[-1] is not Ellipsis and len(set(args)) > 1:
        return JSON
    return list_kind(kind_of(args[0], zoned=zoned, within=within))


def list_kind(inner: Kind) -> Kind:
    """A column of lists; of JSON values the whole is JSON, so that it can be read again."""
    if inner.json:
        return JSON

    def convert(values: Any) -> Sequence[Any]:
        if isinstance(values, (str, bytes, Mapping)):
            msg = f"expected a list, got {type(values).__name__}"
            raise TypeError(msg)
        return inner.column(list(values))

    return Kind(f"{inner.sql}[]", ("list", inner), convert)


def _record(found: Written, *, zoned: bool, within: frozenset[type]) -> Kind:
    kinds = {name: kind_of(hint, zoned=zoned, within=within) for name, hint in found.hints.items()}
    lacking = {name: replace(kinds[name], optional=True) for name in found.lacking}
    return struct_kind({**kinds, **lacking}, found.attributes)


def struct_kind(kinds: Mapping[str, Kind], attributes: Mapping[str, str] | None = None) -> Kind:
    """A column of records with such fields; `attributes` hold them, where values are objects.

    With a field of JSON values the whole is JSON, so that it can be read again.
    """
    if any(kind.json for kind in kinds.values()):
        return JSON
    sql = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" {k.sql}' for name, k in kinds.items())
    getters = {name: attrgetter(at) for name, at in (attributes or {}).items()}

    def convert(value: Any) -> dict[str, Any]:
        if isinstance(value, Mapping):
            made = {name: value.get(name) for name in kinds}
            _demand_known(value, kinds)
        elif attributes is None:
            made = dict.fromkeys(kinds) | to_record(value)
        else:
            made = {name: get(value) for name, get in getters.items()}
        for name, kind in kinds.items():
            if kind.convert is not None and made[name] is not None:
                made[name] = kind.convert(made[name])
        return made

    return Kind(f"STRUCT({sql})", ("struct", kinds), convert)


def _demand_known(value: Mapping[Any, Any], kinds: Mapping[str, Kind]) -> None:
    """Raises: ValueError: a record has a field that its column lacks."""
    if not value.keys() <= kinds.keys():
        extra = ", ".join(repr(name) for name in value if name not in kinds)
        msg = f"no field {extra} in the column, which has {', '.join(kinds)}"
        raise ValueError(msg)


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
