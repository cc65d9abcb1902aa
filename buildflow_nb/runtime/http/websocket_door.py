"""A WebSocket on its way through middleware to its route.

Middleware is an ASGI class that sees the scope, and may deny the WebSocket before the route is
asked, by a close or by an HTTP answer (asgi.readthedocs.io, "Websocket Denial Response"). What it
puts into the scope, as a session, is there for the route. Messages do not go through it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from starlette.types import Message, Receive, Scope, Send

from buildflow_nb.runtime.http.asgi import Handle
from buildflow_nb.runtime.http.request import BoundedRequest
from buildflow_nb.runtime.http.response import error_response
from buildflow_nb.runtime.http.websocket import socket_scope

__all__ = ("WebSocketDoor", "enter")

_DOOR = "buildflow.door"  # in a scope: whose it is
_DENIED = 403  # what a close before the acceptance means


class WebSocketDoor:
    """One request for a WebSocket, which `handle` answers if it comes through."""

    def __init__(self, handle: Handle, request: BoundedRequest, values: Mapping[str, str]) -> None:
        self._handle = handle
        self._request = request
        self._values = values
        self._answer: web.StreamResponse | None = None
        self._start: Message = {}
        self._body = b""

    async def opened(
        self, pass_on: Callable[[Scope, Receive, Send], Awaitable[None]]
    ) -> web.StreamResponse:
        """The answer: the WebSocket, or a denial.

        Raises:
            RuntimeError: middleware neither let it pass nor denied it.
            Exception: whatever middleware or the route raised.
        """
        scope = socket_scope(self._request, self._values)
        scope[_DOOR] = self
        await pass_on(scope, self._receive, self._send)
        if self._answer is None:
            msg = "middleware let a WebSocket neither pass nor denied it"
            raise RuntimeError(msg)
        return self._answer

    async def enter(self, scope: Scope) -> None:
        """Come to the route, with the scope as middleware has made it."""
        self._request.socket_scope = scope
        self._answer = await self._handle(self._request, self._values)

    async def _receive(self) -> Message:
        return {"type": "websocket.connect"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.close":
            self._answer = error_response(_DENIED, message.get("reason") or "Forbidden")
        elif kind == "websocket.http.response.start":
            self._start = message
        elif kind == "websocket.http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                self._answer = self._denial()
        else:
            msg = f"middleware may deny a WebSocket, not send {kind!r}"
            raise RuntimeError(msg)

    def _denial(self) -> web.Response:
        answer = web.Response(status=self._start["status"], body=self._body)
        for name, value in self._start.get("headers", ()):
            if name != b"content-length":  # aiohttp counts
                answer.headers.add(name.decode("latin-1"), value.decode("latin-1"))
        return answer


async def enter(scope: Scope) -> None:
    """Let the WebSocket that a scope is of come to its route."""
    door: WebSocketDoor = scope[_DOOR]
    await door.enter(scope)
