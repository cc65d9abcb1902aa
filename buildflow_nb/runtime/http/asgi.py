"""ASGI 3 over a request of ours: what starlette's classes and any ASGI application stand on.

A connection gives its scope, `receive` and `send` (asgi.readthedocs.io, HTTP 2.4). Pieces of the
body are read when they are asked for, and pieces of the answer are waited for until the client
takes them, so neither is heaped up. The head of the answer goes out with its first piece, even an
empty one: an application that fails before that is answered with a clean 500. An answer that is one
piece is one write. Once the client has left, `receive` says so and `send` raises an `OSError`.

Between the server and a route there may be middleware, which sees to it with `run_app` and ends in
`route_app`; the scope, `receive` and `send` that the innermost application was called with are
those that the route's code sees.

Importing this imports starlette: it is imported where a route needs it, not before.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

from aiohttp import hdrs, web
from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from buildflow_nb.runtime.http.answer_messages import send_answer
from buildflow_nb.runtime.http.asgi_scope import scope_of
from buildflow_nb.runtime.http.body_stream import BodyStream
from buildflow_nb.runtime.http.call_request import CallRequest
from buildflow_nb.runtime.http.request import BoundedRequest
from buildflow_nb.runtime.http.response import BODYLESS, SERVER_NAME

__all__ = (
    "AsgiConnection",
    "Handle",
    "connection_in",
    "connection_of",
    "held_back",
    "request_of",
    "route_app",
    "run_app",
)

SEND_S = 60.0  # seconds for the client to take what was sent: longer means nobody reads
_CONNECTION = "buildflow.connection"  # in a scope: whose it is
_HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding")  # the server's to say
_LEFT = "the client has left"

Handle = Callable[[BoundedRequest, Mapping[str, str]], Awaitable[web.StreamResponse]]


class AsgiConnection:
    """One request as an ASGI application sees it, and what it answers."""

    signs = (ConnectionError, ClientDisconnect)
    """What is raised in an application whose client has left."""

    def __init__(self, bounded: BoundedRequest, values: Mapping[str, str]) -> None:
        self.bounded = bounded
        self.values = values
        self.scope: Scope = scope_of(bounded, values)
        self.scope[_CONNECTION] = self
        self.receive: Receive = self._receive
        self.send: Send = self._send
        self.answer: _Answer | None = None
        """What the client has been sent, or is being sent."""
        self.answered = False
        """Whether a piece of the answer was sent, be it to middleware."""
        self.gone = False
        """Whether the client has left."""
        self.handle: Handle | None = None
        self.form: FormData | None = None
        """The form that is the body, once it has been parsed."""
        self._request: CallRequest | None = None
        self._body = BodyStream(bounded)
        self._over = False  # the client has left, or has its answer
        self._waiting: asyncio.Event | None = None  # for that
        self._start: Message | None = None
        self._bodyless = False
        self._left: int | None = None  # bytes that the head has promised and that did not follow
        self._watching: list[asyncio.Timeout] = []

    @property
    def request(self) -> Request:
        """The request of starlette's, one for each call."""
        made = self._request
        if made is None or made.scope is not self.scope:
            made = self._request = CallRequest(self)
        return made

    @property
    def ended(self) -> bool:
        """Whether the whole answer has been sent."""
        return self.answer is not None and self._over

    def leave(self) -> None:
        """Take note that the client has left; one that has its answer ends nothing."""
        self.gone = True
        if not self.ended:  # or what comes after it, closing a file say, would be cut off
            self._tell_over()
            self.end()

    @contextmanager
    def seen_as(self, scope: Scope, receive: Receive, send: Send) -> Iterator[None]:
        """Show code inside what middleware has made of the connection."""
        outer = self.scope, self.receive, self.send
        self.scope, self.receive, self.send = scope, receive, send
        try:
            yield
        finally:
            self.scope, self.receive, self.send = outer

    @property
    def wrapped(self) -> bool:
        """Whether the body must be read piece by piece: it is begun, or there is middleware."""
        return self._body.begun or self.receive != self._receive

    async def whole(self) -> bytes:
        """The whole body, which the request keeps.

        Raises:
            HttpError: it is too long, too slow or broken, or there is no room for it.
            ClientDisconnect: the client has left.
        """
        try:
            return await self.bounded.read()
        except ConnectionError as error:
            self.leave()
            raise ClientDisconnect from error

    async def whole_body(self) -> bytes:
        """The body as the innermost application sees it.

        Raises:
            HttpError: it is too long, too slow or broken, or there is no room for it.
            ConnectionResetError: the client has left.
        """
        try:
            return await self.request.body()
        except ClientDisconnect as error:
            raise ConnectionResetError(_LEFT) from error

    def close(self) -> None:
        """Close the files of the form; those on disk are gone with it."""
        for _, value in () if self.form is None else self.form.multi_items():
            if isinstance(value, UploadFile):
                value.file.close()

    def forget(self) -> None:
        """Close the form's files and let go of all that leads back to here.

        Nothing of a request may wait for the garbage collector: its body would, too.
        """
        self.close()
        self.scope.pop(_CONNECTION, None)
        self._request = self.handle = None
        self.receive, self.send = _receive_no_more, _send_no_more

    def end(self) -> None:
        """Let what is sent piece by piece end here, as if that had been its last piece."""
        for watch in self._watching:
            watch.reschedule(0)

    async def while_there(self, work: Awaitable[object]) -> bool:
        """Wait for it; it is cancelled if the client leaves, or for `end`; whether it was done.

        Raises:
            ConnectionResetError: the client has left.
            Exception: whatever it raised.
        """
        try:
            async with asyncio.timeout(0 if self.gone else None) as watch:
                self._watching.append(watch)
                try:
                    await work
                finally:
                    self._watching.remove(watch)
        except TimeoutError as error:
            if not watch.expired():
                raise
            if self.gone:
                raise ConnectionResetError(_LEFT) from error
            return False
        return True

    async def _receive(self) -> Message:
        if not self._body.ended and not self._over:
            try:
                piece = await self._body.piece()
            except ConnectionError:
                self.leave()
            else:
                return {"type": "http.request", "body": piece, "more_body": not self._body.ended}
        if not self._over:
            self._waiting = self._waiting or asyncio.Event()
            await self._waiting.wait()
        return {"type": "http.disconnect"}

    def _tell_over(self) -> None:
        self._over = True
        if self._waiting is not None:
            self._waiting.set()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind not in ("http.response.start", "http.response.body"):
            msg = f"{kind!r} is no message of an HTTP answer; send http.response.start and .body"
            raise RuntimeError(msg)
        if self.gone:
            raise ConnectionResetError(_LEFT)
        opening = kind == "http.response.start"
        if self.ended or opening is (self._start is not None):
            place = "twice" if opening else "after the end" if self.ended else "before its start"
            msg = f"{kind} was sent {place}; an answer is one start, then its body"
            raise RuntimeError(msg)
        if opening:
            self._start = message
            return
        self.answered = True
        try:
            async with asyncio.timeout(SEND_S):
                await self._write(message.get("body", b""), more=message.get("more_body", False))
        except TimeoutError as error:
            self.abort()
            msg = f"the client took nothing of the answer for {SEND_S:g} s"
            raise ConnectionAbortedError(msg) from error

    async def _write(self, body: bytes | memoryview, *, more: bool) -> None:
        first, answer = self.answer is None, self.answer
        if answer is None:
            answer = self.answer = self._head(cast("Message", self._start))
            if not more and self._left is None and not self._bodyless:
                answer.content_length = len(body)
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                self.abort()
                longer = "longer" if self._left < 0 else "shorter"
                msg = f"the body is {abs(self._left)} bytes {longer} than the answer's head says"
                raise RuntimeError(msg)
        if first:
            answer.alone = more and not body
            await answer.prepare(self.bounded)
        if more:
            if body and not self._bodyless:
                await answer.write(body)
            return
        await answer.write_eof(b"" if self._bodyless else bytes(body))
        self._tell_over()

    def _head(self, start: Message) -> _Answer:
        answer = _Answer(status=start["status"])
        for raw_name, raw_value in start.get("headers", ()):
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            if name.lower() == "connection" and value.lower() == "close":
                answer.force_close()
            elif name.lower() not in _HOP_BY_HOP:
                answer.headers.add(name, value)
        answer.headers.setdefault(hdrs.SERVER, SERVER_NAME)
        self._bodyless = self.bounded.method == hdrs.METH_HEAD or answer.status in BODYLESS
        length = answer.headers.get(hdrs.CONTENT_LENGTH)
        self._left = int(length) if length and not self._bodyless else None
        return answer

    def abort(self) -> None:
        """Reset the connection: the client must not take half an answer for a whole one.

        An answer to HTTP/1.0 ends with its connection, and only a reset tells that it did not.
        """
        self.leave()
        transport = self.bounded.transport
        if transport is None:
            return
        opened = transport.get_extra_info("socket")
        if opened is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def finished(self) -> web.StreamResponse:
        """The answer, for the server to go on with the connection.

        Raises:
            RuntimeError: there is none, or it is not whole.
            ConnectionResetError: the client has left.
        """
        if self.gone:
            raise ConnectionResetError(_LEFT)
        if self.answer is None or not self.ended:
            begun = self.answer is not None
            if begun:
                self.abort()
            msg = f"the application ended {'amid its' if begun else 'without an'} answer"
            raise RuntimeError(msg)
        return self.answer


