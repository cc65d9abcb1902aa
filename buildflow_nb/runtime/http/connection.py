"""One connection: aiohttp's, where plain requests are answered in a shorter way.

A plain request (`plain_request.py`) is answered by one task, which writes the answer and is done.
aiohttp's own way to the same bytes makes a stream for the body, and wakes a task of the connection,
which starts one for the request and is woken by it again: more than half of what a small request
costs. All else goes that way: bodies that are still arriving, pipelined requests, HTTP/1.0,
WebSockets. The two never work at once: while one request is answered here, aiohttp's loop waits for
the next one, and what arrives meanwhile queues for it. Whether aiohttp's parser is between two
messages, so that the next piece may be read here, is known by counting what it was given.

aiohttp has no door for that, so a few of its private names are used, all of them in this file. With
an aiohttp that lacks one of them, every request goes aiohttp's own way.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, cast

from aiohttp import EMPTY_PAYLOAD, hdrs, web
from aiohttp.http import RawRequestMessage, StreamWriter

from buildflow_nb.runtime.http.plain_request import plain_request
from buildflow_nb.runtime.http.response import error_response, fault_of

__all__ = ("USED", "Connection")

USED = (
    "_close",
    "_current_request",
    "_drain_helper",
    "_force_close",
    "_keepalive_handle",
    "_keepalive_timeout",
    "_messages",
    "_next_keepalive_close_time",
    "_paused",
    "_payload_parser",
    "_process_keepalive",
    "_request_factory",
    "_request_handler",
    "_task_handler",
    "_waiter",
)
"""What of aiohttp's `RequestHandler` is used here without being promised."""

WRITE_S = 60.0  # seconds that an answer may wait for a client that does not read
UNKNOWN = -1
_SHORT = all(hasattr(web.RequestHandler, name) for name in USED)

Handler = Callable[[Any], Awaitable[web.StreamResponse]]


