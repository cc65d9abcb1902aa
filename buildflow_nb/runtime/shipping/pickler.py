"""Pickles by value what is declared in a notebook, so that it is the same thing over there.

It is cloudpickle's, with what that would send wrong: silently (the fields of a Struct, `MISSING` of
dataclasses, slots, members of an Enum, annotations that are text) or not at all (what msgspec keeps
on a class that it has converted). What a module has at its top goes by the module's name, and a
function that was made inside of an installed one gets that module's globals over there.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import io
import operator
import pickle
import sys
import types
from typing import Any, NamedTuple

import cloudpickle
import msgspec

from buildflow_nb.core.declaring.dependencies import Dependency
from buildflow_nb.core.declaring.hooks import Hook
from buildflow_nb.core.declaring.processor import Processor
from buildflow_nb.runtime.shipping import (
    blobs,
    classes,
    code,
    errors,
    hints,
    instances,
    kept,
    named,
    shown,
    structs,
)
from buildflow_nb.runtime.shipping.code_names import globals_of, imports_of
from buildflow_nb.runtime.shipping.refused import RefusedError, refuse

__all__ = ("Dumped", "Pickler", "dumped", "of_shell")

_DISPLAY = "display"
_SHELL = "get_ipython"
_OF_SHELL = (_DISPLAY, _SHELL)
_CODE = (types.FunctionType, types.MethodType, functools.partial, type)
Made = Any  # what `reducer_override` may return


class Dumped(NamedTuple):
    """Something as bytes, with the modules that it needs, and whether it is more than values."""

    data: bytes
    modules: set[str]
    is_code: bool


def dumped(thing: object, *, lenient: bool = False, is_back: bool = False) -> Dumped:
    """Something as bytes; `is_back` if it goes to where its classes came from."""
    out = io.BytesIO()
    pickler = Pickler(out, lenient=lenient, is_back=is_back)
    pickler.dump(thing)
    parts = thing if isinstance(thing, (tuple, list)) else (thing,)
    is_code = pickler.is_code or any(isinstance(part, _CODE) for part in parts)
    return Dumped(out.getvalue(), pickler.modules, is_code)


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    """Writes one thing; `modules` are those that it names, `is_code` whether a processor is in it.

    If it is `lenient`, a stand-in goes in place of what cannot be sent, as far as that can be told.
    """

    def __init__(self, file: io.BytesIO, *, lenient: bool = False, is_back: bool = False) -> None:
        super().__init__(file)
        self.modules: set[str] = set()
        self.is_code = False
        self._lenient = lenient
        self._is_back = is_back
        self._names = named.Names()

    def reducer_override(self, thing: Any) -> Made:
        """Called by pickle for everything but plain values and containers."""
        if not self._lenient:
            return self._reduced(thing)
        try:
            made = self._reduced(thing)
            if made is not NotImplemented or isinstance(thing, (type, types.FunctionType)):
                return made
            own = self.dispatch_table.get(type(thing))
            return thing.__reduce_ex__(5) if own is None else own(thing)
        except BaseException:  # noqa: BLE001  (a user's own way to be pickled)
            there = shown.stand_in(thing)
            if isinstance(there, shown.StandIn):
                return shown.StandIn, (there.kind, there.text)
            return there.__reduce__()

    def _reduced(self, thing: Any) -> Made:
        if isinstance(thing, type):
            return self._class(thing)
        if isinstance(thing, types.FunctionType):
            return self._function(thing)
        if isinstance(thing, types.CodeType):
            made: Made = code.parts_of(thing, self.dispatch_table[types.CodeType](thing))
        else:
            made = self._names.made(thing) or named.by_parts(thing)
        if made is not None:
            return made
        refuse(thing)
        if isinstance(thing, Dependency):
            key = kept.key_of(thing)
            return (
                _dependency,
                (key, type(thing)),
                (_set_dict, vars(thing)),
                None,
                None,
                named.finish,
            )
        if isinstance(thing, (Processor, Hook)):
            self.is_code = True
        if isinstance(thing, types.ModuleType):
            self.modules.add(thing.__name__)
        elif isinstance(thing, BaseException):
            return errors.parts_of(thing) or NotImplemented
        return instances.parts_of(thing) or NotImplemented

    # -- classes --------------------------------------------------------------------------------

    def _class(self, kind: Any) -> Made:
        if made := _of_generic(kind):
            return made
        if self._is_back and named.is_of_notebook(kind):
            return blobs.parts_of(kind, _whole)
        made = super().reducer_override(kind)
        if made is NotImplemented:
            self.modules.add(str(kind.__module__))
            return made
        if len(made) < 6:  # noqa: PLR2004  (a class that has a name of its own, like None's)
            return made
        key = kept.key_of(kind)
        if isinstance(kind, type(msgspec.Struct)):
            make: tuple[Any, ...] = (structs.made, structs.parts_of(kind))
            state: tuple[Any, ...] = (structs.finish, structs.state_of(kind))
        else:
            make, state = classes.parts_of(kind, made)
        return classes.made, (key, *make), state, None, None, named.finish

    # -- functions ------------------------------------------------------------------------------

    def _function(self, function: types.FunctionType) -> Made:
        if function.__name__ == _DISPLAY and function.__module__.startswith("IPython."):
            return getattr, (shown, _DISPLAY)
        if function.__name__ == _SHELL and function.__module__.startswith("IPython."):
            raise RefusedError(function)
        made = super().reducer_override(function)
        if made is NotImplemented:
            self.modules.add(function.__module__)
            return made
        if dispatching := named.dispatching(function):
            return dispatching
        maker, (body, names, *rest), (state, slots), *_, setter = made
        self.modules.update(imports_of(body))
        module = _module_of(function)
        if module is not None:
            self.modules.add(module)
            names, slots["__globals__"] = _Globals(module), {}
        else:
            slots["__globals__"] = {**of_shell(body), **slots["__globals__"]}
        slots["__annotations__"] = hints.of_function(function)
        return maker, (body, names, *rest), (state, slots), None, None, setter


def of_shell(body: types.CodeType) -> dict[str, Any]:
    """What code uses of what a notebook's shell adds to the built-in names."""
    used = globals_of(body).keys()
    return {
        name: getattr(builtins, name) for name in _OF_SHELL if name in used & vars(builtins).keys()
    }


