"""Elements as JSON: the one way to it, for files, queues, columns and answers alike.

Guarantees: what is written can be read by the type that it came from, and `ConversionError` is all
that is raised, whatever the element's own code does. What JSON cannot hold is refused, not changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import is_dataclass
from typing import Any

import msgspec

from buildflow_nb.core.conversion.annotations import is_named_tuple, is_pydantic
from buildflow_nb.core.conversion.boundary import written
from buildflow_nb.core.conversion.finite import refuse_non_finite
from buildflow_nb.core.conversion.model_forms import dumped, model_form
from buildflow_nb.core.conversion.plain_forms import loosened, plain_form

__all__ = ("json_bytes", "json_lines", "value_json")


def json_bytes(element: object) -> bytes:
    """The element as JSON.

    Raises:
        ConversionError: part of it has no JSON form.
    """
    return written(_checked, element)


def value_json(value: object) -> bytes:
    """A value inside an element as JSON; a NamedTuple is an array there.

    Raises:
        ConversionError: part of it has no JSON form.
    """
    return written(_checked_value, value)


def json_lines(items: Sequence[object]) -> bytes:
    """The items, one JSON value a line.

    Raises:
        ConversionError: part of one has no JSON form.
    """
    return written(_lines, items)


def _checked(element: object) -> bytes:
    own = getattr(element, "to_json", None)
    if callable(own) and not is_pydantic(type(element)):
        found = own()
        return found.encode() if isinstance(found, str) else _encoded(found)
    data = _encoded(_as_msgspec_has_it(element))
    if b"null" in data:
        refuse_non_finite(element)
    return data


def _checked_value(value: object) -> bytes:
    return _checked([value])[1:-1] if is_named_tuple(type(value)) else _checked(value)


def _lines(items: Sequence[object]) -> bytes:
    if any(map(_is_special, set(map(type, items)))):
        return b"".join([_line(item) for item in items])
    try:
        data = _ENCODER.encode_lines(items)
    except TypeError:  # keys that only `loosened` knows
        return b"".join([_line(item) for item in items])
    if b"null" in data:
        for item in items:
            refuse_non_finite(item)
    return data


def _line(item: object) -> bytes:
    data = _checked(item)
    if b"\n" in data:  # an element's own JSON, in several lines
        data = msgspec.json.format(data, indent=-1)
    return data + b"\n"


def _is_special(kind: type) -> bool:
    """Whether msgspec would write instances of a class otherwise than we do."""
    return hasattr(kind, "to_json") or is_named_tuple(kind) or _is_pydantic_data(kind)


def _is_pydantic_data(kind: type) -> bool:
    """Whether it is a dataclass to msgspec, and more than that to pydantic."""
    return is_pydantic(kind) and is_dataclass(kind)


def _as_msgspec_has_it(element: Any) -> object:
    """An element that msgspec would write otherwise, as something that it writes rightly."""
    kind = type(element)
    if is_named_tuple(kind):  # an array to msgspec; an element has the names of its fields
        return element._asdict()
    if is_pydantic(kind):
        return _model(element)
    if kind in (list, tuple) and any(map(_is_pydantic_data, set(map(type, element)))):
        return [_as_msgspec_has_it(one) if _is_pydantic_data(type(one)) else one for one in element]
    if kind is dict and any(map(_is_pydantic_data, set(map(type, element.values())))):
        return dict(zip(element, _as_msgspec_has_it([*element.values()]), strict=True))  # type: ignore[call-overload]
    return element


def _encoded(element: object) -> bytes:
    try:
        return _ENCODER.encode(element)
    except TypeError as error:
        if "keys" not in str(error):
            raise
        return _ENCODER.encode(loosened(element))


def _foreign(value: object) -> object:
    """What msgspec cannot write by itself."""
    if is_pydantic(type(value)):
        return _model(value)
    return plain_form(value)


def _model(model: Any) -> object:
    form = model_form(type(model))
    if form.secret:  # pydantic's JSON hides what a sink has to get
        return dumped(model)
    if form.renamed:
        return dumped(model, json=True)
    if hasattr(model, "model_dump_json"):
        return msgspec.Raw(model.model_dump_json(by_alias=True).encode())
    return msgspec.Raw(type(model).__pydantic_serializer__.to_json(model, by_alias=True))


_ENCODER = msgspec.json.Encoder(enc_hook=_foreign)
