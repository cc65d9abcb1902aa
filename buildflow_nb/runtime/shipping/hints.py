"""Annotations that are text, made into what they name before they are sent.

Text is read in the module of its class, and over there the notebook is no module. So what it names
goes along; text that names nothing stays as it is.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ForwardRef, get_args, get_type_hints

__all__ = ("of_class", "of_function", "own")


def own(thing: Any) -> dict[str, Any]:
    """The annotations that a class has without those of its bases, or those of a function."""
    if sys.version_info >= (3, 14):  # they are made when they are asked for
        import annotationlib

        forward = annotationlib.Format.FORWARDREF
        return dict(annotationlib.get_annotations(thing, format=forward))
    if isinstance(thing, type):
        return dict(vars(thing).get("__annotations__", {}))
    return dict(thing.__annotations__)


def of_class(kind: type) -> dict[str, Any]:
    """The annotations of a class, without those of its bases."""
    return _resolved(own(kind), kind.__module__, None, {kind.__name__: kind})


def of_function(function: types.FunctionType) -> dict[str, Any]:
    """The annotations of a function."""
    annotations = own(function)
    if not any(map(_is_text, annotations.values())):
        return annotations
    cells = dict(inspect.getclosurevars(function).nonlocals)
    return _resolved(annotations, function.__module__, function.__globals__, cells)


def _resolved(
    annotations: Mapping[str, Any],
    module: str,
    names: dict[str, Any] | None,
    more: dict[str, Any],
) -> dict[str, Any]:
    made = dict(annotations)
    for name, hint in annotations.items():
        if not _is_text(hint):
            continue
        with suppress(Exception):  # text may be anything
            alone = type("Alone", (), {"__annotations__": {name: hint}, "__module__": module})
            made[name] = get_type_hints(alone, names, more, include_extras=True)[name]
    return made


def _is_text(hint: object) -> bool:
    if isinstance(hint, (str, ForwardRef)):
        return True
    if isinstance(hint, (list, tuple)):  # the parameters of a Callable
        return any(map(_is_text, hint))
    made = isinstance(hint, types.GenericAlias) or not isinstance(hint, type)
    if not made or getattr(hint, "__origin__", None) is None:
        return isinstance(hint, types.UnionType) and any(map(_is_text, get_args(hint)))
    if type(hint).__name__ == "_LiteralGenericAlias":  # its texts are values
        return False
    return any(map(_is_text, get_args(hint)[: 1 if hasattr(hint, "__metadata__") else None]))
