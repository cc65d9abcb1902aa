"""What msgspec cannot write by itself, as something that it can.

A value of a subclass of a plain type (a pandas Timestamp, a NumPy number, a `class Id(str)`) is
written as the plain type. What the plain type cannot hold is refused, never cut: nanoseconds, and
times that are none. Secrets are written as what they hold, since a sink needs the value.
"""

from __future__ import annotations

import datetime as dt
import decimal
import types
import uuid
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

from buildflow_nb.core.credentials import is_secret_class, revealed

__all__ = ("based", "loosened", "plain_form")


def plain_form(value: object) -> object:
    """A value of a class that msgspec does not know, as one that it does.

    Raises:
        TypeError: it has no plain form.
        ValueError: its plain form would hold less.
    """
    if is_secret_class(type(value)):
        return cast("object", revealed(value))
    if isinstance(value, types.GeneratorType):
        return list(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return _number(value)
    found = based(value)
    if found is value:
        msg = f"{type(value).__name__} has no plain form"
        raise TypeError(msg)
    return found


def based(value: Any) -> Any:
    """A value of a subclass of a plain type as that type; the value itself if it is no such thing.

    Raises:
        ValueError: the plain type would hold less.
    """
    for base, make in _BASES:
        if isinstance(value, base):
            return value if type(value) is base else make(value)
    return value


def _moment(value: dt.datetime) -> dt.datetime:
    _refuse_none_or_finer(value, getattr(value, "nanosecond", 0))
    return dt.datetime(
        value.year,
        value.month,
        value.day,
        value.hour,
        value.minute,
        value.second,
        value.microsecond,
        value.tzinfo,
        fold=value.fold,
    )


def _span(value: dt.timedelta) -> dt.timedelta:
    _refuse_none_or_finer(value, getattr(value, "nanoseconds", 0))
    return dt.timedelta(value.days, value.seconds, value.microseconds)


def _refuse_none_or_finer(value: Any, nanoseconds: int) -> None:
    if value != value:  # noqa: PLR0124  (pandas' "not a time" is unlike itself)
        msg = "NaT is no time; use None"
        raise ValueError(msg)
    if nanoseconds:
        msg = f"{value} has nanoseconds, and only microseconds can be written; round it"
        raise ValueError(msg)


def _number(value: Any) -> object:
    """A NumPy scalar."""
    kind = value.dtype.kind
    if kind in "mM":
        if value != value:  # noqa: PLR0124  (NumPy's "not a time", too)
            msg = "NaT is no time; use None"
            raise ValueError(msg)
        finest = value.astype(f"{'timedelta' if kind == 'm' else 'datetime'}64[us]")
        if finest != value:
            msg = f"{value} has nanoseconds, and only microseconds can be written; round it"
            raise ValueError(msg)
        return finest.item() if isinstance(value.item(), int) else value.item()
    found = value.item()
    if type(found) is type(value):
        msg = f"{type(value).__name__} has no plain form"
        raise TypeError(msg)
    return found


# Subclasses come before their bases: a datetime is a date.
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (bool, bool),
    (int, int.__int__),
    (float, float.__float__),
    (str, str.__str__),
    (bytes, lambda v: bytes(memoryview(v))),
    (dt.datetime, _moment),
    (dt.date, lambda v: dt.date(v.year, v.month, v.day)),
    (dt.time, lambda v: dt.time(v.hour, v.minute, v.second, v.microsecond, v.tzinfo, fold=v.fold)),
    (dt.timedelta, _span),
    (decimal.Decimal, decimal.Decimal),
    (uuid.UUID, lambda v: uuid.UUID(int=v.int)),
)


def loosened(value: Any) -> Any:
    """The same with keys that JSON can have: those of dicts are what msgspec cannot be told of."""
    if isinstance(value, Mapping):
        return {_key(key): loosened(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [loosened(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: loosened(getattr(value, field.name)) for field in fields(value)}
    return value


def _key(key: Any) -> Any:
    """A key as msgspec takes it, both for JSON and for records."""
    if getattr(key, "shape", None) == () and hasattr(key, "item"):
        key = _number(key)
    key = based(key)
    if isinstance(key, (dt.date, dt.time)):
        return key.isoformat()
    return str(key) if isinstance(key, (decimal.Decimal, uuid.UUID)) else key
