"""The way to what cannot be sent: which variable, on which line, and by way of what.

Pickle tells the class of what it could not write, never where it was. So each part of what was to
be sent is written alone, and where one fails its parts are: what fails though all its parts can be
sent, or is an object of somebody else's, is the culprit.
"""

from __future__ import annotations

import functools
import sys
import time
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from buildflow_nb.core.declaring.dependencies import Dependency, Provider
from buildflow_nb.core.declaring.flow_spec import (
    CollectorSpec,
    ConsumerSpec,
    EndpointSpec,
    ProcessorSpec,
)
from buildflow_nb.core.declaring.hooks import Hook
from buildflow_nb.core.declaring.processor import Processor
from buildflow_nb.core.errors import told
from buildflow_nb.core.primitive import label_of
from buildflow_nb.runtime.shipping.code_names import lines_of
from buildflow_nb.runtime.shipping.pickler import dumped, of_shell

__all__ = ("explained",)

_MOST = 2_000  # parts that are tried
_LONGEST_S = 5.0
_STEPS = 6  # of a way, that are told
_CURE = "make it in setup(), or as a dependency"
_DEEPEST = 4  # that a processor is looked for
_SPECS = (ConsumerSpec, CollectorSpec, EndpointSpec)
_DECLARED = (*_SPECS, Hook)
_OURS = __name__.partition(".")[0]
_MADE_OF_CODE = (types.FunctionType, types.MethodType, functools.partial, property)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of something; `said` is how it is one: "uses 'app' (line 7 of cell 3)"."""

    said: str
    thing: object


def explained(thing: object, error: BaseException) -> str:
    """Why something cannot be sent, in one line. Never raises.

    A processor or a hook inside of it is what the line begins with. Where nobody is found to be at
    fault, the line ends with the error that was met.
    """
    subject = thing
    way: tuple[_Part, ...] = ()
    with suppress(BaseException):  # looks into things of anybody's
        subject = _declared_in(thing, _DEEPEST) or thing
        way = _way(subject, _parts(subject))
    name = _name(subject)
    if not way:
        return f"{name} cannot be sent to another process ({told(error)}); {_CURE}"
    said = [part.said for part in way]
    if len(said) > _STEPS:
        said[_STEPS - 2 : -1] = ["…"]
    steps = ", which ".join(said).replace("which …, which", "…, which")
    return f"{name}: {steps}, which cannot be sent to another process; {_CURE}"


def _declared_in(thing: object, deepest: int) -> object | None:
    """The processor or hook inside of something that cannot be sent."""
    if isinstance(thing, _DECLARED):
        return thing
    ours = str(type(thing).__module__).startswith(f"{_OURS}.")
    if deepest and (ours or isinstance(thing, (tuple, list, dict))):
        for part in _parts(thing):
            if not _goes(part.thing) and (found := _declared_in(part.thing, deepest - 1)):
                return found
    return None


def _of_spec(spec: ProcessorSpec) -> Iterator[_Part]:
    """The parts of a spec, as people call them."""
    processor = spec.processor
    for provider in processor.providers:
        yield _Part(f"uses the dependency {provider.name!r}", provider)
    yield from _parts(processor.target)
    for role in ("source", "sink"):
        if (primitive := getattr(spec, role, None)) is not None:
            yield _Part(f"has the {role} {label_of(primitive)}", primitive)
    if (primitive := getattr(spec.options, "dead_letter", None)) is not None:
        yield _Part(f"has the dead letter {label_of(primitive)}", primitive)
    for parameter in processor.parameters:
        yield _Part(f"has the parameter {parameter.name!r}", parameter)
    yield _Part("returns it", processor.returns)
    yield _Part("has options", spec.options)


def _way(thing: object, parts: Iterable[_Part]) -> tuple[_Part, ...]:
    """The shortest way to a culprit; as far as was looked, where that is too far."""
    seen, left, end = {id(thing): thing}, _MOST, time.monotonic() + _LONGEST_S
    waiting: deque[tuple[tuple[_Part, ...], Iterable[_Part]]] = deque([((), parts)])
    while waiting:
        way, parts = waiting.popleft()
        is_culprit = bool(way)
        for part in parts:
            if id(part.thing) in seen:
                is_culprit = False  # or its parts would be said to be fine
                continue
            left -= 1
            if left < 0 or time.monotonic() > end:
                return way
            if _goes(part.thing):
                continue
            is_culprit = False
            seen[id(part.thing)] = part.thing
            longer = (*way, part)
            if not _is_looked_into(part.thing):
                return longer
            waiting.append((longer, _parts(part.thing)))
        if is_culprit:
            return way
    return ()


def _goes(thing: object) -> bool:
    try:
        dumped(thing)
    except BaseException:  # noqa: BLE001  (a user's own way to be pickled)
        return False
    return True


def _is_looked_into(thing: object) -> bool:
    """Whether parts of it are the user's to change: not of an object of some library."""
    if isinstance(thing, (type, *_MADE_OF_CODE, dict, list, tuple, set, frozenset)):
        return True
    module = str(type(thing).__module__)
    if module == "__main__" or module.startswith((f"{_OURS}.core", f"{_OURS}.io")):
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return (
        bool(file)
        and not {"site-packages", "dist-packages"} & set(Path(str(file)).parts)
        and (module.partition(".")[0] not in (*sys.stdlib_module_names, _OURS))
    )


