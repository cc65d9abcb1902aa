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

from buildflow_nb.core.errors import told

__all__ = ("Detail", "HttpError", "details", "missing", "not_json")

Detail = dict[str, Any]
Place = Sequence[str | int]

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


def details(error: BaseException, start: Place, *, text: bool = False) -> list[Detail]:
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
