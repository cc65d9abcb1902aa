"""A processor's code as the user wrote it: what it is, and how it is set up, called, torn down.

A function is called as it is. A class is instantiated once per replica; its `setup`, `process` and
`teardown`, each sync or async, are really called: setup before the first element, teardown after
the last. What is found here is found once, when the processor is declared.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from buildflow_nb.core.conversion.annotations import resolved_hints
from buildflow_nb.core.declaring.dependencies import Argument, Asked, Provider, injected, plan
from buildflow_nb.core.declaring.parameter_marks import REQUIRED, Mark, unmarked
from buildflow_nb.core.errors import DeclarationError

__all__ = (
    "Call",
    "Parameter",
    "Processor",
    "element_parameter",
    "inspect_processor",
)

Call = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a processor; `hint` is `None` where there is no annotation."""

    name: str
    hint: Any
    required: bool
    default: Any = None
    mark: Mark | None = None

    def absent(self) -> Any:
        """The value where none is given; it is not required."""
        factory = None if self.mark is None else self.mark.default_factory
        return self.default if factory is None else factory()


@dataclass(frozen=True, slots=True)
class Processor:
    """The code of a processor and what its signature says.

    `many` means that a call gives an iterator (a generator, sync or async). `parameters` are those
    that an element or a request fills, `asks` the others, by name, and `arguments` what these get.
    """

    name: str
    target: Callable[..., Any]
    is_class: bool
    is_async: bool
    many: bool
    parameters: tuple[Parameter, ...]
    returns: Any
    asks: tuple[tuple[str, Asked], ...] = ()
    arguments: tuple[Argument, ...] = ()

    @property
    def providers(self) -> tuple[Provider, ...]:
        """Every dependency that it uses, each after those that it stands on."""
        sources = [one.source for one in self.arguments if isinstance(one.source, Provider)]
        return tuple(dict.fromkeys(one for source in sources for one in source.walk()))

    @property
    def needs_said(self) -> str:
        """Its dependencies in a line, "with DB (REPLICA)"; "" where it has none."""
        sources = (one.source for one in self.arguments)
        names = [repr(one.dependency) for one in sources if isinstance(one, Provider)]
        return f"with {', '.join(dict.fromkeys(names))}" if names else ""

    def instance(self) -> object | None:
        """A fresh instance of a class processor, `None` for a function."""
        return self.target() if self.is_class else None

    def call(self, instance: object | None) -> Call:
        """What to call with an element."""
        if instance is None:
            return self.target
        process: Call = getattr(instance, "process")  # noqa: B009  (checked at declaration)
        return process


def inspect_processor(target: Callable[..., Any]) -> Processor:
    """Find out what a function or class is.

    Raises:
        DeclarationError: it is no function and no class with `process`, or its annotations
            name what does not exist.
    """
    name = getattr(target, "__name__", "")
    if not name.isidentifier():
        msg = f"processor {name or target!r} has no name; define it with def, async def or class"
        raise DeclarationError(msg)
    is_class = isinstance(target, type)
    function = _process_of(target, name) if is_class else target
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        msg = f"processor {name!r} must be a function or a class, got {type(target).__name__}"
        raise DeclarationError(msg)
    hints = resolved_hints(function, f"processor {name!r}")
    parameters = _parameters(function, hints, skip_self=is_class)
    asks = injected({p.name: p.hint for p in parameters})
    taken = {asked for asked, _ in asks}
    return Processor(
        name=name,
        target=target,
        is_class=is_class,
        is_async=inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function),
        many=inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function),
        parameters=tuple(p for p in parameters if p.name not in taken),
        returns=hints.get("return"),
        asks=asks,
        arguments=plan(asks, {}),
    )


def _process_of(target: Any, name: str) -> Callable[..., Any]:
    process = inspect.getattr_static(target, "process", None)
    if not inspect.isfunction(process):
        msg = f"class {name!r} needs a method `process(self, element)` to be a processor"
        raise DeclarationError(msg)
    required = [
        p
        for p in inspect.signature(target).parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if required:
        msg = (
            f"class {name!r} is made without arguments, but its __init__ needs "
            f"{required[0].name!r}; give it a default, or prepare it in setup()"
        )
        raise DeclarationError(msg)
    return process


def _parameters(
    function: Callable[..., Any], hints: Mapping[str, Any], *, skip_self: bool
) -> tuple[Parameter, ...]:
    found = list(inspect.signature(function).parameters.values())
    if skip_self:
        found = found[1:]
    return tuple(
        _parameter(p, hints.get(p.name), function)
        for p in found
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    )


def _parameter(found: inspect.Parameter, hint: Any, function: Callable[..., Any]) -> Parameter:
    owner = f"processor {function.__name__!r}"
    default = REQUIRED if found.default is found.empty else found.default
    hint, default, mark = unmarked(found.name, hint, default, owner)
    missing = default is REQUIRED
    required = missing if mark is None else mark.required
    return Parameter(found.name, hint, required, None if missing else default, mark)


def element_parameter(processor: Processor) -> Parameter:
    """The one parameter of a consumer that takes the element.

    Raises:
        DeclarationError: there is none, or a second one without a default.
    """
    required = [p for p in processor.parameters if p.required]
    if not processor.parameters:
        gathered = _gathering(processor)
        what = f"only {gathered}" if gathered else "no parameter"
        msg = f"processor {processor.name!r} takes {what}; it needs one parameter, for the element"
        raise DeclarationError(msg)
    if len(required) > 1:
        names = ", ".join(repr(p.name) for p in required)
        msg = (
            f"processor {processor.name!r} takes {names}; a consumer is called with one element, "
            "so give the others a default"
        )
        raise DeclarationError(msg)
    return required[0] if required else processor.parameters[0]


def _gathering(processor: Processor) -> str:
    """The parameters that take what is left over: `*args, **words`."""
    target = getattr(processor.target, "process", None) if processor.is_class else processor.target
    signs = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    found = inspect.signature(target).parameters.values() if callable(target) else ()
    return ", ".join(f"{signs[p.kind]}{p.name}" for p in found if p.kind in signs)
