"""Dependencies: what a processor needs besides its element, as declared.

A class, a function or a generator function is marked as a dependency of one `Scope` and stays what
it is; whoever has a parameter annotated with it gets one. `Annotated[T, get_t]` names what gives a
`T`, which is the way for functions. What a dependency's own parameters are annotated with is given
to it in turn.

`Provider` is one dependency with everything that it stands on, frozen: two that are equal give the
same thing, so what is made of one may serve the other. That is how a running processor keeps what
did not change when its code is swapped.

A dependency at the top of a module or notebook has a name that stays when its cell is run again.
`current` gives the one that has the name now.
"""

from __future__ import annotations

import enum
import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin

from buildflow_nb.core.conversion.annotations import optional_of, resolved_hints
from buildflow_nb.core.credentials import FlowCredentials
from buildflow_nb.core.declaring.scope import Scope
from buildflow_nb.core.errors import (
    DeclarationError,
    InvalidDependencyHierarchyOrder,
    UnknownNameError,
)
from buildflow_nb.core.primitive import Env

__all__ = (
    "Ambient",
    "Argument",
    "Asked",
    "Dependency",
    "Given",
    "Overrides",
    "PrimitiveDependency",
    "Provider",
    "current",
    "dependency",
    "dependency_of",
    "injected",
    "named",
    "plan",
    "provider_of",
    "restore",
    "stand_in",
)

T = TypeVar("T")
_REQUESTS = ("Request", "HTTPConnection")  # the second is whatever is there
_GATHERING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
MARK = "__buildflow_dependency__"
PRIMITIVE = "__buildflow_primitive__"


class Ambient(enum.Enum):
    """What comes from where a dependency is used, rather than from another dependency."""

    REQUEST = "the request"
    WEBSOCKET = "the WebSocket"
    CREDENTIALS = "the flow's credentials"
    ENV = "where the stack's clients connect"
    SINK = "an open sink"  # of the primitive that the dependency holds


class Dependency:
    """Something that can be injected: what makes it, and for how long.

    It can itself be an annotation. `primitive` is what it holds, if it holds a primitive.
    """

    def __init__(
        self, dependency_fn: Callable[..., Any], scope: Scope, primitive: object = None
    ) -> None:
        self.dependency_fn = dependency_fn
        self.scope = scope
        self.primitive = primitive or getattr(dependency_fn, PRIMITIVE, None)
        self.name: str = getattr(dependency_fn, "__name__", type(dependency_fn).__name__)
        self._asks: tuple[tuple[str, Asked], ...] | None = None

    def __repr__(self) -> str:
        return f"{self.name} ({self.scope.name})"

    @property
    def asks(self) -> tuple[tuple[str, Asked], ...]:
        """What its parameters are to get, by name; looked up once, where its names are known.

        Raises:
            DeclarationError: a parameter can get nothing.
        """
        if self._asks is None:
            self._asks = tuple(_asked_by(self))
        return self._asks

    def requires(self, name: str) -> bool:
        """Whether one of its parameters has no default."""
        found = inspect.signature(self.dependency_fn).parameters[name].default
        return bool(found is inspect.Parameter.empty)


class PrimitiveDependency(Dependency):
    """A primitive that is injected as it is."""

    def __init__(self, primitive: object) -> None:
        super().__init__(lambda: primitive, Scope.NO_SCOPE, primitive)
        self.name = type(primitive).__name__


@dataclass(frozen=True, slots=True)
class Given:
    """A value that stands in for what a dependency would make; equal only to itself."""

    value: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Given) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


Asked = Dependency | Ambient
Overrides = Mapping[Dependency, Dependency | Given]


@dataclass(frozen=True, slots=True)
class Argument:
    """One injected parameter."""

    name: str
    source: Provider | Ambient


