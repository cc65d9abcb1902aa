"""The one boundary around every conversion: what it raises is the element's fault, and no more.

Converting runs code of the user's (validators, `__post_init__`, `from_string`, `to_json`), and that
may raise anything, `SystemExit` included; the decoders themselves raise `RecursionError` for what
is nested too deeply. None of it may reach whoever converts: a `ConversionError` does, and nothing
else, with what was raised as its cause. Conversions never wait, so no cancellation can be among it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import msgspec

from buildflow_nb.core.conversion.secret_fields import masker
from buildflow_nb.core.errors import ConversionError, told
from buildflow_nb.core.primitive import Malformed

__all__ = (
    "Many",
    "One",
    "all_sound",
    "one_by_one",
    "read_alone",
    "read_together",
    "sound",
    "written",
)

One = Callable[[Any], object]
Many = Callable[[Sequence[Any]], Sequence[object]]
T = TypeVar("T")


def sound(raw: object) -> object:
    """The element, if its source could parse it.

    Raises:
        ConversionError: it could not, and says why.
    """
    if type(raw) is Malformed:
        raise ConversionError(raw.reason)
    return raw


def all_sound(raws: Sequence[object]) -> Sequence[object]:
    """The elements, if their source could parse them all.

    Raises:
        ConversionError: it could not parse one of them.
    """
    if Malformed in map(type, raws):
        msg = "the batch holds a malformed element"
        raise ConversionError(msg)
    return raws


def read_alone(convert: One, hint: object, plain: One | None = None) -> One:
    """A conversion of one element to `hint` that raises `ConversionError` and nothing else.

    `plain` makes an element something that an error may quote a value of.
    """
    mask = masker(hint)

    def one(raw: object) -> object:
        if type(raw) is Malformed:
            raise ConversionError(raw.reason)
        try:
            return convert(raw)
        except ConversionError:
            raise
        except BaseException as error:
            if half := half_character(error, raw):
                raise ConversionError(half) from None
            if mask is not None:  # the cause would quote what it cannot convert
                text = _without_secrets(error, mask, _tried(plain, raw))
                raise ConversionError(text) from None
            raise ConversionError(explain(error, _tried(plain, raw))) from error

    return one


def read_together(convert_many: Many, hint: object) -> Many:
    """The same for a list of elements; which of them is at fault is for `read_alone` to say."""
    secret = masker(hint) is not None

    def many(raws: Sequence[object]) -> Sequence[object]:
        try:
            return convert_many(raws)
        except ConversionError:
            raise
        except BaseException as error:  # noqa: BLE001  (a type's own code)
            text = type(error).__name__ if secret else explain(error)
            raise ConversionError(text) from (None if secret else error)

    return many


def one_by_one(convert: One) -> Many:
    """A conversion of a list where nothing is gained by taking it as a whole.

    Never by `map`: there a StopIteration of the user's would be an end, and the rest lost.
    """
    return lambda raws: [convert(raw) for raw in all_sound(raws)]


def written(convert: Callable[[Any], T], value: object) -> T:
    """What a conversion makes of something that is to be written.

    Raises:
        ConversionError: it raised; nothing else is.
    """
    try:
        return convert(value)
    except ConversionError:
        raise
    except BaseException as error:
        known = isinstance(error, (TypeError, ValueError))
        raise ConversionError(told(error) if known else explain(error)) from error


def _without_secrets(error: BaseException, mask: One, raw: object) -> str:
    """What an error says, with nothing quoted that must stay unseen."""
    known = isinstance(error, msgspec.MsgspecError) or callable(getattr(error, "errors", None))
    if not known and not isinstance(error, (ValueError, TypeError)):
        return type(error).__name__  # a KeyError, say, tells nothing but the value
    return explain(error, _tried(mask, raw))


def _tried(convert: One | None, raw: object) -> object:
    """What an error may quote; nothing of an element that cannot be looked into."""
    try:
        return raw if convert is None else convert(raw)
    except BaseException:  # noqa: BLE001  (a user's class, which may do anything)
        return None


# What the error of a conversion means, in one line for a person.
# msgspec and pydantic say where in the element a fault is; that comes first, and the value there
# is quoted. Anything else comes from the user's own code (a validator, `__post_init__`) and is
# told by its class. Explaining an error never raises: the text of an error may be code, too.

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
