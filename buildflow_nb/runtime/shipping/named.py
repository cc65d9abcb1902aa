"""What goes by its name though it could go by value, and the other way round.

A value that the module of its class keeps at its top (`dataclasses.MISSING`, `os.environ`) is
compared by identity, or belongs to its process: over there it is the one of that name. Outside of
the standard library that goes for values without attributes, as others may have changed. What is
declared in the notebook and would go by its name (`NewType`, a function with `lru_cache`) is made
anew over there, since nothing has that name there.
"""

from __future__ import annotations

import functools
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from buildflow_nb.runtime.shipping import kept

__all__ = ("Names", "by_parts", "dispatching", "finish", "is_of_notebook")

Made = tuple[Any, ...]
_NOTEBOOK = ("__main__", "__mp_main__")


class Names:
    """Names of values that installed modules keep at their top; looked up once for each class."""

    def __init__(self) -> None:
        self._names: dict[type, dict[int, str]] = {}

    def made(self, thing: object) -> Made | None:
        """How it is found by its name, if it has one."""
        kind = type(thing)
        names = self._names.get(kind)
        if names is None:
            names = self._names[kind] = _names(kind)
        name = names.get(id(thing))
        if name is not None:
            return getattr, (sys.modules[kind.__module__], name)
        for stream in ("stdout", "stderr"):
            if thing is getattr(sys, stream):
                return getattr, (sys, stream)
        return _plain(thing) if kind is object else None


def _names(kind: type) -> dict[int, str]:
    module = sys.modules.get(str(kind.__module__))
    if module is None or kind.__module__ in _NOTEBOOK or kind.__module__ == "builtins":
        return {}
    always = module.__name__.partition(".")[0] in sys.stdlib_module_names
    found = [(name, value) for name, value in vars(module).copy().items() if type(value) is kind]
    return {id(value): name for name, value in found if always or not _has_state(value)}


def _has_state(thing: object) -> bool:
    slots = [name for base in type(thing).__mro__ for name in vars(base).get("__slots__", ())]
    return bool(getattr(thing, "__dict__", None)) or any(hasattr(thing, name) for name in slots)


def _plain(thing: object) -> Made | None:
    """A bare `object()`: it is there to be told from everything else, so it must be itself."""
    for module in sys.modules.copy().values():
        if not isinstance(module, types.ModuleType) or module.__name__ in _NOTEBOOK:
            continue
        for name, value in vars(module).copy().items():
            if value is thing:
                return getattr, (module, name)
    return _bare, (kept.key_of(_Holder.of(thing)),)


class _Holder:
    """Bears the key of something that no weak reference can be made to."""

    __slots__ = ("__weakref__", "thing")
    held: typing.ClassVar[dict[int, _Holder]] = {}  # never many: each is somebody's sentinel

    def __init__(self, thing: object) -> None:
        self.thing = thing

    @classmethod
    def of(cls, thing: object) -> _Holder:
        """The one that bears its key."""
        return cls.held.setdefault(id(thing), cls(thing))


def _bare(key: str) -> object:
    holder: Any = kept.keep(key, lambda: _Holder(object()))
    _Holder.held.setdefault(id(holder.thing), holder)
    return holder.thing


def is_of_notebook(thing: object) -> bool:
    """Whether something was declared where there is no module that could be imported."""
    return getattr(thing, "__module__", None) in _NOTEBOOK


def by_parts(thing: Any) -> Made | None:
    """How to make something that pickle would send by a name which nothing has over there."""
    rule = _RULES.get(type(thing))
    return None if rule is None else rule(thing)


def _cached(thing: Any) -> Made | None:
    inner = thing.__wrapped__
    if not is_of_notebook(thing) and "<locals>" not in thing.__qualname__:
        return None
    words = thing.cache_parameters()
    parts = (inner, words["maxsize"], words["typed"])
    more = {k: v for k, v in vars(thing).items() if k not in ("__wrapped__", "cache_parameters")}
    return _make_cached, parts, more, None, None, _set_dict


def _make_cached(function: Callable[..., Any], most: int | None, typed: bool) -> Any:
    return functools.lru_cache(most, typed)(function)


def _set_dict(thing: Any, more: dict[str, Any]) -> None:
    vars(thing).update(more)


def dispatching(function: types.FunctionType) -> Made | None:
    """How to make a function that `singledispatch` has made, anew; it holds a cache."""
    if function.__code__ is not _DISPATCHING:
        return None
    registry = dict(vars(function)["registry"])
    first = registry.pop(object)
    return _make_dispatching, (first,), registry, None, None, _register


_DISPATCHING = getattr(functools.singledispatch(repr), "__code__")  # noqa: B009  (types have none)


def _make_dispatching(function: Callable[..., Any]) -> Any:
    return functools.singledispatch(function)


def _register(function: Any, registry: dict[type, Callable[..., Any]]) -> None:
    for kind, one in registry.items():
        function.register(kind, one)


def _property(thing: functools.cached_property[Any]) -> Made:
    return _make_property, (), (thing.func, thing.attrname), None, None, _set_property


def _make_property() -> Any:
    return functools.cached_property(repr)  # what it calls is set when it is there


def _set_property(thing: Any, parts: tuple[Callable[..., Any], str | None]) -> None:
    thing.func, thing.attrname = parts
    thing.__doc__ = thing.func.__doc__


def _new_type(thing: Any) -> Made | None:
    if not is_of_notebook(thing):
        return None
    return _make_new_type, (kept.key_of(thing), thing.__qualname__, thing.__supertype__)


def _make_new_type(key: str, name: str, supertype: Any) -> object:
    made = kept.keep(key, lambda: typing.NewType(name, supertype))
    made.__module__ = "__main__"
    return made


def _variable(thing: Any) -> Made | None:
    if not is_of_notebook(thing):
        return None
    return _make_variable, (type(thing), kept.key_of(thing), thing.__name__)


def _make_variable(kind: Callable[[str], object], key: str, name: str) -> object:
    made: Any = kept.keep(key, lambda: kind(name))
    made.__module__ = "__main__"
    return made


def _alias(thing: Any) -> Made | None:
    if not is_of_notebook(thing):
        return None
    return _make_alias, (kept.key_of(thing), thing.__name__, thing.__value__, thing.__type_params__)


def _make_alias(key: str, name: str, value: Any, parameters: tuple[Any, ...]) -> object:
    make = getattr(typing, "TypeAliasType")  # noqa: B009  (from Python 3.12 on)
    return kept.keep(key, lambda: make(name, value, type_params=parameters))


_RULES: dict[type, Callable[[Any], Made | None]] = {
    type(functools.lru_cache(len)): _cached,
    functools.cached_property: _property,
    typing.NewType: _new_type,
    typing.ParamSpec: _variable,
    typing.TypeVarTuple: _variable,
}
if hasattr(typing, "TypeAliasType"):
    _RULES[typing.TypeAliasType] = _alias


def finish(thing: object, parts: tuple[Callable[[Any, Any], object], Any]) -> None:
    """Bring up to date what was made in another process; what was made here is left alone."""
    if kept.is_to_be_set(thing):
        setter, state = parts
        setter(thing, state)
