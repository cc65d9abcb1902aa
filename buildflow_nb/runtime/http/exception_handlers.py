"""Answers to errors, by the flow's own handlers.

A handler is called with the request (starlette's, or aiohttp's where it is annotated so) and with
the error, and gives a response of either. What a server or a route refuses by itself reaches it as
an `HTTPException`. A sync handler runs in a thread, of the route's if there is one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from buildflow_nb.core.declaring.hooks import Hook, Hooks, handler_for
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.exceptions import HTTPException
from buildflow_nb.runtime.concurrency.calls import contained
from buildflow_nb.runtime.http.errors import HttpError
from buildflow_nb.runtime.http.response import fault_of, is_starlette_response, own_answer
from buildflow_nb.runtime.http.thread_pool import ThreadPool
from buildflow_nb.runtime.observability.logs import LogRing

if TYPE_CHECKING:
    from starlette.responses import Response

    from buildflow_nb.runtime.http.request import BoundedRequest

__all__ = ("ExceptionHandlers",)

THREADS = 4  # for errors that are no route's: mostly paths that are not there

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


class ExceptionHandlers:
    """The handlers of a flow, as they are declared when an error comes."""

    def __init__(self, hooks: Callable[[], Hooks]) -> None:
        self._hooks = hooks
        self._threads: ThreadPool | None = None

    async def answer(
        self,
        error: BaseException,
        request: BoundedRequest,
        values: Mapping[str, str],
        in_thread: InThread | None = None,
    ) -> web.StreamResponse | None:
        """The answer to a request that ends in an error; None where no handler is for it.

        Raises:
            HttpError: the handler raised another answer.
            Exception: whatever else it raised, or it gave no response.
        """
        hooks = self._hooks()
        if not hooks:
            return None
        raised, status = _as_raised(error)
        hook = handler_for(hooks, raised, status)
        if hook is None:
            return None
        try:
            found = await self._call(hook, _request_for(hook, request, values), raised, in_thread)
            return await _sent(hook, found, request, values)
        except Exception as wrong:
            fault = None if request.answering else fault_of(wrong)
            if fault is None or fault is wrong:
                raise
            raise fault from wrong

    async def _call(
        self, hook: Hook, request: object, error: BaseException, in_thread: InThread | None
    ) -> object:
        if hook.is_async:
            return await contained(hook.target(request, error))
        if in_thread is None:
            self._threads = self._threads or ThreadPool("exception handler", LogRing(), THREADS)
            in_thread = self._threads.run
        return await in_thread(partial(hook.target, request, error))

    def close(self) -> None:
        """Let threads end."""
        if self._threads is not None:
            self._threads.close()


def _as_raised(error: BaseException) -> tuple[BaseException, int | None]:
    """An error as the user's code knows it, and the status if it is an answer."""
    if not isinstance(error, HttpError):
        return error, None
    cause = error.__cause__
    if cause is not None and fault_of(cause) is not None:
        return cause, error.status
    made = HTTPException(error.status, error.detail, error.headers)
    made.__cause__ = cause
    return made, error.status


def _request_for(hook: Hook, request: BoundedRequest, values: Mapping[str, str]) -> object:
    if hook.takes_aiohttp:
        return request
    from buildflow_nb.runtime.http.asgi import request_of  # loads starlette

    return request_of(request, values)


async def _sent(
    hook: Hook, found: object, request: BoundedRequest, values: Mapping[str, str]
) -> web.StreamResponse:
    """A response that a handler gave, sent or ready to be.

    Raises:
        ConversionError: it is none.
        Exception: whatever gives its pieces raised.
    """
    if isinstance(found, web.StreamResponse):
        return own_answer(request, found)
    if is_starlette_response(found):
        return await _starlettes(found, request, values)
    what = type(found).__name__
    msg = f"{hook} gave {what}, which is no response; return JSONResponse(...) or another one"
    raise ConversionError(msg)


async def _starlettes(
    found: Response, request: BoundedRequest, values: Mapping[str, str]
) -> web.StreamResponse:
    from buildflow_nb.runtime.http.asgi import connection_of
    from buildflow_nb.runtime.http.reply import as_answer

    answer = as_answer(found) if found.background is None else None
    if answer is not None:
        return answer
    connection = connection_of(request, values)
    await found(connection.scope, connection.receive, connection.send)
    return connection.answer or web.Response(status=found.status_code)
