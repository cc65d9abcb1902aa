"""Code of a flow that is no processor's: around its run, and for errors that requests end in.

Each has a key, under which a later one takes its place: the function's name, or the class or status
that a handler is for. A class of a notebook is known by its name, since a cell that is run again
makes another one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from buildflow_nb.core.conversion.annotations import resolved_hints
from buildflow_nb.core.declaring.http_binding import is_starlette_class, is_web_class
from buildflow_nb.core.errors import DeclarationError

__all__ = (
    "HANDLER",
    "SHUTDOWN",
    "STARTUP",
    "Hook",
    "HookKey",
    "Hooks",
    "exception_hook",
    "handler_for",
    "lifespan_hook",
)

STARTUP = "on_startup"
SHUTDOWN = "on_shutdown"
HANDLER = "exception_handler"

HookKey = tuple[str, object]  # the word that declares it, and what it is for
_HANDLED = 2  # parameters of a handler: the request and the error
_EVERY = (Exception, BaseException, object)


@dataclass(frozen=True, slots=True)
class Hook:
    """A function that a flow calls at a certain time; sync or async.

    `takes_aiohttp` is whether its first parameter is annotated as a request of aiohttp's.
    """

    key: HookKey
    target: Callable[..., Any]
    takes_aiohttp: bool = False

    @property
    def name(self) -> str:
        """The function's name."""
        return self.target.__name__

    @property
    def is_async(self) -> bool:
        """Whether calling it gives something to await."""
        return inspect.iscoroutinefunction(self.target)

    def __str__(self) -> str:
        return f"{self.key[0]} {self.name!r}"


Hooks = Mapping[HookKey, Hook]


def lifespan_hook(word: str, target: object) -> Hook:
    """A function without parameters, to be called once.

    Raises:
        DeclarationError: it is none.
    """
    function = _function(word, target)
    if any(_required(function)):
        msg = (
            f"{word} {function.__name__!r} is called without arguments, but needs "
            f"{next(_required(function))!r}; give it a default"
        )
        raise DeclarationError(msg)
    return Hook((word, function.__name__), function)


def exception_hook(kind: object, target: object) -> Hook:
    """A function that answers requests which end in errors of a class, or with a status.

    Raises:
        DeclarationError: it does not take the request and the error, or there is no such error.
    """
    status = isinstance(kind, int) and not isinstance(kind, bool)
    if status and not 400 <= int(kind) <= 599:  # type: ignore[call-overload]  # noqa: PLR2004
        msg = f"{HANDLER}({kind}): a status of an error is from 400 to 599"
        raise DeclarationError(msg)
    if not status and not (isinstance(kind, type) and issubclass(kind, BaseException)):
        msg = f"{HANDLER}(...) takes a class of exceptions or a status, got {kind!r}"
        raise DeclarationError(msg)
    function = _function(HANDLER, target)
    try:
        inspect.signature(function).bind(*range(_HANDLED))
    except TypeError:
        msg = f"{HANDLER} {function.__name__!r} is called with the request and the error"
        raise DeclarationError(msg) from None
    hints = resolved_hints(function, f"{HANDLER} {function.__name__!r}")
    first = next(iter(inspect.signature(function).parameters))
    asked = hints.get(first)
    aiohttps = is_web_class(asked) and not is_starlette_class(asked)
    return Hook((HANDLER, _kind_key(kind)), function, aiohttps)


def handler_for(hooks: Hooks, error: BaseException, status: int | None) -> Hook | None:
    """The handler of an error: of the closest class, or of the status that it stands for.

    `status` is that of an answer that was raised; its handler comes first, and the one for
    `Exception` is not for it. Any other error stands for the status 500, whose handler comes last.
    """
    if status is not None and (HANDLER, status) in hooks:
        return hooks[HANDLER, status]
    for kind in type(error).__mro__:
        if status is not None and kind in _EVERY:
            return None
        found = hooks.get((HANDLER, _kind_key(kind)))
        if found is not None:
            return found
    return hooks.get((HANDLER, int(HTTPStatus.INTERNAL_SERVER_ERROR)))


def _kind_key(kind: object) -> object:
    named = isinstance(kind, type) and kind.__module__ == "__main__"
    if named and "<locals>" not in kind.__qualname__:  # type: ignore[attr-defined]
        return f"__main__.{kind.__qualname__}"  # type: ignore[attr-defined]
    return int(kind) if isinstance(kind, int) else kind


def _function(word: str, target: object) -> Callable[..., Any]:
    if inspect.isfunction(target) or inspect.ismethod(target):
        return target
    what = target.__name__ if isinstance(target, type) else type(target).__name__
    msg = f"{word} takes a function, got {what}"
    raise DeclarationError(msg)


def _required(function: Callable[..., Any]) -> Iterator[str]:
    for name, parameter in inspect.signature(function).parameters.items():
        gathers = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.default is parameter.empty and not gathers:
            yield name