def _parts(thing: Any) -> Iterator[_Part]:
    for kinds, parts in _WAYS:
        if isinstance(thing, kinds):
            return parts(thing)
    return _of_instance(thing)


def _of_hook(hook: Hook) -> Iterator[_Part]:
    yield from _parts(hook.target)
    yield from _items(getattr(hook, "options", {}).items())


def _of_method(method: types.MethodType) -> Iterator[_Part]:
    yield _Part(f"is a method of {_name(method.__self__)}", method.__self__)
    yield from _parts(method.__func__)


def _of_partial(partial: functools.partial[Any]) -> Iterator[_Part]:
    yield _Part(f"calls {_name(partial.func)}", partial.func)
    yield from _items(enumerate(partial.args))
    yield from _items(partial.keywords.items())


def _of_property(found: property) -> Iterator[_Part]:
    for function in filter(None, (found.fget, found.fset, found.fdel)):
        yield from _parts(function)


def _of_mapping(found: dict[Any, Any]) -> Iterator[_Part]:
    yield from (_Part(f"holds the key {key!r:.50}", key) for key in found)
    yield from _items(found.items())


def _of_function(function: types.FunctionType) -> Iterator[_Part]:
    code = function.__code__
    names = {**of_shell(code), **function.__globals__}
    cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
    for name, line in sorted(lines_of(code).items(), key=lambda found: found[1]):
        said = f"uses {name!r} ({_place(code.co_filename, line)})"
        if name in cells:
            try:
                yield _Part(said, cells[name].cell_contents)
            except ValueError:  # it is not set yet
                continue
        elif name in names:
            yield _Part(said, names[name])
    defaults = function.__defaults__ or ()
    named = code.co_varnames[: code.co_argcount]
    where = _place(code.co_filename, code.co_firstlineno)
    by_default = dict(zip(named[len(named) - len(defaults) :], defaults, strict=True))
    for name, value in {**by_default, **(function.__kwdefaults__ or {})}.items():
        yield _Part(f"has a default of {name!r} ({where})", value)
    for name, hint in function.__annotations__.items():
        yield _Part(f"annotates {name!r} ({where})", hint)
    yield from _items(vars(function).items())


def _of_class(kind: Any) -> Iterator[_Part]:
    for base in kind.__bases__:
        yield _Part(f"stands on {base.__name__!r}", base)
    for name, value in vars(kind).items():
        if isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType)):
            continue
        if isinstance(value, (types.FunctionType, property, classmethod, staticmethod)):
            yield from _parts(value)
        elif name == "__annotations__":
            yield from (_Part(f"annotates {key!r}", hint) for key, hint in value.items())
        elif name not in ("__dict__", "__weakref__", "__msgspec_cache__", "__slots__"):
            yield _Part(f"holds {name!r}", value)
    if isinstance(kind, type(msgspec.Struct)):
        yield from _items(enumerate(kind.__struct_defaults__))


def _of_instance(thing: Any) -> Iterator[_Part]:
    if isinstance(thing, Provider):
        yield from _parts(thing.dependency)
        yield from (_Part(f"has the argument {one.name!r}", one.source) for one in thing.arguments)
        yield _Part("has a value in its place", thing.given)
        return
    if isinstance(thing, (Dependency, Processor)):
        yield from _parts(getattr(thing, "dependency_fn", None) or getattr(thing, "target", None))
    values = dict(getattr(thing, "__dict__", {}))
    for base in type(thing).__mro__:
        for name in vars(base).get("__slots__", ()):
            if hasattr(thing, name):
                values[name] = getattr(thing, name)
    yield from (_Part(f"holds {name!r}", value) for name, value in values.items())
    yield _Part(f"is a {type(thing).__name__!r}", type(thing))


def _items(pairs: Iterable[tuple[object, object]]) -> Iterator[_Part]:
    yield from (_Part(f"holds [{key!r:.50}]", value) for key, value in pairs)


def _name(thing: object) -> str:
    if isinstance(thing, _SPECS):
        return f"{thing.kind} {thing.id!r}"
    if isinstance(thing, Hook):
        return str(thing)
    named = getattr(thing, "__name__", None) if callable(thing) else None
    return repr(named) if isinstance(named, str) else f"a {type(thing).__name__}"


def _place(file: str, line: int) -> str:
    """Where code is: the line in its cell, or in its file."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    told = None if shell is None else shell.compile.format_code_name(file)
    if told and str(told[1]).startswith("In["):
        return f"line {line} of cell {str(told[1])[3:-1]}"
    return f"line {line}" if file.startswith("<") else f"line {line} of {Path(file).name}"


_WAYS: tuple[tuple[Any, Callable[[Any], Iterator[_Part]]], ...] = (
    (_SPECS, _of_spec),
    (Hook, _of_hook),
    (types.FunctionType, _of_function),
    (types.MethodType, _of_method),
    (functools.partial, _of_partial),
    (property, _of_property),
    ((classmethod, staticmethod), lambda found: _parts(found.__func__)),
    (type, _of_class),
    (dict, _of_mapping),
    ((list, tuple, set, frozenset), lambda found: _items(enumerate(found))),
)
