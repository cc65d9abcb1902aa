"""From what a processor returns to a sink's wire form, compiled once.

The declared return type is checked (an `int` from a processor that promised `Priced` fails alone,
with the name of both), and encoders work on lists, as decoders do.

Guarantee: encoding raises `ConversionError` and nothing else, whatever an element's own code does.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import msgspec

from buildflow_nb.core.conversion.annotations import (
    class_of,
    is_named_tuple,
    is_pydantic,
    is_unknown,
    type_name,
    unconvertible,
)
from buildflow_nb.core.conversion.boundary import written
from buildflow_nb.core.conversion.json_forms import json_bytes
from buildflow_nb.core.conversion.model_forms import dumped
from buildflow_nb.core.conversion.plain_forms import based, loosened, plain_form
from buildflow_nb.core.credentials import is_secret_class, revealed
from buildflow_nb.core.errors import ConversionError, DeclarationError
from buildflow_nb.core.primitive import Wire

__all__ = ("Encoder", "compile_encoder", "json_bytes", "to_record")

# Types that every record sink can store as they are; msgspec turns the rest into these.
_STORABLE = (
    bytes,
    bytearray,
    datetime.date,
    datetime.datetime,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    uuid.UUID,
)
_SCALARS = (str, int, float, bool, *_STORABLE)
Form = Callable[[Sequence[object]], Sequence[object]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Encoder:
    """Brings elements into a sink's form; called with a list, it checks their types first.

    `expected` is the one type of which elements need no further check, if there is one; a caller
    that knows the types of all elements may call `form` at once.
    """

    expected: type | None
    check: Form
    form: Form

    def __call__(self, elements: Sequence[object]) -> Sequence[object]:
        """Check and encode.

        Raises:
            ConversionError: an element has another type, or holds what cannot be written.
        """
        return self.form(self.check(elements))


def compile_encoder(hint: object, wire: Wire, where: str) -> Encoder:
    """Make the encoder from elements of the annotated type to `wire`.

    Raises:
        DeclarationError: the type has no such form.
    """
    _refuse_unwritable(hint, wire, where)
    expected = None if is_unknown(hint) else class_of(hint)
    return Encoder(expected, _checker(hint, expected, where), _form(wire, where))


def _form(wire: Wire, where: str) -> Form:
    make: dict[Wire, Callable[[object], object]] = {
        Wire.RECORD: _to_record,
        Wire.ROW: _to_record,
        Wire.TEXT: _to_text,
        Wire.BYTES: _to_bytes,
        Wire.JSON: json_bytes,
    }
    if wire is Wire.OBJECT:
        return _as_they_are
    one = make[wire]

    def form(elements: Sequence[object]) -> Sequence[object]:
        try:
            return written(lambda all_: [one(each) for each in all_], elements)
        except ConversionError as error:
            msg = f"{where} returned what cannot be written: {error}"
            raise ConversionError(msg) from error

    return form


def _as_they_are(elements: Sequence[object]) -> Sequence[object]:
    return elements


def _refuse_unwritable(hint: object, wire: Wire, where: str) -> None:
    own = {Wire.TEXT: ("to_string", "to_json"), Wire.BYTES: ("to_bytes", "to_json")}
    if wire is Wire.OBJECT or any(hasattr(hint, name) for name in own.get(wire, ("to_json",))):
        return
    odd = None if is_unknown(hint) else unconvertible(hint)
    if odd is not None:
        msg = (
            f"{where} returns {type_name(hint)}, and {type_name(odd)} cannot be written as "
            f"{wire.value}; return a dataclass, another record type or plain values"
        )
        raise DeclarationError(msg)


def to_record(element: object) -> dict[str, Any]:
    """The element as a dict of plain values; a bare value becomes the field `value`.

    Raises:
        ConversionError: it has no fields and is no plain value.
    """
    return written(_to_record, element)


def _to_record(element: object) -> dict[str, Any]:
    own = getattr(element, "to_json", None)
    kind = type(element)
    if callable(own):
        found = own()
        return cast(
            "dict[str, Any]", msgspec.json.decode(found) if isinstance(found, str) else found
        )
    if is_named_tuple(kind):
        element = cast("Any", element)._asdict()
    elif is_secret_class(kind):
        return {"value": revealed(element)}
    elif isinstance(element, _SCALARS):
        return {"value": based(element)}
    elif is_pydantic(kind):
        element = dumped(element)
    plain = _plain(element)
    if not isinstance(plain, dict):
        msg = f"{kind.__name__} has no named fields"
        raise TypeError(msg)
    return plain


def _plain(element: object) -> object:
    try:
        return msgspec.to_builtins(
            element, builtin_types=_STORABLE, str_keys=True, enc_hook=_foreign
        )
    except TypeError as error:
        if "keys" not in str(error):
            raise
        return msgspec.to_builtins(
            loosened(element), builtin_types=_STORABLE, str_keys=True, enc_hook=_foreign
        )


def _checker(hint: object, expected: type | None, where: str) -> Form:
    if expected is None:
        return _as_they_are
    allowed: type | tuple[type, ...] = expected
    if expected is float:
        allowed = (float, int)  # as type checkers hold it

    def check(elements: Sequence[object]) -> Sequence[object]:
        if not set(map(type, elements)) <= {expected}:
            for element in elements:
                if not isinstance(element, allowed):
                    msg = f"{where} returned {type(element).__name__}, not {type_name(hint)}"
                    raise ConversionError(msg)
        return elements

    return lambda elements: written(check, elements)


def _foreign(value: object) -> object:
    """What msgspec cannot make plain by itself."""
    if is_pydantic(type(value)):
        return dumped(value)
    try:
        return plain_form(value)
    except TypeError:
        return _by_pydantic(value)


def _by_pydantic(value: object) -> object:
    """What a model may hold and only pydantic knows: paths, addresses, URLs."""
    import pydantic_core

    try:
        return cast("object", pydantic_core.to_jsonable_python(value))
    except ValueError:
        msg = f"{type(value).__name__} has no plain form"
        raise TypeError(msg) from None


def _to_text(element: object) -> str:
    own = getattr(element, "to_string", None)
    if callable(own):
        return _of(str, own(), "to_string")
    if is_secret_class(type(element)):
        element = revealed(element)
    if isinstance(element, str):
        return cast("str", based(element))
    return element.decode() if isinstance(element, bytes) else json_bytes(element).decode()


def _to_bytes(element: object) -> bytes:
    own = getattr(element, "to_bytes", None)
    if callable(own) and not isinstance(element, int):
        return _of(bytes, own(), "to_bytes")
    if is_secret_class(type(element)):
        element = revealed(element)
    if isinstance(element, bytes):
        return cast("bytes", based(element))
    return element.encode() if isinstance(element, str) else json_bytes(element)


def _of(kind: type[T], found: object, name: str) -> T:
    """What a class's own conversion gave, if it is what it has to be."""
    if not isinstance(found, kind):
        msg = f"{name} gave {type(found).__name__}, not {kind.__name__}"
        raise TypeError(msg)
    return found
