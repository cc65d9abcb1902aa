"""Errors by value: as they are, whatever their `__init__` takes, with what caused them.

Pickle makes an error by calling its class with `args`, which fails for a class with an `__init__`
of its own. Here it is made without that, as it was; its traceback stays where it is.
"""

from __future__ import annotations

import types
from typing import Any

__all__ = ("parts_of",)

_SLOT = types.WrapperDescriptorType
_METHOD = types.MethodDescriptorType


def parts_of(error: BaseException) -> tuple[Any, ...] | None:
    """How to make an error; None where its class has a way of its own."""
    kind = type(error)
    if not isinstance(kind.__reduce__, _METHOD) or kind.__reduce_ex__ is not object.__reduce_ex__:
        return None
    made = error.__reduce__()
    if not isinstance(made, tuple) or made[0] is not kind:
        return None
    state = {
        "__dict__": made[2] if len(made) > 2 and isinstance(made[2], dict) else dict(vars(error)),  # noqa: PLR2004
        "__cause__": error.__cause__,
        "__context__": error.__context__,
        "__suppress_context__": error.__suppress_context__,
    }
    return _make, (kind, made[1]), state, None, None, _finish


def _make(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    made = kind.__new__(kind, *args)
    for base in kind.__mro__:
        start = vars(base).get("__init__")
        if isinstance(start, _SLOT):  # fills what a built-in class keeps outside of `__dict__`
            start(made, *args)
            break
    return made


def _finish(error: BaseException, state: dict[str, Any]) -> None:
    for name, value in state.pop("__dict__").items():
        setattr(error, name, value)
    for name, value in state.items():
        setattr(error, name, value)
