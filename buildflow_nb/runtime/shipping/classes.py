"""Classes by value, where what cloudpickle gives of one would make another of it.

A class is made bare, and its attributes are set when it is there, as they may use it. While it is
made, no `__init_subclass__` of a class that was sent runs: what that did is in what is sent, and
what it was called with is known no more.
"""

from __future__ import annotations

import contextvars
import enum
import functools
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

import cloudpickle

from buildflow_nb.runtime.shipping import hints, kept

__all__ = ("made", "parts_of", "quiet", "sent_as")

Args = tuple[Any, ...]
_NOT_SENT = (
    *("__msgspec_cache__", "__pydantic_parent_namespace__", "__slots__"),
    *("__annotate_func__", "__annotations_cache__", "__annotate__"),  # from Python 3.14 on
)
_STARTS = "__init_subclass__"
_TARGET = "__buildflow_target__"  # of what stands for it
_GENERIC = typing.Generic.__dict__.get("__class_getitem__")
_being_made: contextvars.ContextVar[bool] = contextvars.ContextVar("being made", default=False)


def parts_of(kind: Any, told: tuple[Any, ...]) -> tuple[Args, tuple[Callable[..., object], Any]]:
    """What makes the class bare, and what is set then; `told` is what cloudpickle gives of it."""
    maker, args, (attributes, _), *_, setter = told
    attributes = _attributes(kind, attributes)
    if issubclass(kind, enum.Enum):
        args = _enum_parts(kind, args, attributes)
        members = {name: _own(one) for name, one in kind.__members__.items()}
        return (maker, args), (_set_enum, (attributes, members))
    meta, name, bases, words, *rest = args
    if "__slots__" in vars(kind):
        bases = tuple(tuple if base is typing.NamedTuple else base for base in bases)
        words = {**words, "__slots__": vars(kind)["__slots__"]}
    elif meta.__name__ == "_TypedDictMeta" and dict in bases:
        # what it inherits is among its own, and `dict` is no base that may be named
        bases = (sys.modules[meta.__module__].TypedDict,)
    return (maker, (meta, name, bases, words, *rest)), (functools.partial(_set, setter), attributes)


def made(key: str, make: Callable[..., object], args: Args) -> object:
    """The class with this key, made now if there is none."""
    token = _being_made.set(True)
    try:
        return kept.keep(key, functools.partial(make, *args))
    finally:
        _being_made.reset(token)


def _attributes(kind: type, attributes: dict[str, Any]) -> dict[str, Any]:
    found = {
        name: value
        for name, value in attributes.items()
        if name not in _NOT_SENT
        and not (isinstance(value, types.MemberDescriptorType) and value.__objclass__ is kind)
        and not (name == "__class_getitem__" and _is_of_generic(value))
    }
    if annotations := hints.of_class(kind):
        found["__annotations__"] = annotations
    if _STARTS in found:
        found[_STARTS] = sent_as(found[_STARTS])
    return found


def _is_of_generic(value: object) -> bool:
    """Whether it is what a generic NamedTuple took over from `Generic`, which is a base there."""
    inner = getattr(value, "__func__", None)
    return inner is not None and inner is getattr(_GENERIC, "__func__", None)


def sent_as(start: Any) -> Any:
    """An `__init_subclass__` as its class was declared with it."""
    return getattr(getattr(start, "__func__", None), _TARGET, start)


def _set(setter: Callable[..., object], kind: Any, attributes: dict[str, Any]) -> None:
    if _STARTS in attributes:
        attributes = {**attributes, _STARTS: quiet(attributes[_STARTS])}
    setter(kind, (attributes, {}))


def quiet(start: Any) -> Any:
    """The same, but for classes that are only made again: for them it does nothing."""

    def call(kind: type, /, **words: object) -> None:
        if not _being_made.get():
            start.__get__(None, kind)(**words)

    setattr(call, _TARGET, start)
    return classmethod(call)


# -- enumerations: aliases, and what an `__init__` of their own gave the members ------------------


def _enum_parts(kind: Any, args: Args, attributes: dict[str, Any]) -> Args:
    members = {name: member.value for name, member in kind.__members__.items()}
    for name in members:
        attributes.pop(name, None)
    return (*args[:3], members, *args[4:])


def _own(member: Any) -> dict[str, Any]:
    given = ("_value_", "_name_", "__objclass__", "_sort_order_")
    return {name: value for name, value in vars(member).items() if name not in given}


def _set_enum(kind: Any, parts: tuple[dict[str, Any], dict[str, dict[str, Any]]]) -> None:
    attributes, members = parts
    _set(cloudpickle.cloudpickle._class_setstate, kind, attributes)  # noqa: SLF001
    for name, values in members.items():
        vars(kind.__members__[name]).update(values)
