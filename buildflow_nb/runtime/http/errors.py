"""A request that is answered with an error, and conversion errors in FastAPI's well-known shape.

`{"detail": [{"loc": ["body", "items", 0, "qty"], "msg": …, "type": …}]}`: `loc` leads to the value
at fault, `type` is pydantic's word for what is wrong. msgspec names the first fault of a body,
pydantic all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from buildflow_nb.core.conversion.secret_fields import MASK
from buildflow_nb.core.errors import ConversionError, told
from buildflow_nb.runtime.observability.failures import Fault

__all__ = ("Detail", "HttpError", "details", "missing", "not_json", "refused_by_a_fault")

Detail = dict[str, Any]
Location = Sequence[str | int]  # FastAPI's `loc`

_ORDINARY = (ValueError, TypeError, RecursionError, ConversionError)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_AT = re.compile(r"^(?P<text>.*?) - at (?:`key` in )?`(?P<path>\$.*)`$", re.DOTALL)
_NAMED = re.compile(r"field `([^`]*)`")
_BYTE = re.compile(r"\(byte (\d+)\)")
_TYPES = {
    "int": "int",
    "float": "float",
    "str": "string",
    "bool": "bool",
    "array": "list",
    "object": "dict",
    "null": "none",
}
_OPENINGS = {
    "Invalid enum value": "enum",
    "Invalid RFC3339 encoded datetime": "datetime_parsing",
    "Invalid RFC3339 encoded date": "date_parsing",
    "Invalid RFC3339 encoded time": "time_parsing",
    "Invalid UUID": "uuid_parsing",
    "Invalid decimal": "decimal_parsing",
}


class HttpError(Exception):
    """The request is answered with this status and `{"detail": …}`."""

    def __init__(
        self,
        status: int,
        detail: str | list[Detail],
        headers: Mapping[str, str] | None = None,
        *,
        close: bool = False,
    ) -> None:
        super().__init__(str(detail))
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.close = close


def missing(*place: str | int) -> Detail:
    """The detail for a value that is not there."""
    return {"loc": list(place), "msg": "Field required", "type": "missing"}


def not_json(error: Exception, body: bytes) -> Detail:
    """The detail for a body that is not JSON, with the byte where it stops being so."""
    found = _BYTE.search(str(error))
    at = int(found[1]) if found else getattr(error, "start", len(body))
    reason = str(error).removeprefix("JSON is malformed: ")
    if isinstance(error, RecursionError):
        at, reason = 0, "nested too deeply"
    return {"loc": ["body", at], "msg": f"JSON decode error: {reason}", "type": "json_invalid"}


def details(error: BaseException, start: Location, *, text: bool = False) -> list[Detail]:
    """Say what a msgspec or pydantic error means; `text` values come from the path or query."""
    cause = error
    place: list[str | int] = list(start)
    seen: set[int] = set()  # an error may be raised from itself
    while cause.__cause__ is not None and id(cause) not in seen:
        if callable(getattr(cause, "errors", None)):
            break
        seen.add(id(cause))
        place += _steps(cause)
        cause = cause.__cause__
    errors = getattr(cause, "errors", None)
    if callable(errors):
        found = errors(include_url=False, include_context=False, include_input=False)
        return [
            {"loc": [*place, *one["loc"]], "msg": one["msg"], "type": one["type"]} for one in found
        ]
    if not isinstance(cause, msgspec.ValidationError):
        return [{"loc": place, "msg": told(cause), "type": "value_error"}]
    at = _AT.match(str(cause))
    kind, message, more = _kind(at["text"] if at else str(cause), text=text)
    return [{"loc": [*place, *_steps(cause), *more], "msg": message, "type": kind}]


def _steps(error: BaseException) -> list[str | int]:
    """The path that a message of msgspec ends with."""
    at = _AT.match(str(error)) if isinstance(error, msgspec.ValidationError) else None
    if at is None:
        return []
    return [_number(key or index) for key, index in _STEP.findall(at["path"])]


def _number(step: str) -> str | int:
    return int(step) if step.isdecimal() else step


def _kind(message: str, *, text: bool) -> tuple[str, str, list[str]]:
    """Pydantic's word for a message of msgspec, the message, and the field that it names."""
    named = _NAMED.search(message)
    if named and message.startswith("Object missing"):
        return "missing", "Field required", [named[1]]
    if named and "unknown field" in message:
        return "extra_forbidden", "Extra inputs are not permitted", [named[1]]
    plain = message.replace("`", "")
    for opening, kind in _OPENINGS.items():
        if message.startswith(opening):
            return kind, plain, []
    expected = re.match(r"Expected `(\w+)[^`]*`(, got)?", message)
    if expected and expected[2] and expected[1] in _TYPES:
        parsing = text and expected[1] in ("int", "float", "bool")
        return _TYPES[expected[1]] + ("_parsing" if parsing else "_type"), plain, []
    return "value_error", plain, []


def refused_by_a_fault(
    error: BaseException, request: web.BaseRequest, body: bytes, origin: str, *, secret: bool
) -> Fault | None:
    """The failure to keep, if binding failed by what the user's own type did with a value.

    A value that a type does not take is the client's to mend: it is answered with 422 and
    forgotten, so that strangers cannot flood the list of failures. A type that breaks over a value
    (a `KeyError` in a validator, a division in `__post_init__`) is the user's to mend: that request
    is kept, and answered with 500. Of `secret` ones nothing is shown.
    """
    at_fault: BaseException | None = error
    if isinstance(error, HttpError):
        at_fault = error.__cause__ if isinstance(error.__cause__, ConversionError) else None
    root = at_fault
    while root is not None and root.__cause__ is not None and root.__cause__ is not root:
        root = root.__cause__
    if at_fault is None or (isinstance(error, HttpError) and isinstance(root, _ORDINARY)):
        return None
    if secret:
        return Fault(MASK, ConversionError(f"a value raised {type(root).__name__}"), 1, origin)
    element = body.decode(errors="replace") if body else request.path_qs
    return Fault(element, at_fault, 1, origin)
