"""Middleware around routes, as layers: each answers a request, mostly by asking the next one.

A layer is called like a route, and keeps to the same rule: it gives an answer that has not been
sent, or has sent one over the connection and gives `SENT`. So an answer whose body is at hand
passes through any number of functions as an object, and is written once; only what streams, and
what an ASGI class sees, goes as messages.

A function's `call_next` asks the next layer in a task of its own, since an answer that streams goes
on while the function does. What the function does not take of it is given up when it returns.

Importing this imports starlette.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from aiohttp import web
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from buildflow_nb.core.declaring.hooks import MiddlewareHook
from buildflow_nb.core.errors import BuildFlowError, ConversionError, DeclarationError, told
from buildflow_nb.runtime.http.answer_messages import headers_of, send_answer
from buildflow_nb.runtime.http.asgi import (
    AsgiConnection,
    Handle,
    connection_in,
    connection_of,
    held_back,
)
from buildflow_nb.runtime.http.reply import as_answer
from buildflow_nb.runtime.http.request import BoundedRequest
from buildflow_nb.runtime.http.response import own_answer

__all__ = ("Layer", "answered_through", "surrounded")

GIVE_UP_S = 10.0  # seconds for what is given up to end
SENT = web.Response()  # stands for an answer that went over the connection

CallNext = Callable[[Request], Awaitable[Response]]
_CLOSE = (b"connection", b"close")


class Layer(Protocol):
    """Something that answers requests, and lets WebSockets pass or not."""

    async def answer(
        self, bounded: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        """The answer to a request, not sent yet, or `SENT`."""
        ...

    async def pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a WebSocket pass: called as an ASGI application."""
        ...


def surrounded(layer: Layer, declared: Sequence[MiddlewareHook]) -> Layer:
    """A layer inside middleware, of which the first is the innermost.

    Raises:
        DeclarationError: a class cannot be made with its options.
        UsageError: what it needs of the environment is missing.
    """
    for hook in declared:
        try:
            layer = (_FunctionLayer if hook.is_async else _AsgiLayer)(hook, layer)
        except BuildFlowError:
            raise
        except Exception as error:
            msg = f"middleware {hook.name!r} cannot be made: {told(error)}"
            raise DeclarationError(msg) from error
    return layer


async def answered_through(
    layer: Layer, bounded: BoundedRequest, values: Mapping[str, str]
) -> web.StreamResponse:
    """The answer of the outermost layer, ready to be sent, or sent.

    Raises:
        ConnectionError: the client has left, or half an answer was sent.
        RuntimeError: it ended without an answer.
        Exception: whatever middleware raised before there was an answer.
    """
    connection = connection_of(bounded, values)
    try:
        answer = await layer.answer(bounded, values)
    except BaseException as error:
        gone = bounded.its_end(error)
        if bounded.writer.output_size > 0 and not connection.ended:
            connection.abort()
        if gone is not None:
            raise gone from None
        connection.answered = bounded.writer.output_size > 0
        raise
    finally:
        connection.close()
    return connection.finished() if answer is SENT else answer


