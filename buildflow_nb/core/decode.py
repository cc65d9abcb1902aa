"""From a source's wire form to the type that a processor declares, compiled once.

A decoder is made when the processor is declared, and a type that cannot be decoded is refused
there, in one line. Decoding works batch by batch (`many`) because one call into C for a list is
several times cheaper than one per element; where a batch fails, the caller decodes it one by one
(`one`) to find the elements at fault.

msgspec decodes dataclasses, Structs, TypedDicts, NamedTuples and the plain types; pydantic decodes
its own models and what msgspec has no notation for (a union of two dataclasses).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_origin

import msgspec

from buildflow_nb.core.annotations import (
    class_of,
    is_named_tuple,
    is_pydantic,
    is_record,
    is_unknown,
    optional_of,
    record_hints,
    type_name,
    unconvertible,
)
from buildflow_nb.core.credentials import is_secret_class
from buildflow_nb.core.errors import ConversionError, DeclarationError
from buildflow_nb.core.primitive import Malformed, Wire
from buildflow_nb.core.rows import RowPreparation
from buildflow_nb.core.secret_fields import masker

__all__ = ("Decoder", "compile_decoder", "explain")

One = Callable[[Any], object]
Many = Callable[[Sequence[Any]], Sequence[object]]


@dataclass(frozen=True, slots=True)
class Decoder:
    """Converts elements; both raise `ConversionError` with the field's path.

    `many` may also raise for a batch whose fault only `one` can name.
    """

    one: One
    many: Many


def compile_decoder(hint: object, wire: Wire, where: str) -> Decoder:
    """Make the decoder from `wire` to the annotated type; `where` opens error messages.

    Raises:
        DeclarationError: elements of that form can never become this type.
    """
    inner, _ = optional_of(hint)
    if is_unknown(inner):
        return Decoder(_sound, _all_sound)
    own = _own_method(inner, wire)
    if own is not None:
        return _from_one(own, inner)
    if wire is Wire.ROW and not (is_record(inner) or inner is dict or get_origin(inner) is dict):
        msg = (
            f"{where}: a row cannot become {type_name(hint)}; "
            "annotate with a dataclass, another record type or dict"
        )
        raise DeclarationError(msg)
    _refuse_unconvertible(hint, wire, where)
    convert, convert_many = _converter(hint, wire, where)
    if wire is Wire.OBJECT:
        return _objects(hint, convert)
    if wire in (Wire.TEXT, Wire.BYTES):
        return _texts(hint, wire, where)
    if wire is Wire.ROW:
        preparation = RowPreparation.of(inner)
        return Decoder(
            _guarded(lambda raw: convert(preparation.one(raw)), hint),
            _guarded_many(lambda raws: convert_many(preparation.many(raws)), hint),
        )
    return Decoder(_guarded(convert, hint), _guarded_many(convert_many, hint))


def _refuse_unconvertible(hint: object, wire: Wire, where: str) -> None:
    if wire is Wire.OBJECT and class_of(optional_of(hint)[0]) is not None:
        return  # objects of any class pass as they are
    odd = unconvertible(hint)
    if odd is not None:
        inside = "" if odd is hint else f" (inside {type_name(hint)})"
        msg = (
            f"{where}: {type_name(odd)}{inside} cannot be made from {wire.value}; "
            "use a dataclass, a pydantic model, a TypedDict, a NamedTuple or plain types"
        )
        raise DeclarationError(msg)


def explain(error: Exception, raw: object = None) -> str:
    """Say in one line what a msgspec or pydantic validation error means, with path and value."""
    errors = getattr(error, "errors", None)
    if callable(errors):
        first = errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        text = str(first["msg"])
        return f"{path}: {_uncapital(text)}" if path else text
    message, _, path = str(error).partition(" - at `")
    message = message.replace("`", "")
    path = path.rstrip("`").removeprefix("$").removeprefix(".")
    value = _at(raw, path)
    shown = "" if value is None else f" {_short(value)}"
    text = f"{_uncapital(message)}{shown}"
    return f"{path}: {text}" if path else text


def _uncapital(text: str) -> str:
    """The text as part of a sentence; an abbreviation ("JSON") stays what it is."""
    return text if text[1:2].isupper() else f"{text[:1].lower()}{text[1:]}"


def _at(raw: object, path: str) -> object:
    """The value that a simple path (`a.b[0]`) leads to; None where it cannot be followed."""
    value = raw
    for step in path.replace("[", ".[").split("."):
        try:
            if step.startswith("["):
                value = cast("list[object]", value)[int(step[1:-1])]
            elif step:
                value = cast("dict[str, object]", value)[step]
        except (LookupError, TypeError, ValueError):
            return None
    return value if path and isinstance(value, (str, int, float, bool)) else None


def _short(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _sound(raw: object) -> object:
    if type(raw) is Malformed:
        raise ConversionError(raw.reason)
    return raw


def _all_sound(raws: Sequence[object]) -> Sequence[object]:
    if Malformed in map(type, raws):
        msg = "the batch holds a malformed element"
        raise ConversionError(msg)
    return raws


def _from_one(one: One, hint: object) -> Decoder:
    guarded = _guarded(one, hint)
    return Decoder(guarded, lambda raws: [guarded(raw) for raw in raws])


def _guarded(convert: One, hint: object) -> One:
    mask = masker(hint)

    def one(raw: object) -> object:
        _sound(raw)
        try:
            return convert(raw)
        except (ValueError, TypeError) as error:
            if mask is not None:  # the cause would quote what it cannot convert
                raise ConversionError(explain(error, _hidden(mask, raw))) from None
            raise ConversionError(explain(error, raw)) from error

    return one


def _hidden(mask: One, raw: object) -> object:
    """An element as an error may quote it; nothing of one that cannot be looked into."""
    try:
        return mask(raw)
    except Exception:  # noqa: BLE001  (a user's class, which may do anything)
        return None


def _guarded_many(convert_many: Many, hint: object) -> Many:
    secret = masker(hint) is not None

    def many(raws: Sequence[object]) -> Sequence[object]:
        try:
            return convert_many(raws)
        except (ValueError, TypeError) as error:
            raise ConversionError(explain(error)) from (None if secret else error)

    return many


def _own_method(hint: object, wire: Wire) -> One | None:
    """A class may bring its own conversion, as in BuildFlow: `from_string`, `from_bytes`."""
    name = {Wire.TEXT: "from_string", Wire.BYTES: "from_bytes"}.get(wire)
    if name is None or not isinstance(hint, type) or hint in (int, bytes, bytearray):
        return None
    method = inspect.getattr_static(hint, name, None)
    return cast("One", getattr(hint, name)) if isinstance(method, classmethod) else None


def _needs_pydantic(hint: object) -> bool:
    if is_pydantic(hint):
        return True
    try:
        msgspec.inspect.type_info(hint)
    except (TypeError, NameError):
        return True
    return False


def _validate_foreign(expected: type, value: object) -> object:
    """Decode what msgspec does not know: instances as they are, pydantic models by pydantic."""
    if isinstance(value, expected):
        return value
    if is_pydantic(expected):
        return cast("Any", expected).model_validate(value)
    if is_secret_class(expected) and isinstance(value, (str, bytes)):
        return _secret(expected, value)
    msg = f"Expected `{expected.__name__}`, got `{type(value).__name__}`"
    raise msgspec.ValidationError(msg)


def _secret(expected: Any, value: str | bytes) -> object:
    text = not any(base.__name__ == "SecretBytes" for base in expected.__mro__)
    if isinstance(value, str) is text:
        return expected(value)
    return expected(value.decode() if isinstance(value, bytes) else value.encode())


def _converter(hint: object, wire: Wire, where: str) -> tuple[One, Many]:
    """Functions from plain values to the type, for one and for a list."""
    lax = wire is Wire.ROW
    if is_named_tuple(hint):
        return _named_tuple(cast("type", hint), lax=lax)
    if _needs_pydantic(hint):
        adapter, listing = _adapter(hint, where), _adapter(list[hint], where)  # type: ignore[valid-type]
        return adapter.validate_python, listing.validate_python
    many_type = list[hint]  # type: ignore[valid-type]

    def one(raw: object) -> object:
        return msgspec.convert(raw, hint, strict=not lax, dec_hook=_validate_foreign)

    def many(raws: Sequence[object]) -> list[object]:
        return cast(
            "list[object]",
            msgspec.convert(raws, many_type, strict=not lax, dec_hook=_validate_foreign),
        )

    return one, many


def _named_tuple(hint: type, *, lax: bool) -> tuple[One, Many]:
    """NamedTuples are arrays to msgspec; elements that are objects go by field name."""
    defaults = getattr(hint, "_field_defaults", {})
    fields = [
        (name, kind, defaults[name]) if name in defaults else (name, kind)
        for name, kind in record_hints(hint).items()
    ]
    twin = msgspec.defstruct(hint.__name__, fields)

    def one(raw: object) -> object:
        if isinstance(raw, dict):
            found = msgspec.convert(raw, twin, strict=not lax, dec_hook=_validate_foreign)
            return hint(*(getattr(found, name) for name, *_ in fields))
        return msgspec.convert(raw, hint, strict=not lax, dec_hook=_validate_foreign)

    return one, lambda raws: [one(raw) for raw in raws]


def _adapter(hint: Any, where: str) -> Any:
    import pydantic

    try:
        return pydantic.TypeAdapter(hint)
    except (pydantic.PydanticUserError, pydantic.errors.PydanticSchemaGenerationError) as error:
        reason = str(error).splitlines()[0]
        msg = f"{where}: {type_name(hint)} cannot be converted: {reason}"
        raise DeclarationError(msg) from error


def _objects(hint: object, convert: One) -> Decoder:
    """Objects pass as they are when they fit; plain ones (a dict for a dataclass) are converted."""
    expected = class_of(optional_of(hint)[0])
    plain = _guarded(convert, hint)

    def one(raw: object) -> object:
        if expected is not None and isinstance(raw, expected):
            return raw
        return plain(raw)

    def many(raws: Sequence[object]) -> Sequence[object]:
        if expected is not None and set(map(type, raws)) == {expected}:
            return raws
        return [one(raw) for raw in raws]

    return Decoder(one, many)


def _texts(hint: object, wire: Wire, where: str) -> Decoder:
    """Text and bytes: as they are for str and bytes, else JSON."""
    inner, _ = optional_of(hint)
    if inner is str:
        return _from_one(_as_text, hint)
    if inner is bytes:
        return _from_one(_as_bytes, hint)
    if is_named_tuple(inner) or inner is dict:
        convert, _many = _converter(inner, wire, where)
        return _from_one(lambda raw: convert(msgspec.json.decode(raw)), hint)
    if _needs_pydantic(hint):
        return _from_one(_adapter(hint, where).validate_json, hint)
    decoder = msgspec.json.Decoder(hint, dec_hook=_validate_foreign)
    return _from_one(decoder.decode, hint)


def _as_text(raw: object) -> object:
    return raw.decode() if isinstance(raw, bytes) else raw


def _as_bytes(raw: object) -> object:
    return raw.encode() if isinstance(raw, str) else raw
