"""Code of a flow that is no processor's: around its run and its requests, and for their errors.

Each has a key, under which a later one takes its place: the function's name, the class or status
that a handler is for, or the name of middleware with its number among those of that name. A class
of a notebook is known by its name, since a cell that is run again makes another one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from buildflow_nb.core.conversion.annotations import resolved_hints
from buildflow_nb.core.declaring.web_classes import is_starlette_class, is_web_class
from buildflow_nb.core.errors import DeclarationError

__all__ = (
    "HANDLER",
    "MIDDLEWARE",
    "SHUTDOWN",
    "STARTUP",
    "Hook",
    "HookKey",
    "Hooks",
    "MiddlewareHook",
    "exception_hook",
    "handler_for",
    "lifespan_hook",
    "middleware_for",
    "middleware_hook",
)

STARTUP = "on_startup"
SHUTDOWN = "on_shutdown"
HANDLER = "exception_handler"
MIDDLEWARE = "middleware"

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


@dataclass(frozen=True, slots=True)
class MiddlewareHook(Hook):
    """Middleware around the routes of a service, or of the whole flow where it names none.

    It is an async function of the request and of what calls the next one, or, with `options`, a
    class (or what makes one) whose instances are ASGI applications around another.
    """

    options: Mapping[str, object] = field(default_factory=dict, repr=False)
    service_id: str | None = None
    base_route: str = "/"

    def numbered(self, number: int) -> MiddlewareHook:
        """The same as the one of its name that was declared after so many others."""
        word, of = self.key
        return replace(self, key=(word, (of, number)))


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


def middleware_hook(
    target: object,
    options: Mapping[str, object],
    service_id: str | None = None,
    base_route: str = "/",
) -> MiddlewareHook:
    """Middleware of a service or of the flow, checked as far as it can be without making it.

    Raises:
        DeclarationError: it is neither of the two kinds, or does not take these options.
    """
    name = getattr(target, "__name__", "")
    if not callable(target) or not name:
        what = type(target).__name__
        msg = f"{MIDDLEWARE}: a class or an async function is needed, got {what}"
        raise DeclarationError(msg)
    if inspect.iscoroutinefunction(target):
        taken, words = (*range(_HANDLED),), dict(options)
        how = "is called with the request and call_next, and takes no options"
    elif inspect.isfunction(target) and not options:
        msg = f"{MIDDLEWARE} {name!r} must be async: async def {name}(request, call_next)"
        raise DeclarationError(msg)
    else:
        taken, words = (0,), dict(options)
        how = f"does not take these options ({', '.join(options) or 'none'})"
    try:
        inspect.signature(target).bind(*taken, **words)
    except (TypeError, ValueError) as error:
        msg = f"{MIDDLEWARE} {name!r} {how}: {error}"
        raise DeclarationError(msg) from None
    key = (MIDDLEWARE, (service_id, name))
    return MiddlewareHook(
        key, target, options=options, service_id=service_id, base_route=base_route
    )


def middleware_for(hooks: Hooks, service_id: str | None) -> list[MiddlewareHook]:
    """What stands around the routes of a service, the innermost first.

    That of the flow stands around that of the service, and the last declared is the outermost.
    """
    found = [hook for hook in hooks.values() if isinstance(hook, MiddlewareHook)]
    inner = [hook for hook in found if hook.service_id is not None]
    return [
        *(hook for hook in inner if hook.service_id == service_id),
        *(hook for hook in found if hook.service_id is None),
    ]


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
