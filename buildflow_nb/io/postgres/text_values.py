"""Values of Postgres as text, read as values of Python: what a log of changes brings.

The session writes them with these settings: `SETTINGS`. A type that is not known here (an enum, an
extension's) stays text. What Python does not have (infinity, years BC, intervals of months, 24:00)
is refused, as everywhere.

Source: PostgreSQL documentation, "Data Types", the output of each; "Arrays", section "Array Input
and Output Syntax"; pg_type.dat for the numbers of types.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

__all__ = ("SETTINGS", "parser_of")

SETTINGS = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "3",
}
Parse = Callable[[str], Any]
_INTERVAL = re.compile(
    r"(?:(?P<years>[-+]?\d+) years? ?)?(?:(?P<months>[-+]?\d+) mons? ?)?"
    r"(?:(?P<days>[-+]?\d+) days? ?)?"
    r"(?:(?P<sign>[-+])?(?P<h>\d+):(?P<m>\d\d):(?P<s>\d\d)(?:\.(?P<f>\d{1,6}))?)?"
)
_ITEM = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^,{}"]+)|(?P<mark>[{},])', re.DOTALL)
_BOUNDS = re.compile(r"(?:\[[-+]?\d+:[-+]?\d+\])+=")


def parser_of(kind: int) -> Parse | None:
    """What reads values of the type with this number; None where they stay text.

    It raises `ValueError`, `OverflowError` or `ArithmeticError` for one that Python does not have.
    """
    found = _PARSERS.get(kind)
    if found is not None:
        return found
    item = _ARRAYS.get(kind)
    return None if item is None else lambda text: _array(text, _PARSERS.get(item, str))


def _bool(text: str) -> bool:
    return text == "t"


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("\\x"))


def _refuse(text: str) -> None:
    if "infinity" in text or text.endswith(" BC"):
        msg = f"{text} is no time that Python has"
        raise ValueError(msg)


def _date(text: str) -> dt.date:
    _refuse(text)
    return dt.date.fromisoformat(text)


def _timestamp(text: str) -> dt.datetime:
    _refuse(text)
    return dt.datetime.fromisoformat(text)


def _timestamptz(text: str) -> dt.datetime:
    _refuse(text)
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


def _interval(text: str) -> dt.timedelta:
    found = _INTERVAL.fullmatch(text)
    if found is None or found["years"] or found["months"]:
        msg = f"the interval {text} has months or no end, and Python's have neither"
        raise ValueError(msg)
    clock = dt.timedelta(
        hours=int(found["h"] or 0),
        minutes=int(found["m"] or 0),
        seconds=int(found["s"] or 0),
        microseconds=int((found["f"] or "").ljust(6, "0")),
    )
    return dt.timedelta(days=int(found["days"] or 0)) + (-clock if found["sign"] == "-" else clock)


def _json(text: str) -> Any:
    return msgspec.json.decode(text)


def _array(text: str, parse: Parse) -> list[Any]:
    """The items of an array, nested where it has several dimensions."""
    bounds = _BOUNDS.match(text)
    tokens = _ITEM.finditer(text, bounds.end() if bounds else 0)
    next(tokens)  # the first brace
    return _items(tokens, parse)


def _items(tokens: Iterator[re.Match[str]], parse: Parse) -> list[Any]:
    found: list[Any] = []
    for token in tokens:
        if token["mark"] == "}":
            break
        if token["mark"] == "{":
            found.append(_items(tokens, parse))
        elif token["quoted"] is not None:
            found.append(parse(re.sub(r"\\(.)", r"\1", token["quoted"], flags=re.DOTALL)))
        elif token["plain"] is not None:
            found.append(None if token["plain"] == "NULL" else parse(token["plain"]))
    return found


_PARSERS: Mapping[int, Parse] = {
    16: _bool,
    17: _bytes,
    20: int,
    21: int,
    23: int,
    26: int,
    114: _json,
    700: float,
    701: float,
    1082: _date,
    1083: dt.time.fromisoformat,
    1114: _timestamp,
    1184: _timestamptz,
    1186: _interval,
    1700: Decimal,
    2950: uuid.UUID,
    3802: _json,
}
_ARRAYS: Mapping[int, int] = {
    199: 114,
    1000: 16,
    1001: 17,
    1005: 21,
    1007: 23,
    1009: 25,
    1014: 1042,
    1015: 1043,
    1016: 20,
    1021: 700,
    1022: 701,
    1115: 1114,
    1182: 1082,
    1183: 1083,
    1185: 1184,
    1187: 1186,
    1231: 1700,
    2951: 2950,
    3807: 3802,
}
