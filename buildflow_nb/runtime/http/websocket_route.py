"""A WebSocket endpoint at work: a route whose calls last as long as their clients stay.

Each open WebSocket is one request in flight. There are at most ten of them for each request that
`max_concurrent_queries` lets run (1,000 by default); beyond that they are turned away with 503
before the handshake, and so is what does not bind, with 422. After new code has taken over, open
ones end on the old code. A stop closes them with 1001. What the function raises closes the socket
with 1011, tells the client nothing, and is kept with the arguments, without any message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from aiohttp import web
from starlette.exceptions import WebSocketException
from starlette.websockets import WebSocketDisconnect

from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.concurrency.calls import is_cancel
from buildflow_nb.runtime.http.binding import Arguments
from buildflow_nb.runtime.http.code import RouteSpec
from buildflow_nb.runtime.http.errors import HttpError
from buildflow_nb.runtime.http.request import BoundedRequest
from buildflow_nb.runtime.http.response import error_response, fault_of
from buildflow_nb.runtime.http.route import HttpRoute
from buildflow_nb.runtime.http.thread_pool import ThreadPool
from buildflow_nb.runtime.http.websocket import SocketSession, fits_handshake
from buildflow_nb.runtime.http.websocket_code import Messages, SocketCode, current_session
from buildflow_nb.runtime.injection import injector_for
from buildflow_nb.runtime.observability.failures import Fault

__all__ = ("WebSocketRoute",)

FAILED, REFUSED = 1011, 1008  # RFC 6455 section 7.4.1: an unexpected condition; policy


class WebSocketRoute(HttpRoute):
    """The unit of one WebSocket endpoint; made, used and stopped on the loop of its server."""

    def __init__(self, *args: Any, **words: Any) -> None:
        super().__init__(*args, **words)
        self._sessions: set[SocketSession] = set()

    def _compiled(self, spec: RouteSpec, threads: ThreadPool) -> SocketCode:
        processor = replace(spec.processor, many=False)  # what it gives is sent, not collected
        injector = injector_for(processor, self._instances, self._supply, threads.run)
        return SocketCode(spec, threads, self.ledger.log, injector)

    async def stop(self, *, drain: bool, timeout_s: float) -> None:
        """Answer 503, and close what is open with 1001; functions that do not end are cancelled."""
        self._server.suspend(self, "stopping")
        if self._threads is not None:
            self.live.enter(State.DRAINING)
        for session in set(self._sessions):
            session.go_away()
        await super().stop(drain=drain, timeout_s=timeout_s)

    async def _respond(
        self, request: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        code = cast("SocketCode", self._code or await self._ready())
        if not fits_handshake(request):
            raise HttpError(400, "the handshake of the WebSocket is broken (RFC 6455)")
        session = request.socket = SocketSession(request, values)
        try:
            arguments = code.binding.bind(request, values, b"")
        except BaseException as refusal:  # a type of the user's may raise anything
            answer = await self._failures.refused(refusal, request, values, b"")
            if answer is None:
                raise
            return answer
        if not code.limit.open:
            msg = f"busy: {code.limit.limit} WebSockets are open"
            raise HttpError(503, msg, {"Retry-After": "1"})
        code.limit.inside += 1
        self._sessions.add(session)
        try:
            return await self._serve(code, session, arguments, values)
        finally:
            self._sessions.discard(session)
            await session.over()
            request.socket = None
            code.limit.leave()

    async def _serve(
        self,
        code: SocketCode,
        session: SocketSession,
        arguments: Arguments,
        values: Mapping[str, str],
    ) -> web.StreamResponse:
        began = self.ledger.clock.now()
        try:
            await self._call(code, session, arguments)
        except asyncio.CancelledError:
            if session.frames is None:
                raise
            cast("asyncio.Task[object]", asyncio.current_task()).uncancel()
            session.drop()
        except BaseException as error:  # user code may raise anything
            if is_cancel(error):
                raise
            if not _is_its_end(error, session):
                answer = await self._failed(code, session, arguments, values, error)
                return self._counted(session, answer)
        if session.answer is None:
            if self.live.state is State.DRAINING:
                return error_response(503, "stopping", close=True)
            msg = "it ended without accept() or close(); a WebSocket is accepted or denied"
            return await self._failed(code, session, arguments, values, RuntimeError(msg))
        if session.frames is not None:
            await session.close()
        seconds = self.ledger.clock.now() - began
        self._passed(code, session, arguments, seconds)
        return self._counted(session, session.answer)

    async def _call(
        self,
        code: SocketCode,
        session: SocketSession,
        arguments: Arguments,
    ) -> None:
        """Call the function; returns early where the stop or the client has ended it."""
        if code.sends_by_itself:
            await session.websocket.accept()
        if code.decode is not None:
            arguments = tuple(
                Messages(session, code, self._refused) if one is session else one
                for one in arguments
            )
        asked = session.websocket if code.needs_request else None
        token = current_session.set(session)
        try:
            async with asyncio.timeout(None) as session.deadline:
                await code.call(arguments, asked)
        except TimeoutError:
            if session.deadline is None or not session.deadline.expired():
                raise
        finally:
            session.deadline = None
            current_session.reset(token)

    def _refused(self, text: str) -> None:
        self.ledger.log.add("WARNING", f"{self.id!r} closed a WebSocket with 1007: {text}")

    def _passed(
        self, code: SocketCode, session: SocketSession, arguments: Arguments, seconds: float
    ) -> None:
        element = _shown(code, session, arguments)
        result = (f"closed with {session.ended[0]}",) if session.ended and session.frames else ()
        self.ledger.record(element, result)
        self.ledger.passed((element,), (result,), seconds)
        self.ledger.metrics.given.add(1, self.ledger.clock.now())

    def _counted(self, session: SocketSession, answer: web.StreamResponse) -> web.StreamResponse:
        """The answer, and how the socket was closed beside it."""
        if session.frames is not None and session.ended is not None:
            codes = self.ledger.metrics.codes
            codes[session.ended[0]] = codes.get(session.ended[0], 0) + 1
        return answer

    async def _failed(
        self,
        code: SocketCode,
        session: SocketSession,
        arguments: Arguments,
        values: Mapping[str, str],
        error: BaseException,
    ) -> web.StreamResponse:
        """Close, or answer in place of a WebSocket."""
        fault = fault_of(error)
        if session.frames is None:
            if fault is not None:
                raise fault from error
            arguments = _without_session(arguments, session)
            return await self._failures.failed(code, session.bounded, values, arguments, error)
        if isinstance(error, WebSocketException):
            await session.close(error.code, error.reason or "")
        elif fault is not None and fault.status < 500:  # noqa: PLR2004
            await session.close(REFUSED, str(fault.detail))
        else:
            await session.close(FAILED)
            element, origin = _shown(code, session, arguments), f"{self.method} {self.path}"
            await self._failures.keep([Fault(element, error, 1, origin)])
        return session.frames


def _shown(code: SocketCode, session: SocketSession, arguments: Arguments) -> object:
    return code.binding.element(_without_session(arguments, session))


def _without_session(arguments: Arguments, session: SocketSession) -> Arguments:
    """Arguments to keep: of a WebSocket, its path."""
    path = f"WEBSOCKET {session.bounded.path_qs}"
    kept = (session, session.websocket)
    return tuple(path if any(one is k for k in kept) else one for one in arguments)


def _is_its_end(error: BaseException, session: SocketSession) -> bool:
    """Whether an error says no more than that the socket is closed."""
    if isinstance(error, (WebSocketDisconnect, ConnectionError)):
        return session.ended is not None or isinstance(error, WebSocketDisconnect)
    return session.ended is not None and type(error).__name__ == "WebSocketDisconnected"
