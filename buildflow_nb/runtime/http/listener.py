"""A port that HTTP is heard on: listening, aiohttp's connections in our form, and the guard.

It stands on aiohttp's low-level server, because aiohttp's own router freezes when the application
starts. Nothing that it answers tells a version or a traceback.

A server bound to a loopback address is reachable by every page that the browser on this machine
shows. So it answers only requests whose `Host` names this machine (an IP address, `localhost` or
one of `allowed_hosts`), which ends DNS rebinding, and refuses those whose `Origin` is a site
elsewhere. A server bound to another address leaves this to whatever stands before it; so does one
on a JupyterHub, where no browser runs on this machine and the hub's proxy sends its own name.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from buildflow_nb.core.errors import ServeError
from buildflow_nb.runtime.control import is_loopback
from buildflow_nb.runtime.http.answer import error_answer, fault_of
from buildflow_nb.runtime.http.body import BODY_LIMIT

__all__ = ("HttpListener", "linger")

IDLE_S = 75.0  # seconds that a connection may be idle: longer than a common proxy keeps its own
LAST_WORD_S = 0.1  # seconds that requests in flight have even without grace
LINGER_S = 10.0  # seconds: at 100 Mbit/s enough for another 100 MB
CACHED_HOSTS = 64  # Host values remembered as good

Answering = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class HttpListener:
    """One port, whose requests `answering` answers; made and used on one loop.

    `allowed_hosts` are further names under which a server on a loopback address may be called; "*"
    allows all.
    """

    def __init__(
        self, host: str, port: int, answering: Answering, allowed_hosts: Sequence[str] = ()
    ) -> None:
        self._host = host
        self._port = port
        self._answering = answering
        self._allowed = {name.lower() for name in allowed_hosts} | {host.lower(), "localhost"}
        on_hub = "JUPYTERHUB_SERVICE_PREFIX" in os.environ
        self._guarded = is_loopback(host) and not on_hub and "*" not in allowed_hosts
        self._good_hosts: set[str] = set()
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self.address: str | None = None
        """Where it listens, "http://127.0.0.1:8000", while it does."""

    async def start(self) -> str:
        """Listen; the address.

        Raises:
            ServeError: the port is taken, or the host is not one of this machine's.
        """
        loop = asyncio.get_running_loop()
        self._server = _LowServer(self._answering, request_factory=_request)
        try:
            self._listener = await loop.create_server(self._server, self._host, self._port)
        except (OSError, OverflowError) as error:
            raise ServeError(self._why_not(error)) from error
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

    def refusal(self, request: web.BaseRequest) -> web.Response | None:
        """The answer to a stranger, or None; with it the connection is closed, unread."""
        if not self._guarded:
            return None
        host = request.headers.get(hdrs.HOST)
        if host in self._good_hosts and hdrs.ORIGIN not in request.headers:
            return None
        return self._refuse_strangers(host, request.headers.get(hdrs.ORIGIN))

    def _refuse_strangers(self, host: str | None, origin: str | None) -> web.Response | None:
        if host is not None and not self._is_here(f"//{host}"):
            msg = f"the name {host[:100]!r} is not served; add it to allowed_hosts to allow it"
            return error_answer(403, msg, close=True)
        if origin is not None and not self._is_here(origin):
            msg = "pages of other sites may not call this server"
            return error_answer(403, msg, close=True)
        if host is not None and len(self._good_hosts) < CACHED_HOSTS:
            self._good_hosts.add(host)
        return None

    def _is_here(self, url: str) -> bool:
        try:
            name = (urlsplit(url).hostname or "").rstrip(".")
        except ValueError:
            return False
        if name in self._allowed or name.endswith(".localhost"):
            return True
        return _address(name) is not None

    def _why_not(self, error: OSError | OverflowError) -> str:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            return (
                f"port {self._port} of {self._host} is taken; stop what uses it, or choose "
                "another port (0 takes any free one)"
            )
        nowhere = getattr(error, "errno", None) == errno.EADDRNOTAVAIL
        # From Python 3.13 on, asyncio says it in words alone.
        nowhere = nowhere or "could not bind on any address" in str(error)
        if nowhere or isinstance(error, socket.gaierror):
            return f"{self._host!r} is no address of this machine; 127.0.0.1 always is"
        if isinstance(error, PermissionError):
            return f"port {self._port} needs rights that you do not have; choose one above 1023"
        return f"cannot listen on port {self._port} of {self._host}: {error}; choose another port"


class _Protocol(web.RequestHandler):
    """aiohttp's connection, with errors of its own (bad HTTP, too long headers) in our form."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            msg = "the response has begun; no error can be sent any more"
            raise ConnectionError(msg)
        fault = None if exc is None else fault_of(exc)
        if fault is not None:
            return error_answer(fault.status, fault.detail, fault.headers, close=True)
        if status < HTTPStatus.INTERNAL_SERVER_ERROR and message:
            line = message.partition("\n")[0].rstrip(": ")
            return error_answer(status, line.encode(errors="replace").decode(), close=True)
        self.log_exception("error in the HTTP server", exc_info=exc)
        return error_answer(status, HTTPStatus(status).phrase, close=True)


class _LowServer(web.Server):
    """aiohttp's server, with our connections."""

    def __call__(self) -> web.RequestHandler:
        loop = asyncio.get_running_loop()
        return _Protocol(
            self,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # documented to turn it off
            keepalive_timeout=IDLE_S,
            lingering_time=0,  # see linger
        )


async def linger(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Answer, then throw away what the client still sends, so that it comes to read the answer.

    aiohttp's own lingering would go on after the client is gone.
    """
    with suppress(Exception):
        await response.prepare(request)
        await response.write_eof()
        async with asyncio.timeout(LINGER_S):
            while await request.content.readany():
                pass


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.Request:
    """A full `web.Request`, since that is what people annotate."""
    return web.Request(
        message,
        payload,
        protocol,
        writer,
        task,
        asyncio.get_running_loop(),
        client_max_size=BODY_LIMIT,
    )


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
