"""Responses of starlette's classes on their way to the client.

One whose body is at hand becomes an answer of aiohttp's, which is one write. Files, streams and
classes of people's own are run over the ASGI connection: through middleware, if there is any. When
the client leaves, or the route stops, the iterator of a stream is closed, so that its `finally`
runs; a sync one runs on the route's own threads, and is closed there.

Importing this imports starlette.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol, cast

from aiohttp import hdrs, web
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.responses import Response, StreamingResponse

from buildflow_nb.runtime.concurrency.calls import contained, is_cancel
from buildflow_nb.runtime.http.asgi import AsgiConnection, connection_of
from buildflow_nb.runtime.http.code import RouteCode, UnderWay
from buildflow_nb.runtime.http.raw_answer import RawAnswer
from buildflow_nb.runtime.http.request import BoundedRequest
from buildflow_nb.runtime.http.response import JsonAnswer
from buildflow_nb.runtime.observability.logs import owned_by
from buildflow_nb.runtime.observability.tracebacks import describe

__all__ = ("as_answer", "send_response")

CLOSE_S = 10.0  # seconds for the iterator of a stream to end, once nobody listens
_END: Any = object()
_JSON = (b"content-type", b"application/json")
_LENGTH = b"content-length"

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


class _Closable(Protocol):
    async def aclose(self) -> None: ...


def as_answer(response: Response) -> web.Response | None:
    """A response whose body is at hand, as aiohttp's; None for one that writes itself."""
    if type(response).__call__ is not Response.__call__:
        return None
    body, raw = bytes(response.body), response.raw_headers
    plain = response.status_code == 200 and len(raw) == 2 and raw[1] == _JSON  # noqa: PLR2004
    if plain and raw[0][0] == _LENGTH:
        return JsonAnswer(body)
    return RawAnswer(response.status_code, [one for one in raw if one[0] != _LENGTH], body)


async def send_response(
    response: Response,
    code: RouteCode,
    request: BoundedRequest,
    values: Mapping[str, str],
    under_way: UnderWay,
) -> web.StreamResponse:
    """Send a response and let its background work begin, as a task that is under way.

    Raises:
        HttpError: too many answers are being sent.
        ConnectionError: the client has left.
        Exception: whatever gives its pieces raised; the connection is dropped if one was sent.
    """
    answer = as_answer(response) if response.background is None else None
    if answer is not None:
        return answer
    connection = connection_of(request, values)
    request.limit = None  # it has its place no more
    if getattr(response, "endless", False):
        under_way.streams.add(connection)
    try:
        with code.limit.aside(), owned_by(code.ring):
            await _deliver(response, connection, code.in_thread)
    finally:
        under_way.streams.discard(connection)
    if response.background is not None:
        _begin(response.background, code, under_way.tasks)
    return connection.answer or web.Response(status=response.status_code)


def _begin(work: BackgroundTask, code: RouteCode, tasks: set[asyncio.Task[object]]) -> None:
    async def run() -> None:
        try:
            with code.limit.staying(), owned_by(code.ring):
                await contained(_run(work, code.in_thread))
        except Exception as error:  # noqa: BLE001  (user code; its answer has been sent)
            code.ring.add("ERROR", f"background work of {code.owner}: {describe(error)}")

    task: asyncio.Task[object] = asyncio.create_task(run(), name=f"background of {code.owner}")
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _run(work: BackgroundTask, in_thread: InThread) -> None:
    """Sync functions run on a thread; after one that fails, those behind it do not run."""
    for task in work.tasks if isinstance(work, BackgroundTasks) else [work]:
        if task.is_async or type(task).__call__ is not BackgroundTask.__call__:
            await task()
        else:
            await in_thread(partial(task.func, *task.args, **task.kwargs))


async def _deliver(response: Response, connection: AsgiConnection, in_thread: InThread) -> None:
    """Send all of a response."""
    iterable = getattr(response, "iterable", None)
    if iterable is not None:
        cast("StreamingResponse", response).body_iterator = _in_threads(iterable, in_thread)
    response.background, background = None, response.background
    try:
        if not await connection.while_there(_sending(response, connection)):
            await _end_here(connection)
    except BaseException:
        if connection.answer is not None and not connection.ended:
            connection.abort()
        raise
    finally:
        response.background = background
        await _close(response)


async def _end_here(connection: AsgiConnection) -> None:
    """Send the end of a stream that was told to end.

    Raises:
        ConnectionResetError: its client reads nothing, so that the end cannot be sent.
    """
    try:
        await connection.send({"type": "http.response.body"})
    except asyncio.CancelledError as error:
        if is_cancel(error):
            raise
        # the wait for room was cancelled with the stream, and aiohttp gives it out once more
        connection.leave()
        msg = "the client did not read the stream, which ended"
        raise ConnectionResetError(msg) from None


async def _sending(response: Response, connection: AsgiConnection) -> None:
    scope, receive, send = connection.scope, connection.receive, connection.send
    if isinstance(response, StreamingResponse) and connection.bounded.method == hdrs.METH_HEAD:
        start = {"status": response.status_code, "headers": response.raw_headers}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body"})
    else:
        await response(scope, receive, send)


async def _close(response: Response) -> None:
    """Let what gives the pieces of a stream end now, wherever it was."""
    pieces = getattr(response, "body_iterator", None)
    if not hasattr(pieces, "aclose"):
        return
    closing = asyncio.ensure_future(cast("_Closable", pieces).aclose())
    try:
        await asyncio.wait({closing}, timeout=CLOSE_S)
    finally:
        closing.cancel()
    if closing.done() and not closing.cancelled():
        closing.result()


async def _in_threads(pieces: Iterable[Any], in_thread: InThread) -> AsyncIterator[Any]:
    """The pieces of a sync iterable, made on a thread, where it is closed as well."""
    iterator = iter(pieces)
    step: asyncio.Future[Any] | None = None
    try:
        while True:
            step = asyncio.ensure_future(in_thread(partial(next, iterator, _END)))
            piece = await asyncio.shield(step)
            if piece is _END:
                return
            yield piece
    finally:
        if step is not None:  # a generator that is running cannot be closed
            await asyncio.wait({step}, timeout=CLOSE_S)
        close = getattr(iterator, "close", None)
        if close is not None and (step is None or step.done()):
            await asyncio.wait_for(in_thread(close), CLOSE_S)
