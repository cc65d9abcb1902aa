"""From plain values (numbers, text, dicts, lists) to a type, for one and for a list.

msgspec converts dataclasses, Structs, TypedDicts, NamedTuples and the plain types; pydantic its own
models, and what msgspec has no notation for (a union of two dataclasses).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from typing import Any, cast

import msgspec

from buildflow_nb.core.conversion.annotations import (
    is_named_tuple,
    is_pydantic,
    record_hints,
    type_name,
)
from buildflow_nb.core.conversion.boundary import Many, One
from buildflow_nb.core.conversion.type_parts import origin_of, reaches
from buildflow_nb.core.credentials import is_secret_class
from buildflow_nb.core.errors import DeclarationError

__all__ = ("adapter", "converters", "foreign", "needs_pydantic", "twin_of")


def converters(hint: object, where: str, *, lax: bool) -> tuple[One, Many]:
    """Functions from plain values to the type; `lax` ones read numbers and the like from text.

    Raises:
        DeclarationError: pydantic does not know the type.
    """
    if is_named_tuple(hint) and not needs_pydantic(hint):
        return _named_tuple(cast("type", hint), lax=lax)
    if needs_pydantic(hint):
        one, many = adapter(hint, where), adapter(list[hint], where)  # type: ignore[valid-type]
        return one.validate_python, many.validate_python
    return _by_msgspec(hint, lax=lax)


def _by_msgspec(hint: Any, *, lax: bool) -> tuple[One, Many]:
    many_type = list[hint]

    def one(raw: object) -> object:
        return msgspec.convert(raw, hint, strict=not lax, str_keys=True, dec_hook=foreign)

    def many(raws: Sequence[object]) -> Sequence[object]:
        return msgspec.convert(raws, many_type, strict=not lax, str_keys=True, dec_hook=foreign)

    return one, many


def needs_pydantic(hint: object) -> bool:
    """Whether msgspec does not know the type by itself, or would make of it what it is not."""
    if is_pydantic(hint) or reaches(hint, _is_validated_dataclass):
        return True
    try:
        msgspec.inspect.type_info(hint)
    except (TypeError, NameError):
        return True
    return False


def _is_validated_dataclass(hint: Any) -> bool:
    """A dataclass of pydantic's, which is like any other to msgspec: without its checks."""
    kind = origin_of(hint)
    return is_pydantic(kind) and is_dataclass(kind)


def foreign(expected: type, value: object) -> object:
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


def _named_tuple(hint: type, *, lax: bool) -> tuple[One, Many]:
    """NamedTuples are arrays to msgspec; elements that are objects go by field name."""
    twin, made = twin_of(hint)

    def one(raw: object) -> object:
        if isinstance(raw, dict):
            return made(msgspec.convert(raw, twin, strict=not lax, str_keys=True, dec_hook=foreign))
        return msgspec.convert(raw, hint, strict=not lax, str_keys=True, dec_hook=foreign)

    return one, lambda raws: [one(raw) for raw in raws]


def twin_of(hint: Any) -> tuple[type, Callable[[Any], object]]:
    """A Struct with the fields of a NamedTuple, and what makes the one of the other."""
    defaults = getattr(hint, "_field_defaults", {})
    kinds = record_hints(hint)
    fields = [
        (name, kind, defaults[name]) if name in defaults else (name, kind)
        for name, kind in kinds.items()
    ]
    twin = msgspec.defstruct(hint.__name__, fields)
    return twin, lambda found: hint(*(getattr(found, name) for name in kinds))


def adapter(hint: Any, where: str) -> Any:
    """Make a converter of pydantic's for a type.

    Raises:
        DeclarationError: it does not know the type.
    """
    import pydantic

    try:
        return pydantic.TypeAdapter(hint)
    except (pydantic.PydanticUserError, pydantic.errors.PydanticSchemaGenerationError) as error:
        reason = str(error).splitlines()[0]
        msg = f"{where}: {type_name(hint)} cannot be converted: {reason}"
        raise DeclarationError(msg) from error
