"""From JSON to a type, in one step: nothing is lost on the way through plain values.

A number for a Decimal keeps its digits, whatever stands around it. pydantic reads numbers as
floats, also those for a Decimal; where a float would lose digits, its types are therefore
validated from plain values in which such a number carries its text along.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Union

import msgspec

from buildflow_nb.core.conversion.annotations import is_named_tuple, optional_of
from buildflow_nb.core.conversion.boundary import One
from buildflow_nb.core.conversion.typed_values import adapter, foreign, needs_pydantic, twin_of

__all__ = ("json_converter", "plain_json")


def json_converter(hint: Any, where: str) -> One:
    """The function from JSON, as text or bytes, to the type.

    Raises:
        DeclarationError: pydantic does not know the type.
    """
    inner, optional = optional_of(hint)
    if is_named_tuple(inner) and not needs_pydantic(inner):
        return _named_tuple(inner, optional=optional)
    if needs_pydantic(hint):
        return _by_pydantic(adapter(hint, where))
    if _model_with_decimals(msgspec.inspect.type_info(hint), set()):
        return msgspec.json.Decoder(hint, dec_hook=foreign, float_hook=_noting([])).decode
    return msgspec.json.Decoder(hint, dec_hook=foreign).decode


def _named_tuple(hint: Any, *, optional: bool) -> One:
    """NamedTuples are arrays to msgspec; elements that are objects go by field name."""
    twin, made = twin_of(hint)
    kinds: Any = Union[twin, hint, None] if optional else Union[twin, hint]  # noqa: UP007
    decode = msgspec.json.Decoder(kinds, dec_hook=foreign).decode

    def one(raw: Any) -> object:
        found = decode(raw)
        return made(found) if type(found) is twin else found

    return one


def _by_pydantic(known: Any) -> One:
    validate_json, validate = known.validate_json, known.validate_python
    if not _holds_decimals(known.core_schema):
        return validate_json  # type: ignore[no-any-return]

    def one(raw: Any) -> object:
        kept: list[_Number] = []
        plain = msgspec.json.Decoder(float_hook=_noting(kept)).decode(raw)
        if kept:
            try:
                return validate(plain)
            except ValueError:  # what only JSON may be, or what is wrong: JSON decides
                return validate_json(raw)
        return validate_json(raw)

    return one


class _Number(float):
    """A number that says itself as it was written, which is what pydantic makes a Decimal of."""

    __slots__ = ("text",)
    text: str

    def __str__(self) -> str:
        return self.text


def _noting(kept: list[_Number]) -> Callable[[str], float]:
    """Reads numbers, and notes those that a float does not say as they were written."""

    def number(text: str) -> float:
        found = float(text)
        if repr(found) == text:
            return found
        noted = _Number(found)
        noted.text = text
        kept.append(noted)
        return noted

    return number


def _holds_decimals(schema: Any) -> bool:
    if isinstance(schema, dict):
        if schema.get("type") == "decimal":
            return True
        return any(map(_holds_decimals, schema.values()))
    return isinstance(schema, (list, tuple)) and any(map(_holds_decimals, schema))


def _model_with_decimals(info: object, seen: set[int]) -> bool:
    """Whether msgspec meets a pydantic model inside the type that has Decimals."""
    if id(info) in seen:
        return False
    seen.add(id(info))
    if isinstance(info, msgspec.inspect.CustomType):
        return _holds_decimals(getattr(info.cls, "__pydantic_core_schema__", None))
    if isinstance(info, (tuple, list)):
        return any(_model_with_decimals(part, seen) for part in info)
    if isinstance(info, (msgspec.inspect.Type, msgspec.inspect.Field)):
        names = (name for name in info.__struct_fields__ if name != "cls")
        return any(_model_with_decimals(getattr(info, name), seen) for name in names)
    return False


def _exact(text: str) -> float | Decimal:
    number = float(text)
    exact = Decimal(text)
    return number if Decimal(repr(number)) == exact else exact


_PLAIN = msgspec.json.Decoder(float_hook=_exact)


def plain_json(raw: Any) -> object:
    """JSON as plain values; a number that a float cannot hold is a Decimal."""
    return _PLAIN.decode(raw)