async def _receive_no_more() -> Message:
    return {"type": "http.disconnect"}


async def _send_no_more(_message: Message) -> None:
    raise ConnectionResetError(_LEFT)


class _Answer(web.StreamResponse):
    """One whose head is sent with the first piece in one write, unless it is to go `alone`."""

    alone = True

    @property
    def _send_headers_immediately(self) -> bool:  # type: ignore[override]  # aiohttp only reads it
        return self.alone


def connection_of(bounded: BoundedRequest, values: Mapping[str, str]) -> AsgiConnection:
    """What an ASGI application sees of a request; one for each request."""
    if bounded.asgi is None:
        bounded.asgi = AsgiConnection(bounded, values)
    return bounded.asgi


def connection_in(scope: Scope) -> AsgiConnection:
    """The connection that a scope is of."""
    found: AsgiConnection = scope[_CONNECTION]
    return found


def request_of(bounded: BoundedRequest, values: Mapping[str, str]) -> Request:
    """Starlette's request; one for each call, whoever asks for it."""
    return connection_of(bounded, values).request


async def run_app(
    app: ASGIApp, bounded: BoundedRequest, values: Mapping[str, str], handle: Handle | None = None
) -> web.StreamResponse:
    """Let an ASGI application answer a request; `route_app` inside it asks `handle`.

    Raises:
        ConnectionError: the client has left.
        RuntimeError: it did not send a whole answer.
        Exception: whatever it raised; the connection is dropped if its answer has begun.
    """
    connection = connection_of(bounded, values)
    connection.handle = handle
    try:
        await app(connection.scope, connection.receive, connection.send)
    except BaseException:
        if connection.answer is not None and not connection.ended:
            connection.abort()
        raise
    finally:
        connection.close()
    return connection.finished()


async def route_app(scope: Scope, receive: Receive, send: Send) -> None:
    """The innermost application under middleware: a route, as `run_app` was told of it."""
    connection = connection_in(scope)
    handle = cast("Handle", connection.handle)
    connection.answered = False
    with connection.seen_as(scope, receive, held_back(send, connection)):
        answer = await handle(connection.bounded, connection.values)
        if not connection.answered:
            await send_answer(answer, send)


def held_back(send: Send, connection: AsgiConnection) -> Send:
    """Keep the head of the answer back until its first piece, as the connection itself does."""
    start: list[Message] = []

    async def held_back(message: Message) -> None:
        if message["type"] == "http.response.start" and not connection.answered:
            start[:] = [message]
            return
        connection.answered = True
        while start:
            await send(start.pop())
        await send(message)

    return held_back