class Connection(web.RequestHandler):
    """aiohttp's connection, where plain requests take the short way; errors are in our form."""

    __slots__ = ("_answering", "_idle", "_left", "heard_at", "stalled_at")

    def __init__(self, *args: Any, **words: Any) -> None:
        super().__init__(*args, **words)
        self._answering: asyncio.Task[None] | None = None
        self._idle: asyncio.Future[None] | None = None  # what aiohttp's loop waits on meanwhile
        self.heard_at = 0.0
        """When something came last that went aiohttp's way, on the loop's clock."""
        self.stalled_at: float | None = None
        """Since when the client has not read what was written, on the loop's clock."""
        self._left = 0  # bytes of a message under way in aiohttp's parser; UNKNOWN for good

    def data_received(self, data: bytes) -> None:
        """Answer a plain request, or let aiohttp read on."""
        waiter = self._waiter if _SHORT and self._left == 0 else None
        if waiter is not None and not waiter.done():
            found = plain_request(data)
            if found is not None:
                self._answer_soon(*found)
                return
        self.heard_at = self._loop.time()
        if self._payload_parser is not None:  # a WebSocket
            super().data_received(data)
            return
        queued = len(self._messages)
        super().data_received(data)
        self._tell_broken()
        if self._left != UNKNOWN and data:
            self._left = self._left_after(data, len(self._messages) - queued)

    def pause_writing(self) -> None:
        """Take note that the client does not read."""
        self.stalled_at = self._loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Take note that it does."""
        self.stalled_at = None
        super().resume_writing()

    def _left_after(self, data: bytes, begun: int) -> int:
        """How much of its message is still to come, once aiohttp has read a piece."""
        if self._left > 0:
            return max(self._left - len(data), UNKNOWN)
        message = self._messages[-1][0] if begun == 1 else None
        if not isinstance(message, RawRequestMessage):
            return UNKNOWN
        size = data.find(b"\r\n\r\n") + 4 + int(message.headers.get(hdrs.CONTENT_LENGTH, 0))
        return max(size - len(data), UNKNOWN)

    def _answer_soon(self, message: RawRequestMessage, body: bytes) -> None:
        loop, task, make = self._loop, self._task_handler, cast("Any", self._request_factory)
        request = make(message, EMPTY_PAYLOAD, self, StreamWriter(self, loop), task)
        request.whole = body
        self._current_request = request
        self._idle, self._waiter = self._waiter, None
        work = self._answer(request, cast("Any", self._request_handler))
        if sys.version_info >= (3, 12):
            self._answering = asyncio.Task(work, loop=loop, eager_start=True)
        else:
            self._answering = loop.create_task(work)

    async def _answer(self, request: web.BaseRequest, handler: Handler) -> None:
        """Answer one request; then the connection is aiohttp's again."""
        keep = False
        try:
            keep = await self._answered(request, handler)
        except ConnectionError:
            pass  # the client has left, or does not read
        finally:
            self._go_on(keep=keep)

    async def _answered(self, request: web.BaseRequest, handler: Handler) -> bool:
        """Whether the connection may be kept."""
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = error
        except Exception as error:  # noqa: BLE001  (as aiohttp's own loop)
            response = self.handle_error(request, 500, error)
        finally:
            self._current_request = None
        await response.prepare(request)
        await response.write_eof()
        request._finish()  # noqa: SLF001  (files of a form)
        if self._paused:
            await self._written()
        return bool(response.keep_alive)

    def _go_on(self, *, keep: bool) -> None:
        """Let aiohttp's loop have what comes next."""
        waiter, self._idle, self._answering = self._idle, None, None
        self._waiter = waiter
        if not keep or self._close or self._force_close:
            # Also where the client has left meanwhile: the loop that waits here would do so for
            # ever, since `connection_lost` found nobody to wake.
            self.force_close()
        elif self._messages:
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        else:
            loop = self._loop
            self._next_keepalive_close_time = close_time = loop.time() + self._keepalive_timeout
            if self._keepalive_handle is None:
                self._keepalive_handle = loop.call_at(close_time, self._process_keepalive)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """As aiohttp's; the next request is not begun before the client has read."""
        found = await super().finish_response(request, resp, start_time)
        if self._paused:
            await self._written()
        return found

    async def _written(self) -> None:
        """Wait until what was written is nearly read, so that answers do not pile up.

        Raises:
            ConnectionError: the client has left, or does not read.
        """
        transport = self.transport
        try:
            async with asyncio.timeout(WRITE_S):
                await self._drain_helper()
        except TimeoutError as error:
            if transport is not None:
                transport.abort()
            msg = f"the client has not read for {WRITE_S:g} s"
            raise ConnectionResetError(msg) from error

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109  (as there)
        """Close; a request in flight has so many seconds, and as many once it is cancelled."""
        task = self._answering
        if task is not None:
            await asyncio.wait((task,), timeout=timeout)
            task.cancel()
            await asyncio.wait((task,), timeout=timeout)
        await super().shutdown(timeout)

    def _tell_broken(self) -> None:
        """Let who waits for a body that cannot be read on learn it at once.

        aiohttp queues the error behind the request whose body it is in, which would wait for ever.
        """
        if not self._messages or isinstance(self._messages[-1][0], RawRequestMessage):
            return
        request = self._current_request
        if len(self._messages) > 1:
            content = self._messages[-2][1]
        elif request is not None:
            content = request.content
        else:
            return
        if not content.is_eof():
            content.set_exception(web.RequestPayloadError("the chunks are broken"))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to bad HTTP, too long headers, or an error of ours.

        Raises:
            ConnectionError: nobody can be answered any more.
        """
        if isinstance(exc, ConnectionError) and self.transport is None:
            raise exc  # the client has left: nobody to answer, and nothing to be told
        if request.writer.output_size > 0:
            msg = "the response has begun; no error can be sent any more"
            raise ConnectionError(msg)
        fault = None if exc is None else fault_of(exc)
        if fault is not None:
            return error_response(fault.status, fault.detail, fault.headers, close=True)
        if status < HTTPStatus.INTERNAL_SERVER_ERROR and message:
            line = message.partition("\n")[0].rstrip(": ")
            return error_response(status, line.encode(errors="replace").decode(), close=True)
        self.log_exception("error in the HTTP server", exc_info=exc)
        return error_response(status, HTTPStatus(status).phrase, close=True)
