"""NaN and the infinities, which JSON does not have: found, and refused with the place.

msgspec and pydantic write them as null, in silence. So whoever has written JSON that holds a null
asks here whether it stood for such a number; JSON without a null needs no look at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

from buildflow_nb.core.conversion.annotations import (
    is_named_tuple,
    is_pydantic,
    is_struct,
    record_hints,
)
from buildflow_nb.core.conversion.model_forms import dumped, model_form
from buildflow_nb.core.errors import ConversionError

__all__ = ("refuse_non_finite",)

_WITHOUT = frozenset({str, int, bool, bytes, type(None)})


def refuse_non_finite(element: object) -> None:
    """Refuse an element with a number that JSON would not keep.

    Raises:
        ConversionError: names the number and its place.
    """
    found = _found(element)
    if found is not None:
        path, value = found
        name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        place = f"{path.removeprefix('.')}: " if path else ""
        msg = f"{place}JSON has no {name}; use None, or a format that has it (CSV, Parquet, DuckDB)"
        raise ConversionError(msg)


def _found(value: Any) -> tuple[str, float] | None:
    kind = type(value)
    if kind in _WITHOUT:
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else ("", float(value))
    if isinstance(value, Mapping):
        return _first((f".{key}", item) for key, item in value.items())
    if is_named_tuple(kind):
        return _first((f".{name}", getattr(value, name)) for name in value._fields)
    if isinstance(value, (list, tuple, set, frozenset)):
        return _first((f"[{i}]", item) for i, item in enumerate(value))
    return _found_inside(kind, value)


def _found_inside(kind: type, value: Any) -> tuple[str, float] | None:
    if is_pydantic(kind):
        return None if model_form(kind).non_finite else _found(dumped(value))
    names = _names_of(kind)
    if names:
        return _first((f".{name}", getattr(value, name, None)) for name in names)
    if getattr(value, "shape", None) == () and value.dtype.kind == "f":  # a NumPy number
        return _found(float(value))
    return None


def _first(places: Any) -> tuple[str, float] | None:
    for step, item in places:
        if type(item) in _WITHOUT:
            continue
        found = _found(item)
        if found is not None:
            return step + found[0], found[1]
    return None


@lru_cache(maxsize=256)
def _names_of(kind: Any) -> tuple[str, ...]:
    """The fields of a class that may hold such a number."""
    if is_struct(kind):
        names = kind.__struct_fields__
    elif is_dataclass(kind):
        names = tuple(field.name for field in fields(kind))
    else:
        names = tuple(one.name for one in getattr(kind, "__attrs_attrs__", ()))
    try:
        hints: Mapping[str, Any] = record_hints(kind)
    except (NameError, TypeError):  # names that exist no more
        hints = {}
    return tuple(name for name in names if hints.get(name) not in _WITHOUT)
