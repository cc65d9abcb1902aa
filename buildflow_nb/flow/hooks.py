"""What a flow declares besides processors: code around its run and requests, answers to errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from buildflow_nb.core.declaring.hooks import (
    SHUTDOWN,
    STARTUP,
    exception_hook,
    lifespan_hook,
    middleware_hook,
)
from buildflow_nb.core.declaring.registry import Registry
from buildflow_nb.core.errors import DeclarationError

__all__ = ("DeclaringHooks",)

Code = TypeVar("Code", bound=Callable[..., Any])


class DeclaringHooks:
    """The half of declaring that is about no processor."""

    registry: Registry

    def on_startup(self, function: Code) -> Code:
        """Call a function once, before the run takes its first element or request.

        A sync one is called in a thread. They are called one after the other, in the order in which
        they were declared; one that raises, or takes ten minutes, fails the run. One of the same
        name takes the other's place.

        Raises:
            DeclarationError: it is no function that can be called without arguments.
        """
        self.registry.put_hook(lifespan_hook(STARTUP, function))
        return function

    def on_shutdown(self, function: Code) -> Code:
        """Call a function once, after the run's last element and request, as `on_startup`.

        What it raises is logged, and so is that it took longer than it may: all of them have ten
        seconds, fewer where the program ends at once. They are not called after a start that failed
        in `on_startup`.

        Raises:
            DeclarationError: it is no function that can be called without arguments.
        """
        self.registry.put_hook(lifespan_hook(SHUTDOWN, function))
        return function

    def exception_handler(self, kind: type[BaseException] | int) -> Callable[[Code], Code]:
        """Answer a request that ends in such an error with what `handler(request, error)` gives.

        `kind` is a class of exceptions, of which the closest counts, or a status. What is handled
        is kept as a failure all the same, but for an `HTTPException`; an error in the handler is
        answered with 500, and kept.

        Raises:
            DeclarationError: there are no such errors, or it is no function that takes both.
        """

        def register(function: Code) -> Code:
            self.add_exception_handler(kind, function)
            return function

        return register

    def add_exception_handler(
        self, kind: type[BaseException] | int, handler: Callable[..., Any]
    ) -> None:
        """Declare a handler of errors, as `exception_handler`.

        Raises:
            DeclarationError: as there.
        """
        self.registry.put_hook(exception_hook(kind, handler))

    def add_middleware(self, middleware_type: Callable[..., Any], **options: Any) -> None:
        """Put middleware around all routes of the flow; the last that is added is the outermost.

        It is a class whose instances are ASGI applications around another one, made with `options`
        (those of `buildflow_nb.middleware`, or your own), or `async def mw(request, call_next)`,
        which gives a response. Requests that no route answers go through it, too.

        Raises:
            DeclarationError: it is neither, or does not take these options.
        """
        self.registry.put_hook(middleware_hook(middleware_type, options))

    def middleware(self, middleware_type: str = "http") -> Callable[[Code], Code]:
        """Put `async def mw(request, call_next)` around all routes, as `add_middleware`.

        Raises:
            DeclarationError: it is no such function, or of another type than "http".
        """
        if middleware_type != "http":
            msg = f'middleware: the type must be "http", got {middleware_type!r}'
            raise DeclarationError(msg)

        def register(function: Code) -> Code:
            self.add_middleware(function)
            return function

        return register
