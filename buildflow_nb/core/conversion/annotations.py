"""What a type annotation says: resolved, unwrapped, and sorted into what converters need.

String annotations (and `from __future__ import annotations`) are resolved in the function's own
module and closure, so a notebook's types and a file's behave alike.
"""

from __future__ import annotations

import collections.abc
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from buildflow_nb.core.credentials import is_secret_class
from buildflow_nb.core.errors import DeclarationError, UnknownNameError

__all__ = (
    "arms_of",
    "class_of",
    "element_of",
    "is_named_tuple",
    "is_pydantic",
    "is_record",
    "is_struct",
    "is_typed_dict",
    "is_unknown",
    "optional_of",
    "pydantic_fields",
    "record_hints",
    "record_names",
    "record_values",
    "resolved_hints",
    "type_name",
    "unconvertible",
)

_MANY = (
    list,
    tuple,
    collections.abc.Iterable,
    collections.abc.Iterator,
    collections.abc.Generator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
    collections.abc.Sequence,
)
_CONTAINERS = (list, tuple, set, frozenset, dict)


def resolved_hints(function: Callable[..., object], owner: str) -> dict[str, Any]:
    """Map parameter names (and "return") to real types.

    Raises:
        UnknownNameError: a string annotation names nothing that exists.
        DeclarationError: one cannot be read.
    """
    inner = inspect.unwrap(function)
    cells = inspect.getclosurevars(inner).nonlocals if inspect.isfunction(inner) else {}
    try:
        return get_type_hints(function, localns={**_locals_outside(), **cells}, include_extras=True)
    except NameError as error:
        msg = (
            f"{owner}: annotation names {error.name!r}, which is not defined; "
            f"define or import it before the {owner.partition(' ')[0]}"
        )
        raise UnknownNameError(msg) from error
    except TypeError as error:
        msg = f"{owner}: an annotation cannot be read: {error}"
        raise DeclarationError(msg) from error


def _locals_outside() -> Mapping[str, Any]:
    """The local names where our caller's caller declares: a class may live only there."""
    frame = sys._getframe()  # noqa: SLF001  (the one way to a caller's names)
    package = __name__.partition(".")[0]
    while frame is not None and frame.f_globals.get("__name__", "").startswith(package):
        frame = frame.f_back  # type: ignore[assignment]
    if frame is None or frame.f_locals is frame.f_globals:
        return {}
    return frame.f_locals


def is_unknown(hint: object) -> bool:
    """Whether the annotation says nothing about the type."""
    return hint is None or hint is Any or hint is object or hint is inspect.Parameter.empty


def arms_of(hint: object) -> tuple[object, ...]:
    """The types of a union, or the one type."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def optional_of(hint: object) -> tuple[object, bool]:
    """Split `X | None` into X and whether None was there."""
    arms = arms_of(hint)
    left = tuple(arm for arm in arms if arm is not type(None))
    if len(left) == len(arms) or not left:
        return hint, False
    return (left[0] if len(left) == 1 else Union[left]), True  # noqa: UP007  (built at run time)


def element_of(hint: object) -> object:
    """The type of one element that a processor annotated `-> hint` hands to its sink.

    `list[X]`, `Iterator[X]`, generators and `X | None` all mean elements of X; `None` stays None.
    """
    inner, _ = optional_of(hint)
    origin = get_origin(inner)
    if origin in _MANY and get_args(inner):
        first: object = get_args(inner)[0]
        return optional_of(first)[0]
    if inner in (list, tuple, *_MANY) or inner is type(None):
        return None
    return inner


def class_of(hint: object) -> type | None:
    """The class to check instances with, or `None` where the hint is no plain class."""
    if is_unknown(hint) or is_typed_dict(hint) or not isinstance(hint, type):
        return None
    return None if isinstance(hint, types.GenericAlias) else hint


def is_pydantic(hint: object) -> bool:
    """Whether the hint is a pydantic model (told by its mark, so that pydantic stays unloaded)."""
    return isinstance(hint, type) and hasattr(hint, "__pydantic_core_schema__")


def pydantic_fields(kind: Any) -> Mapping[str, Any]:
    """What pydantic says of the fields of a model, or of one of its dataclasses."""
    found = getattr(kind, "model_fields", None)
    return getattr(kind, "__pydantic_fields__", {}) if found is None else found


def is_struct(hint: object) -> bool:
    """Whether the hint is a msgspec Struct."""
    return isinstance(hint, type) and hasattr(hint, "__struct_fields__")


def is_named_tuple(hint: object) -> bool:
    """Whether the hint is a NamedTuple class."""
    return isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields")


def is_typed_dict(hint: object) -> bool:
    """Whether the hint is a TypedDict, of `typing` or of `typing_extensions`."""
    return isinstance(hint, type) and issubclass(hint, dict) and hasattr(hint, "__required_keys__")


def is_record(hint: object) -> bool:
    """Whether elements of this type have named, typed fields."""
    return (
        (isinstance(hint, type) and is_dataclass(hint))
        or is_pydantic(hint)
        or is_struct(hint)
        or is_named_tuple(hint)
        or is_typed_dict(hint)
    )


def record_hints(hint: object) -> Mapping[str, Any]:
    """Map the field names of a record type, in order, to their types; empty for other types."""
    if not is_record(hint):
        return {}
    record = typing.cast(type, hint)
    hints = get_type_hints(record, include_extras=True)
    by_hints = is_named_tuple(record) or is_typed_dict(record)
    return {name: hints[name] for name in (hints if by_hints else record_names(record))}


def record_names(record: Any) -> list[str]:
    """The field names of a record's class, in order, whatever its hints; none of another class."""
    if is_pydantic(record):
        return list(pydantic_fields(record))
    if isinstance(record, type) and is_dataclass(record):
        return [field.name for field in fields(record)]
    if is_struct(record):
        return list(record.__struct_fields__)
    return list(record._fields) if is_named_tuple(record) else []


def record_values(value: Any) -> dict[str, Any] | None:
    """The fields of a value by name, those of a mapping too; None where it has none."""
    if isinstance(value, Mapping):
        return {str(name): item for name, item in value.items()}
    if is_record(type(value)):
        return {name: getattr(value, name, None) for name in record_names(type(value))}
    return None


def type_name(hint: object) -> str:
    """The type as a person wrote it."""
    if isinstance(hint, type) and not isinstance(hint, types.GenericAlias):
        return hint.__name__
    return str(hint).replace("typing.", "").replace("__main__.", "")


def unconvertible(hint: object) -> type | None:
    """The first class inside the type that neither msgspec nor pydantic can make or write."""
    try:
        info = msgspec.inspect.type_info(hint)
    except (TypeError, NameError):
        return None  # not msgspec's to judge; pydantic will say
    return _first_custom(info, set())


def _first_custom(info: object, seen: set[int]) -> type | None:
    if id(info) in seen:
        return None
    seen.add(id(info))
    if isinstance(info, msgspec.inspect.CustomType):
        fine = is_pydantic(info.cls) or info.cls is object or is_secret_class(info.cls)
        return None if fine else info.cls
    if isinstance(info, (tuple, list)):
        parts: list[object] = list(info)
    elif isinstance(info, (msgspec.inspect.Type, msgspec.inspect.Field)):
        parts = [getattr(info, name) for name in info.__struct_fields__ if name != "cls"]
    else:
        return None
    return next((odd for part in parts if (odd := _first_custom(part, seen))), None)