class _AsgiLayer:
    """A class whose instance is an ASGI application around another one."""

    def __init__(self, hook: MiddlewareHook, inner: Layer) -> None:
        self._next = inner
        self._app: ASGIApp = hook.target(self._inner, **hook.options)

    async def answer(
        self, bounded: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        connection = connection_of(bounded, values)
        await self._app(connection.scope, connection.receive, connection.send)
        return SENT

    async def pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def _inner(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._next.pass_on(scope, receive, send)
            return
        connection = connection_in(scope)
        connection.answered = False
        with connection.seen_as(scope, receive, held_back(send, connection)):
            answer = await self._next.answer(connection.bounded, connection.values)
            if answer is not SENT and not connection.answered:
                await send_answer(answer, send)


class _FunctionLayer:
    """An async function of the request and of what calls the next layer; for HTTP alone."""

    def __init__(self, hook: MiddlewareHook, inner: Layer) -> None:
        self._hook = hook
        self._next = inner

    async def pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._next.pass_on(scope, receive, send)

    async def answer(
        self, bounded: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        connection = connection_of(bounded, values)
        scope, receive, send = connection.scope, connection.receive, connection.send
        following = _Following(self._next.answer, connection)
        try:
            response = await self._hook.target(connection.request, following.ask)
            connection.answered = False
            if isinstance(response, Response):
                answer = _at_hand(response)
                if answer is not None:
                    return answer
                try:
                    await _streamed(response)(scope, receive, send)
                except ClientDisconnect as error:  # starlette's word for any OSError
                    raise error.__context__ or error from None
                return SENT
            if isinstance(response, web.StreamResponse):
                return own_answer(bounded, response)
        finally:
            if following.begun:
                await following.leave()
        msg = (
            f"middleware {self._hook.name!r} gave {type(response).__name__}, which is no response; "
            "return what call_next gives, or one of buildflow_nb.responses"
        )
        raise ConversionError(msg)


class _Following:
    """The next layer, as a function sees it: asked, and then heard as far as that wants."""

    def __init__(self, handle: Handle, connection: AsgiConnection) -> None:
        self._handle = handle
        self._connection = connection
        self._task: asyncio.Task[None] | None = None
        self._answer: web.StreamResponse | None = None
        self._start: Message | None = None
        self._piece: Message | None = None
        self._whole = False  # all of the answer has come
        self._came: asyncio.Future[None] | None = None  # a piece, or the end
        self._taken: asyncio.Future[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether it was asked."""
        return self._task is not None

    async def ask(self, request: Request) -> Response:
        """The answer of the next layer: `call_next`, as starlette's.

        Raises:
            RuntimeError: it was asked before, for this request.
            Exception: whatever the layers inside raised.
        """
        if self._task is not None:
            msg = "call_next was called twice for one request; its body can be read only once"
            raise RuntimeError(msg)
        self._task = asyncio.create_task(self._run(request))
        self._task.add_done_callback(self._ended)
        await self._next()
        if self._piece is None:
            self._task.result()
            answer = self._answer
            if answer is None or answer is SENT:
                msg = "what is behind the middleware ended without an answer"
                raise RuntimeError(msg)
            return _Passed.of(answer)
        start = cast("Message", self._start)
        if self._whole:
            body, self._piece = bytes(self._piece.get("body", b"")), None
            return _Passed(start["status"], list(start.get("headers", ())), body)
        return _Streamed(start["status"], list(start.get("headers", ())), self._pieces())

    async def leave(self) -> None:
        """Let it end by itself if it has answered, and give it up otherwise."""
        task = cast("asyncio.Task[None]", self._task)
        if not task.done():
            if not self._whole:
                task.cancel()
            try:
                await asyncio.wait({task}, timeout=GIVE_UP_S)
            finally:
                task.cancel()

    async def _run(self, request: Request) -> None:
        connection = self._connection
        connection.answered = False
        with connection.seen_as(request.scope, request.receive, self._send):
            answer = await self._handle(connection.bounded, connection.values)
            if not connection.answered:
                self._answer = answer

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self._whole:
            return  # what comes after the end is nobody's
        while self._piece is not None:
            self._taken = asyncio.get_running_loop().create_future()
            await self._taken
        self._connection.answered = True
        self._piece = message
        self._whole = not message.get("more_body", False)
        _wake(self._came)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()  # taken note of, even where nobody waits for it any more
        _wake(self._came)

    async def _next(self) -> None:
        """Wait for a piece, or the end."""
        task = cast("asyncio.Task[None]", self._task)
        if self._piece is None and not task.done():
            self._came = asyncio.get_running_loop().create_future()
            await self._came

    async def _pieces(self) -> AsyncIterator[bytes]:
        task = cast("asyncio.Task[None]", self._task)
        while True:
            await self._next()
            piece, self._piece = self._piece, None
            if piece is None:
                task.result()
                msg = "the answer ended before it was whole"
                raise ConnectionAbortedError(msg)
            _wake(self._taken)
            if piece.get("body"):
                yield bytes(piece["body"])
            if not piece.get("more_body", False):
                return


class _Passed(Response):
    """An answer of a layer inside, whose body is at hand."""

    def __init__(self, status: int, raw: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status_code = status
        self.raw_headers = raw
        self.body = body
        self.background = None
        self.replaced: AsyncIterator[bytes] | None = None

    @classmethod
    def of(cls, answer: web.StreamResponse) -> _Passed:
        """One made of an answer of aiohttp's.

        Raises:
            ConversionError: it is one that writes itself.
        """
        raw, body = headers_of(answer)
        return cls(answer.status, raw, body)

    @property
    def body_iterator(self) -> AsyncIterator[bytes]:
        """The body in pieces; may be set to another one."""
        return _once(bytes(self.body)) if self.replaced is None else self.replaced

    @body_iterator.setter
    def body_iterator(self, pieces: AsyncIterator[bytes]) -> None:
        self.replaced = pieces


class _Streamed(StreamingResponse):
    """An answer of a layer inside that comes in pieces."""

    def __init__(
        self, status: int, raw: list[tuple[bytes, bytes]], pieces: AsyncIterator[bytes]
    ) -> None:
        self.status_code = status
        self.raw_headers = raw
        self.body_iterator = pieces
        self.background = None


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _at_hand(response: Response) -> web.Response | None:
    """A response as an answer of aiohttp's, None for one that must be streamed."""
    if response.background is not None or getattr(response, "replaced", None) is not None:
        return None
    closes = _CLOSE in response.raw_headers
    if closes:
        response.raw_headers.remove(_CLOSE)
    answer = as_answer(response)
    if answer is not None and closes:
        answer.force_close()
    return answer


def _streamed(response: Response) -> Any:
    """A response that sends itself."""
    replaced = getattr(response, "replaced", None)
    if replaced is None:
        return response
    raw = [one for one in response.raw_headers if one[0] != b"content-length"]
    return _Streamed(response.status_code, raw, replaced)
