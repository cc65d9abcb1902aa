"""Values of Postgres as values of Python, and those that Python does not have.

A client that turns infinity into the last day of the year 9999, or a month into 30 days, says what
is not so. Here such a value fails its row alone: infinity, years BC and above 9999, intervals of
months, 24:00. JSON comes decoded; addresses, bits and shapes come as text. What is sent stays what
it is, too: the last day that Python has, which many take for "for ever", is no infinity.

Source: PostgreSQL documentation, "Date/Time Types"; times count from 2000-01-01 on the wire.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

__all__ = ("Unfit", "has_last_days", "send_last_days", "set_codecs")

_DAY = dt.date(2000, 1, 1)
_NAIVE = dt.datetime(2000, 1, 1)
_ZONED = _NAIVE.replace(tzinfo=dt.UTC)
_TICK = dt.timedelta(microseconds=1)
_ENDS: Mapping[str, tuple[Any, ...]] = {
    "date": (dt.date.min, dt.date.max),
    "timestamptz": (dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)),
}
_INFINITE_DAYS = (2**31 - 1, -(2**31))
_INFINITE = (2**63 - 1, -(2**63))


class Unfit:
    """Stands for a value that Python does not have."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return self.reason


async def set_codecs(connection: Any) -> list[Unfit]:
    """Read values as they are; gives a list that grows by each value that does not fit."""
    unfit: list[Unfit] = []

    def guarded(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def decoded(given: Any) -> Any:
            try:
                return decode(given)
            except (ValueError, OverflowError) as error:
                found = Unfit(str(error))
                unfit.append(found)
                return found

        return decoded

    for name, decode in _DECODERS.items():
        await connection.set_type_codec(
            name,
            schema="pg_catalog",
            encoder=_refused,
            decoder=guarded(decode),
            format="tuple",
        )
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=str, decoder=guarded(_json), format="text"
        )
    for name in _SHOWN:
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=str, decoder=str, format="text"
        )
    return unfit


async def send_last_days(connection: Any) -> None:
    """Send the first and the last moment that Python has as what they are.

    The client takes them for infinity; to do it by hand takes longer, so it is done where needed.
    """
    encoders: dict[str, Callable[[Any], tuple[int]]] = {
        "date": lambda day: ((day - _DAY).days,),
        "timestamp": lambda moment: ((moment - _NAIVE) // _TICK,),
        "timestamptz": lambda moment: ((moment - _ZONED) // _TICK,),
    }
    for name, encode in encoders.items():
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=encode, decoder=_DECODERS[name], format="tuple"
        )


def has_last_days(values: Sequence[Any], word: str) -> bool:
    """Whether the first or the last moment of a kind is among values of a column."""
    return any(value in values for value in _ENDS.get(word, ()))


def _json(text: str) -> Any:
    return msgspec.json.decode(text)


def _refused(value: object) -> Any:
    msg = f"a value of type {type(value).__name__} is read, never sent"
    raise TypeError(msg)


def _date(given: tuple[int]) -> dt.date:
    (days,) = given
    if days in _INFINITE_DAYS:
        msg = "the date is infinite, and Python has no such date"
        raise ValueError(msg)
    return _DAY + dt.timedelta(days=days)


def _timestamp(given: tuple[int]) -> dt.datetime:
    return _NAIVE + _since(given)


def _timestamptz(given: tuple[int]) -> dt.datetime:
    return _ZONED + _since(given)


def _since(given: tuple[int]) -> dt.timedelta:
    (microseconds,) = given
    if microseconds in _INFINITE:
        msg = "the time is infinite, and Python has no such time"
        raise ValueError(msg)
    return dt.timedelta(microseconds=microseconds)


def _time(given: tuple[int]) -> dt.time:
    (microseconds,) = given
    seconds, rest = divmod(microseconds, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return dt.time(hour, minute, second, rest)


def _interval(given: tuple[int, int, int]) -> dt.timedelta:
    months, days, microseconds = given
    if months:
        msg = "the interval has months, which have no length; give days in the query"
        raise ValueError(msg)
    return dt.timedelta(days=days, microseconds=microseconds)


# Types of the client's own, of which a record has the text.
_SHAPES = ("point", "line", "lseg", "box", "path", "polygon", "circle")
_SHOWN = ("inet", "cidr", "bit", "varbit", *_SHAPES)
_DECODERS: dict[str, Callable[[Any], Any]] = {
    "date": _date,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
    "time": _time,
    "interval": _interval,
}
