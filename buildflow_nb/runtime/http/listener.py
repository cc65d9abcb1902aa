"""A port that HTTP is heard on: listening, aiohttp's connections in our form, and the guard.

It stands on aiohttp's low-level server, because aiohttp's own router freezes when the application
starts. Nothing that it answers tells a version or a traceback.

Who is a stranger is known by `guard.py`.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from aiohttp import web

from buildflow_nb.core.errors import ServeError
from buildflow_nb.runtime.http.connection import Connection
from buildflow_nb.runtime.http.guard import Guard
from buildflow_nb.runtime.http.request import (
    BODY_LIMIT,
    HELD_LIMIT,
    READ_AHEAD,
    BoundedRequest,
    Held,
)

__all__ = ("LAST_WORD_S", "HttpListener", "linger", "refuse_taken")

IDLE_S = 75.0  # seconds that a connection may be idle: longer than a common proxy keeps its own
LAST_WORD_S = 0.1  # seconds that requests in flight have even without grace
LINGER_S = 10.0  # seconds: at 100 Mbit/s enough for another 100 MB

Answering = Callable[[Any], Awaitable[web.StreamResponse]]  # of a BoundedRequest


class HttpListener:
    """One port, whose requests `answering` answers and lets go; made and used on one loop.

    `allowed_hosts` are further names under which a server on a loopback address may be called; "*"
    allows all. `body_bytes` is how many bytes of bodies all requests may hold together. Others may
    listen on a port that `is_shared` (SO_REUSEPORT), if they are the same user's.
    """

    def __init__(  # noqa: PLR0913  (words of one thing)
        self,
        host: str,
        port: int,
        answering: Answering,
        *,
        allowed_hosts: Sequence[str] = (),
        body_bytes: int = HELD_LIMIT,
        is_shared: bool = False,
    ) -> None:
        self._host = host
        self._port = port
        self._answering = answering
        self._is_shared = is_shared
        self.guard = Guard(host, allowed_hosts)
        self.bodies = Held(body_bytes)
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self.address: str | None = None
        """Where it listens, "http://127.0.0.1:8000", while it does."""

    async def start(self, port: int | None = None) -> str:
        """Listen, on this port if it is another by now; the address.

        Raises:
            ServeError: the port is taken, or the host is not one of this machine's.
        """
        loop = asyncio.get_running_loop()
        self._port = self._port if port is None else port
        self._server = _LowServer(self._answering, request_factory=self._request)
        try:
            self._listener = await loop.create_server(
                self._server, self._host, self._port, reuse_port=self._is_shared or None
            )
        except (OSError, OverflowError) as error:
            raise ServeError(_why_not(error, self._host, self._port)) from error
        port = self._listener.sockets[0].getsockname()[1]
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self.address = f"http://{shown}:{port}"
        return self.address

    async def stop(self, grace_s: float) -> None:
        """Stop accepting; let requests in flight finish, for `grace_s` seconds at most."""
        listener, server = self._listener, self._server
        self._listener = self._server = self.address = None
        if listener is None or server is None:
            return
        listener.close()
        server.pre_shutdown()
        await server.shutdown(max(grace_s, LAST_WORD_S) / 2)  # aiohttp waits that long twice
        await asyncio.sleep(0)  # transports close in the loop's next turn

    def _request(
        self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any
    ) -> BoundedRequest:
        loop = asyncio.get_running_loop()
        request = BoundedRequest(
            message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT
        )
        request.bodies = self.bodies
        return request


class _LowServer(web.Server):
    """aiohttp's server, with our connections."""

    def __call__(self) -> web.RequestHandler:
        loop = asyncio.get_running_loop()
        return Connection(
            self,
            loop=loop,
            access_log=None,  # documented to turn it off
            keepalive_timeout=IDLE_S,
            read_bufsize=READ_AHEAD,
            auto_decompress=False,  # it would go on where we stop; see encoding.py
            lingering_time=0,  # see linger
        )


def refuse_taken(host: str, port: int) -> None:
    """Refuse a port on which somebody listens, who might share it unasked; 0 never is.

    Raises:
        ServeError: the port is taken, or the host is not one of this machine's.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((host, port))
    except (OSError, OverflowError) as error:
        raise ServeError(_why_not(error, host, port)) from error


def _why_not(error: OSError | OverflowError, host: str, port: int) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is taken; stop what uses it, or choose "
            "another port (0 takes any free one)"
        )
    nowhere = getattr(error, "errno", None) == errno.EADDRNOTAVAIL
    # From Python 3.13 on, asyncio says it in words alone.
    nowhere = nowhere or "could not bind on any address" in str(error)
    if nowhere or isinstance(error, socket.gaierror):
        return f"{host!r} is no address of this machine; 127.0.0.1 always is"
    if isinstance(error, PermissionError):
        return f"port {port} needs rights that you do not have; choose one above 1023"
    return f"cannot listen on port {port} of {host}: {error}; choose another port"


async def linger(
    request: web.BaseRequest, response: web.StreamResponse, seconds: float | None = None
) -> None:
    """Answer, then throw away what the client still sends, so that it comes to read the answer.

    It has `LINGER_S` for it, or so many seconds. aiohttp's own lingering would go on after the
    client is gone.
    """
    with suppress(Exception):
        await response.prepare(request)
        await response.write_eof()
        async with asyncio.timeout(LINGER_S if seconds is None else seconds):
            while await request.content.readany():
                pass