@dataclass(frozen=True, slots=True)
class Provider:
    """A dependency and what its own parameters get; `given` is used in place of making it.

    `behind` is what it stands in for.
    """

    dependency: Dependency
    scope: Scope
    arguments: tuple[Argument, ...] = ()
    given: Given | None = None
    behind: Provider | None = None

    def __hash__(self) -> int:
        return hash(self.dependency)  # it is looked up in every call

    @property
    def name(self) -> str:
        """The name of the class or function."""
        return self.dependency.name

    def walk(self) -> Iterator[Provider]:
        """It, after everything that it stands on; some of these more than once."""
        for argument in self.arguments:
            if isinstance(argument.source, Provider):
                yield from argument.source.walk()
        yield self

    def needs(self, ambient: Ambient) -> bool:
        """Whether it, or anything that it stands on, takes this."""
        return any(argument.source is ambient for one in self.walk() for argument in one.arguments)


_lock = threading.Lock()
_named: dict[tuple[str, str], Dependency] = {}


def dependency(scope: Scope | str | int) -> Callable[[T], T]:
    """Mark a class, a function or a generator function as a dependency of a scope.

    It is given back as it was: it can be made and called as ever.

    Raises:
        DeclarationError: there is no such scope, or it is nothing that can be called.
        InvalidDependencyHierarchyOrder: it asks for what does not live as long as it does.
    """
    if isinstance(scope, type) or inspect.isroutine(scope):
        msg = f"write @dependency(Scope.PROCESS), or another scope, above {scope.__name__!r}"
        raise DeclarationError(msg)
    wanted = Scope.of(scope)

    def mark(target: T) -> T:
        if not isinstance(target, type) and not inspect.isroutine(target):
            what = type(target).__name__
            msg = f"dependency(...) marks a class, a function or a generator function, got {what}"
            raise DeclarationError(msg)
        made = Dependency(target, wanted)
        name, before = _name_of(target), named()
        if name is not None:
            with _lock:
                _named[name] = made
        try:
            with suppress(UnknownNameError):  # defined further down; looked at when it is used
                provider_of(made)
        except DeclarationError:
            restore(before)
            raise
        setattr(target, MARK, made)
        return target

    return mark


def dependency_of(hint: object) -> Dependency | None:
    """The dependency that an annotation asks for, if it asks for one."""
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        found = [one for one in map(dependency_of, marks) if one is not None]
        return found[-1] if found else dependency_of(inner)
    if isinstance(hint, Dependency):
        return hint
    plain = optional_of(hint)[0]
    if isinstance(plain, type) or inspect.isroutine(plain):
        found_here = vars(plain).get(MARK) if hasattr(plain, "__dict__") else None
        return found_here if isinstance(found_here, Dependency) else None
    return None


def ambient_of(hint: object) -> Ambient | None:
    """What of its surroundings an annotation asks for, if it asks for any."""
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    kind = optional_of(plain)[0]
    if not isinstance(kind, type):
        return None
    if kind is FlowCredentials:
        return Ambient.CREDENTIALS
    if kind is Env:
        return Ambient.ENV
    for base in kind.__mro__:  # told by their names, so that starlette stays unloaded
        if base.__module__ == "starlette.requests" and base.__name__ in _REQUESTS:
            return Ambient.REQUEST
        if base.__module__ == "starlette.websockets" and base.__name__ == "WebSocket":
            return Ambient.WEBSOCKET
    return getattr(kind, "__buildflow_ambient__", None)


def current(made: Dependency) -> Dependency:
    """The dependency that has the name of this one now; itself where it has none."""
    name = _name_of(made.dependency_fn)
    with _lock:
        return made if name is None else _named.get(name, made)


def named() -> Mapping[tuple[str, str], Dependency]:
    """All that have a name at this moment, for `restore`."""
    with _lock:
        return dict(_named)


def restore(names: Mapping[tuple[str, str], Dependency]) -> None:
    """Let names stand for what they stood for when `named` was asked."""
    with _lock:
        _named.clear()
        _named.update(names)


def stand_in(made: Dependency, instead: object) -> Dependency | Given:
    """What is to be used in place of a dependency: a value, or what makes one as long-lived."""
    other = dependency_of(instead)
    if other is not None:
        return Dependency(other.dependency_fn, made.scope, other.primitive)
    if isinstance(instead, type) or inspect.isroutine(instead):
        return Dependency(instead, made.scope)
    return Given(instead)


