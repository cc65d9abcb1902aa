"""The one HTTP server of a run: routes of all services come and go while it listens.

It stands on aiohttp's low-level server, because aiohttp's own router freezes when the application
starts. It answers `/openapi.json`, `/docs` and `/healthz` itself where no route of the user's
does. Nothing that it answers tells a version or a traceback.

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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from buildflow_nb.core.errors import ServeError
from buildflow_nb.runtime.http.answer import error_answer, fault_of, json_answer
from buildflow_nb.runtime.http.body import BODY_LIMIT
from buildflow_nb.runtime.http.code import RouteSpec
from buildflow_nb.runtime.http.docs import DocsPage
from buildflow_nb.runtime.http.router import NO_VALUES, Router

__all__ = ("Mounted", "Server")

IDLE_S = 75.0  # seconds that a connection may be idle: longer than a common proxy keeps its own
LAST_WORD_S = 0.1  # seconds that requests in flight have even without grace
LINGER_S = 10.0  # seconds: at 100 Mbit/s enough for another 100 MB
CACHED_HOSTS = 64  # Host values remembered as good


class Mounted(Protocol):
    """What a server serves."""

    @property
    def id(self) -> str:
        """Its name, unique in a server."""
        ...

    @property
    def method(self) -> str:
        """In capitals."""
        ...

    @property
    def path(self) -> str:
        """The route, with `{parameters}`."""
        ...

    @property
    def spec(self) -> RouteSpec:
        """What was declared."""
        ...

    async def handle(
        self, request: web.BaseRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        """Answer a request; `values` are its path parameters."""
        ...


class Server:
    """Listens on one port; made and used on one loop.

    `title` heads the OpenAPI document. `allowed_hosts` are further names under which a server on
    a loopback address may be called; "*" allows all.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8000,
        *,
        title: str = "buildflow",
        allowed_hosts: Sequence[str] = (),
    ) -> None:
        self._host = host
        self._port = port
        self._router: Router[Mounted] = Router()
        self._docs = DocsPage(title, self._router)
        self._allowed = {name.lower() for name in allowed_hosts} | {host.lower(), "localhost"}
        on_hub = "JUPYTERHUB_SERVICE_PREFIX" in os.environ
        self._guarded = _is_loopback(host) and not on_hub and "*" not in allowed_hosts
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
        self._server = _LowServer(self._dispatch, request_factory=_request)
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

    def mount(self, route: Mounted) -> None:
        """Serve a route from now on; one of the same id is replaced.

        Raises:
            DeclarationError: another one has the same method and path.
        """
        self._router.add(route)
        self._docs.changed()

    def unmount(self, route_id: str) -> None:
        """Serve a route no more."""
        self._router.remove(route_id)
        self._docs.changed()

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._guarded:
            host = request.headers.get(hdrs.HOST)
            if host not in self._good_hosts or hdrs.ORIGIN in request.headers:
                refused = self._refuse_strangers(host, request.headers.get(hdrs.ORIGIN))
                if refused is not None:
                    return refused  # and closed: nothing of a stranger's is read
        method = request.method
        found = self._router.static.get(request.raw_path)
        route = None if found is None else found.get(method)
        if route is not None:
            response = await route.handle(request, NO_VALUES)
        else:
            response = await self._search(request, method)
        if not request.content.is_eof():
            await _linger(request, response)
        return response

    async def _search(self, request: web.BaseRequest, method: str) -> web.StreamResponse:
        """The way of requests that need more than one look into a dict."""
        path = request.raw_path.partition("?")[0]
        if not path.startswith("/"):
            path = request.rel_url.raw_path  # a proxy's absolute form, or `*`
        try:
            match = self._router.find(path, method)
            if match.route is None and method == hdrs.METH_HEAD and "GET" in match.methods:
                match = self._router.find(path, "GET")
        except UnicodeError:
            return error_answer(400, "the path is not UTF-8")
        if match.route is not None:
            return await match.route.handle(request, match.values)
        if not match.methods:
            own = self._own(path, method)
            return own if own is not None else error_answer(404, "Not Found")
        return _other_method(method, match.methods)

    def _own(self, path: str, method: str) -> web.StreamResponse | None:
        """What the server answers itself."""
        if path == "/healthz":
            made: web.StreamResponse | None = json_answer(b'{"status":"ok"}')
        else:
            made = self._docs.answer(path)
        if made is not None and method not in ("GET", "HEAD"):
            return _other_method(method, ("GET",))
        return made

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
            lingering_time=0,  # see _linger
        )


async def _linger(request: web.BaseRequest, response: web.StreamResponse) -> None:
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


def _other_method(method: str, methods: Sequence[str]) -> web.Response:
    """The answer to OPTIONS, and to methods that a path does not take."""
    allowed = sorted({*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])})
    headers: dict[str, str] = {hdrs.ALLOW: ", ".join(allowed)}
    if method == hdrs.METH_OPTIONS:
        return web.Response(status=204, headers={**headers, hdrs.SERVER: "buildflow"})
    return error_answer(405, "Method Not Allowed", headers)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    found = _address(host)
    return host.lower() == "localhost" if found is None else found.is_loopback
