"""What kinds of value a property may have: which values are right, and which mean the same.

A cloud answers in its own spelling: a policy with other blanks, a duration with other zeros, a
topic with its full path. Taken literally these would be changes at every refresh, so two values
are compared by what they mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType

from buildflow_nb.local_cloud.provider.codec import UNKNOWN, Plain, Unknown

__all__ = ("Kind", "fault", "same")


class Kind(Enum):
    """The kind of a property; its value is how an error message calls it."""

    TEXT = "a text"
    FLAG = "true or false"
    NUMBER = "a whole number"
    TABLE = "a map of texts"
    TEXTS = "a list of texts"
    CHOICES = "a list of texts in any order"
    OBJECT = "an object"
    OBJECTS = "a list of objects"
    JSON = "JSON text"
    DURATION = "a duration in seconds like '3.5s'"
    CASELESS = "a text in any case"
    PATH = "a name, or a path that ends in it"


_PYTHON: Mapping[Kind, tuple[type, ...]] = MappingProxyType(
    {
        Kind.FLAG: (bool,),
        Kind.NUMBER: (int,),
        Kind.TABLE: (dict,),
        Kind.OBJECT: (dict,),
        Kind.TEXTS: (list,),
        Kind.CHOICES: (list,),
        Kind.OBJECTS: (list,),
    }
)


def fault(kind: Kind, value: Plain) -> str | None:
    """Why a value is not of a kind, without showing it, since it may be secret; `None` if it is."""
    if isinstance(value, Unknown):
        return None
    wrong = not isinstance(value, _PYTHON.get(kind, (str,)))
    wrong = wrong or (kind is Kind.NUMBER and isinstance(value, bool))
    if not wrong and isinstance(value, dict | list) and kind not in (Kind.OBJECT, Kind.OBJECTS):
        items = value.values() if isinstance(value, dict) else value
        wrong = not all(isinstance(item, str | Unknown) for item in items)
    if not wrong and kind in (Kind.JSON, Kind.DURATION) and value:
        wrong = _meaning(kind, str(value)) is None
    return f"expected {kind.value}, not {_called(value)}" if wrong else None


def same(kind: Kind, one: Plain, other: Plain) -> bool:
    """Whether two values mean the same; what is unknown is never the same as anything."""
    if _open(one) or _open(other):
        return False
    if one == other:
        return True
    if isinstance(one, str) and isinstance(other, str):
        return _same_text(kind, one, other)
    if kind is Kind.CHOICES and isinstance(one, list) and isinstance(other, list):
        return sorted(map(str, one)) == sorted(map(str, other))
    return False


def _same_text(kind: Kind, one: str, other: str) -> bool:
    if kind in (Kind.JSON, Kind.DURATION):
        meaning = _meaning(kind, one)
        return meaning is not None and meaning == _meaning(kind, other)
    if kind is Kind.CASELESS:
        return one.casefold() == other.casefold()
    if kind is Kind.PATH:
        return f"/{one}".endswith(f"/{other}") or f"/{other}".endswith(f"/{one}")
    return False


def _meaning(kind: Kind, text: str) -> object | None:
    """The parsed text, or `None` where it does not parse."""
    parse: Callable[[str], object] = json.loads if kind is Kind.JSON else _seconds
    try:
        return parse(text)
    except ValueError:
        return None


def _seconds(text: str) -> float:
    if not text.endswith("s"):
        raise ValueError(text)
    return float(text[:-1])


def _open(value: Plain) -> bool:
    """Whether any part of a value is unknown."""
    if isinstance(value, dict):
        return any(map(_open, value.values()))
    return any(map(_open, value)) if isinstance(value, list) else value is UNKNOWN


def _called(value: Plain) -> str:
    names = {bool: "a truth value", int: "a number", float: "a fraction", str: "this text"}
    return names.get(type(value), "a list" if isinstance(value, list) else "a map")
