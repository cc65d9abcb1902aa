"""What the error of a conversion means, in one line for a person.

msgspec and pydantic say where in the element a fault is; that comes first, and the value there is
quoted. Anything else comes from the user's own code (a validator, `__post_init__`) and is told by
its class. Explaining an error never raises: the text of an error may be code, too.
"""

from __future__ import annotations

import json
from typing import cast

import msgspec

from buildflow_nb.core.errors import told

__all__ = ("explain", "half_character")

LONGEST = 60  # characters of a value that is quoted


def explain(error: BaseException, raw: object = None) -> str:
    """Say in one line why an element cannot be converted, with path and value."""
    try:
        return _explained(error, raw)
    except BaseException:  # noqa: BLE001  (texts and values of a user's own, which may be code)
        return told(error)


def half_character(error: BaseException, raw: object) -> str:
    """What is wrong with JSON that is whole and that msgspec takes for cut off, or "".

    It says so of the first half of a surrogate pair without its second (RFC 8259, section 8.2).
    """
    if not isinstance(error, msgspec.DecodeError) or "truncated" not in str(error):
        return ""
    try:
        json.loads(raw if isinstance(raw, (str, bytes)) else "")
    except (ValueError, RecursionError):
        return ""
    return "a text holds half a character, \\ud800 to \\udbff without its second half"


def _explained(error: BaseException, raw: object) -> str:
    if isinstance(error, RecursionError):
        return f"nested too deeply, or without end ({told(error)})"
    if not isinstance(error, (ValueError, TypeError)):
        text, name = told(error), type(error).__name__
        return name if text == name else f"{name}: {text}"
    errors = getattr(error, "errors", None)
    if isinstance(error, msgspec.ValidationError) and callable(
        getattr(error.__cause__, "errors", None)
    ):
        return _inside(error, cast("Exception", error.__cause__))
    if callable(errors):
        first = errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        text = str(first["msg"])
        return f"{path}: {_uncapital(text)}" if path else text
    message, _, path = told(error).partition(" - at `")
    message = message.replace("`", "")
    path = path.rstrip("`").removeprefix("$").removeprefix(".")
    value = _at(raw, path)
    shown = "" if value is None else f" {_short(value)}"
    text = f"{_uncapital(message)}{shown}"
    return f"{path}: {text}" if path else text


def _inside(error: Exception, cause: Exception) -> str:
    """What pydantic says of a model inside of something that msgspec converts."""
    place = str(error).rpartition(" - at `$")[2].rstrip("`").removeprefix(".")
    said = _explained(cause, None)
    return f"{place}.{said}" if ": " in said else f"{place}: {said}"


def _uncapital(text: str) -> str:
    """The text as part of a sentence; an abbreviation ("JSON") stays what it is."""
    return text if text[1:2].isupper() else f"{text[:1].lower()}{text[1:]}"


def _at(raw: object, path: str) -> object:
    """The value that a simple path (`a.b[0]`) leads to; None where it cannot be followed."""
    if not path:
        return None
    value = raw
    for step in path.replace("[", ".[").split("."):
        try:
            if step.startswith("["):
                value = cast("list[object]", value)[int(step[1:-1])]
            elif step:
                value = cast("dict[str, object]", value)[step]
        except (LookupError, TypeError, ValueError):
            return None
    return value if isinstance(value, (str, int, float, bool)) else None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