def _whole(kind: type) -> bytes:
    """A class as bytes, with stand-ins for what of it cannot be sent."""
    try:
        data = dumped(kind).data
        with kept.values_only():
            pickle.loads(data)  # noqa: S301  (our own)
    except Exception:  # noqa: BLE001  (a user's own way to be pickled)
        data = dumped(kind, lenient=True).data
    return data


class _Globals:
    """Stands for the globals of a module that is there over there, too."""

    def __init__(self, module: str) -> None:
        self.module = module

    def __reduce__(self) -> tuple[Any, ...]:
        return _globals, (self.module,)


def _globals(module: str) -> dict[str, Any]:
    return vars(importlib.import_module(module))


def _module_of(function: types.FunctionType) -> str | None:
    """The module whose globals a function has, if it can be imported."""
    names = function.__globals__
    name = names.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) else None
    good = module is not None and vars(module) is names and name not in ("__main__", "__mp_main__")
    return name if good else None


def _of_generic(kind: Any) -> Made:
    """A pydantic model with its parameters filled in: made of the model over there."""
    told = vars(kind).get("__pydantic_generic_metadata__")
    if not told or told.get("origin") is None:
        return None
    args = told["args"]
    return operator.getitem, (told["origin"], args if len(args) > 1 else args[0])


def _dependency(key: str, kind: type[Dependency]) -> object:
    return kept.keep(key, lambda: kind.__new__(kind))


def _set_dict(thing: Any, state: dict[str, Any]) -> None:
    vars(thing).update(state)
