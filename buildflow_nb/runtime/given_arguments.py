"""A function with some of its parameters given: calling it costs what it cost before.

A copy of a plain function has them as its defaults, which a call finds faster than keywords that a
wrapper would add. Others (a decorated function, say) get a wrapper.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import FunctionType, MethodType
from typing import Any

__all__ = ("given_first", "with_given")

Call = Callable[..., Any]


def given_first(call: Call, opened: Collection[str]) -> Call:
    """The function as one that takes these parameters first, whatever its own order is."""
    names = list(inspect.signature(call).parameters)
    if all(name in opened for name in names[: len(opened)]):
        return call

    def ordered(*args: Any, **words: Any) -> Any:
        return call(**dict(zip(opened, args, strict=False)), **words)

    return ordered


def with_given(call: Call, words: Mapping[str, object]) -> Call:
    """The function with values for some parameters."""
    if not words:
        return call
    function = call.__func__ if isinstance(call, MethodType) else call
    copied = _copied(function, words) if isinstance(function, FunctionType) else None
    if copied is None:
        return partial(call, **words)
    return MethodType(copied, call.__self__) if isinstance(call, MethodType) else copied


def _copied(function: FunctionType, words: Mapping[str, object]) -> FunctionType | None:
    """A copy whose defaults are these; None where they cannot all be defaults."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    named_only = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    old = function.__defaults__ or ()
    defaults = dict(zip(names[len(names) - len(old) :], old, strict=True))
    defaults |= {name: value for name, value in words.items() if name in names}
    tail = list(names[len(names) - len(defaults) :])
    if set(defaults) != set(tail) or not set(words) <= {*names, *named_only}:
        return None
    made = FunctionType(
        code,
        function.__globals__,
        function.__name__,
        tuple(defaults[name] for name in tail),
        function.__closure__,
    )
    made.__kwdefaults__ = (function.__kwdefaults__ or {}) | {
        name: value for name, value in words.items() if name in named_only
    }
    made.__dict__.update(function.__dict__)
    made.__module__, made.__qualname__ = function.__module__, function.__qualname__
    return made
