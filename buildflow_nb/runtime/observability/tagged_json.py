"""Elements as plain JSON and back: what JSON lacks is an object with one key that begins with `$`.

Reading makes built-in values only (a record becomes a dict of its fields), so nothing that a file
says is executed or imported; the declared type of a processor makes objects of them again. Secrets
are written as `****`, and what has no plain form as its `repr`, which cannot be read back.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import enum
import math
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from buildflow_nb.core.conversion.annotations import (
    is_named_tuple,
    is_pydantic,
    is_record,
    is_struct,
)
from buildflow_nb.core.conversion.model_forms import dumped
from buildflow_nb.core.conversion.secret_fields import MASK
from buildflow_nb.core.credentials import is_secret_class
from buildflow_nb.core.primitive import Malformed

__all__ = ("UnreadableError", "tagged", "untagged")

DEPTH = 64  # levels of nesting; beyond that it is a repr
LONGEST = 2_000  # characters of a repr


class UnreadableError(ValueError):
    """A value that has no form in Python, or was never written in full."""


def tagged(value: Any, depth: int = DEPTH) -> Any:
    """The value as JSON holds it."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value)
    if is_secret_class(type(value)):
        return MASK
    return _nested(value, depth - 1) if depth else _as_repr(value)


def _nested(value: Any, depth: int) -> Any:
    if isinstance(value, Malformed):
        return {"$malformed": [tagged(value.raw, depth), value.reason]}
    if is_record(type(value)):
        fields = {name: tagged(item, depth) for name, item in _fields(value).items()}
        return {"$record": [type(value).__name__, fields]}
    if isinstance(value, Mapping):
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: tagged(item, depth) for key, item in value.items()}
        return {"$dict": [[tagged(k, depth), tagged(v, depth)] for k, v in value.items()]}
    return _many(value, depth)


def _many(value: Any, depth: int) -> Any:
    if not isinstance(value, (list, tuple, set, frozenset)):
        return _as_repr(value)
    found = [tagged(item, depth) for item in value]
    if isinstance(value, list):
        return found
    if isinstance(value, tuple):
        return {"$tuple": found}
    return {"$set": sorted(found, key=repr)}


def _fields(record: Any) -> Mapping[str, Any]:
    """A record's fields by the names that its type is converted from."""
    if is_pydantic(type(record)):
        found: Mapping[str, Any] = dumped(record)
        return found
    if is_struct(type(record)):
        names = zip(record.__struct_encode_fields__, record.__struct_fields__, strict=True)
        return {key: getattr(record, name) for key, name in names}
    if is_named_tuple(type(record)):
        return dict(record._asdict())
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _as_repr(value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "shape", None) == ():  # a NumPy scalar
        return tagged(value.item())
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001  (a user's own __repr__)
        text = f"<{type(value).__name__}, its repr raised {type(error).__name__}>"
    return {"$repr": text[:LONGEST]}


def untagged(value: Any) -> Any:
    """The value that JSON stands for.

    Raises:
        UnreadableError: part of it has no form that can be read back, or is damaged.
    """
    if isinstance(value, list):
        return [untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    tag = next(iter(value), "")
    if not tag.startswith("$"):
        return {key: untagged(item) for key, item in value.items()}
    read = _READERS.get(tag)
    if read is None or len(value) != 1:
        msg = f"{tag} is no form of a value"
        raise UnreadableError(msg)
    try:
        return read(value[tag])
    except UnreadableError:
        raise
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        msg = f"{tag} cannot be read: {error}"
        raise UnreadableError(msg) from error


def _from_repr(text: Any) -> Any:
    msg = f"{str(text)[:80]} was not recorded as a value"
    raise UnreadableError(msg)


def _from_malformed(parts: Any) -> Malformed:
    raw, reason = parts
    return Malformed(untagged(raw), str(reason))


def _from_record(parts: Any) -> dict[str, Any]:
    _, fields = parts
    return {str(name): untagged(item) for name, item in fields.items()}


def _from_float(text: Any) -> float:
    if text not in ("nan", "inf", "-inf"):
        raise ValueError(text)
    return float(text)


_WRITERS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    ((bytes, bytearray), lambda v: {"$bytes": base64.b64encode(v).decode()}),
    (dt.datetime, lambda v: {"$datetime": v.isoformat()}),
    (dt.date, lambda v: {"$date": v.isoformat()}),
    (dt.time, lambda v: {"$time": v.isoformat()}),
    (dt.timedelta, lambda v: {"$timedelta": [v.days, v.seconds, v.microseconds]}),
    (decimal.Decimal, lambda v: {"$decimal": str(v)}),
    (uuid.UUID, lambda v: {"$uuid": str(v)}),
    (enum.Enum, lambda v: tagged(v.value)),
    (bool, bool),
    (int, int),
    (float, lambda v: tagged(float(v))),
    (str, str),
)
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "$float": _from_float,
    "$bytes": lambda v: base64.b64decode(v, validate=True),
    "$datetime": dt.datetime.fromisoformat,
    "$date": dt.date.fromisoformat,
    "$time": dt.time.fromisoformat,
    "$timedelta": lambda v: dt.timedelta(*v),
    "$decimal": decimal.Decimal,
    "$uuid": uuid.UUID,
    "$tuple": lambda v: tuple(untagged(item) for item in v),
    "$set": lambda v: {untagged(item) for item in v},
    "$dict": lambda v: {untagged(key): untagged(item) for key, item in v},
    "$record": _from_record,
    "$malformed": _from_malformed,
    "$repr": _from_repr,
}