def injected(hints: Mapping[str, Any]) -> tuple[tuple[str, Asked], ...]:
    """Which parameters of a processor are injected, of `hints` by parameter, and with what.

    The request and the WebSocket of a function are bound like its other parameters.
    """
    found = []
    for name, hint in hints.items():
        asked = dependency_of(hint) or ambient_of(hint)
        if isinstance(asked, Dependency) or asked in (Ambient.CREDENTIALS, Ambient.ENV):
            found.append((name, asked))
    return tuple(found)


def plan(asks: Iterable[tuple[str, Asked]], overrides: Overrides) -> tuple[Argument, ...]:
    """Arguments for parameters that ask for these, with all that they stand on.

    Raises:
        DeclarationError: a dependency cannot be made, or stands on itself.
        InvalidDependencyHierarchyOrder: one asks for what does not live as long as it does.
    """
    return _arguments(asks, overrides, ())


def provider_of(made: Dependency, overrides: Overrides | None = None) -> Provider:
    """A dependency, as it is now, with all that it stands on.

    Raises:
        DeclarationError: as `plan`.
    """
    return _provider(made, overrides or {}, ())


def _arguments(
    asks: Iterable[tuple[str, Asked]], overrides: Overrides, chain: tuple[Dependency, ...]
) -> tuple[Argument, ...]:
    return tuple(
        Argument(name, asked if isinstance(asked, Ambient) else _provider(asked, overrides, chain))
        for name, asked in asks
    )


def _provider(made: Dependency, overrides: Overrides, chain: tuple[Dependency, ...]) -> Provider:
    made = current(made)
    scope = made.scope
    if made in chain:
        circle = " → ".join(one.name for one in (*chain[chain.index(made) :], made))
        msg = f"dependencies stand on each other: {circle}; let one of them make what it needs"
        raise DeclarationError(msg)
    if chain and chain[-1].scope.value > scope.value:
        names = " → ".join(map(repr, (*chain, made)))
        raise InvalidDependencyHierarchyOrder(
            made.name, scope.name, chain[-1].scope.name, f"{chain[-1].name!r} ({names})"
        )
    chain = (*chain, made)
    _refuse_request(made, chain)
    found = Provider(made, scope, _arguments(made.asks, overrides, chain))
    instead = overrides.get(made)
    if instead is None:
        return found
    if isinstance(instead, Given):
        return Provider(made, scope, given=instead, behind=found)
    _refuse_request(instead, chain)
    return Provider(instead, scope, _arguments(instead.asks, overrides, chain), behind=found)


def _refuse_request(made: Dependency, chain: tuple[Dependency, ...]) -> None:
    """What outlives a call cannot be made of what comes with one."""
    lasting = next((one for one in chain if one.scope in (Scope.REPLICA, Scope.GLOBAL)), None)
    if lasting is None:
        return
    for name, asked in made.asks:
        if asked in (Ambient.REQUEST, Ambient.WEBSOCKET):
            msg = (
                f"dependency {made.name!r}: {name!r} takes {asked.value}, but {lasting!r} is made "
                "before there is one; give it Scope.PROCESS"
            )
            raise DeclarationError(msg)


def _asked_by(made: Dependency) -> Iterator[tuple[str, Asked]]:
    target = made.dependency_fn
    function: Any = getattr(target, "__init__") if isinstance(target, type) else target  # noqa: B009
    try:
        parameters = inspect.signature(target).parameters
    except ValueError:  # of a builtin
        return
    hints = {}
    if inspect.isfunction(function):
        hints = resolved_hints(function, f"dependency {made.name!r}")
    for name, parameter in parameters.items():
        asked = dependency_of(hints.get(name)) or ambient_of(hints.get(name))
        if asked is not None:
            yield name, asked
        elif parameter.default is parameter.empty and parameter.kind not in _GATHERING:
            msg = (
                f"dependency {made.name!r}: nothing gives its parameter {name!r}; annotate it with "
                "a dependency, Request, WebSocket or FlowCredentials, or give it a default"
            )
            raise DeclarationError(msg)


def _name_of(target: object) -> tuple[str, str] | None:
    """Module and name of what stands at the top of a module; None for what is made in between."""
    module, name = getattr(target, "__module__", None), getattr(target, "__qualname__", "")
    return (module, name) if isinstance(module, str) and name.isidentifier() else None
