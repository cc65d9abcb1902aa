"""The one HTTP server of a run: routes of all services come and go while it listens.

It answers `/openapi.json`, `/docs`, `/healthz` and `/` (which leads to `/docs`) itself where no
route of the user's does, and leaves listening to `listener.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Protocol

from aiohttp import hdrs, web

from buildflow_nb.core.declaring.flow_spec import CollectorSpec
from buildflow_nb.core.declaring.hooks import Hooks
from buildflow_nb.core.declaring.websocket_parameters import WEBSOCKET
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.runtime.concurrency.calls import is_cancel
from buildflow_nb.runtime.http.chains import Chain, Chains
from buildflow_nb.runtime.http.code import RouteSpec
from buildflow_nb.runtime.http.docs import DocsPages
from buildflow_nb.runtime.http.errors import HttpError
from buildflow_nb.runtime.http.exception_handlers import ExceptionHandlers
from buildflow_nb.runtime.http.guard import SAFE_METHODS
from buildflow_nb.runtime.http.listener import LAST_WORD_S, HttpListener, linger
from buildflow_nb.runtime.http.request import HELD_LIMIT, BoundedRequest
from buildflow_nb.runtime.http.response import (
    FAILED,
    SERVER_NAME,
    error_response,
    fault_of,
    json_response,
)
from buildflow_nb.runtime.http.router import NO_VALUES, Router

__all__ = ("Mounted", "Server")

_LOGGER = logging.getLogger(__name__)
SUSPENDED = 503
AGAIN_S = 5  # seconds after which a client may ask again for a route that is stopped


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
        self, request: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        """Answer a request; `values` are its path parameters."""
        ...

    async def broken(
        self, error: BaseException, request: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        """Answer a request whose middleware failed."""
        ...


class Server:
    """Listens on one port; made and used on one loop.

    `title` heads the OpenAPI document. `allowed_hosts` are further names under which a server on
    a loopback address may be called; "*" allows all. `body_bytes` is how many bytes of bodies all
    requests may hold together; what comes beyond that is answered with 503. `hooks` are the flow's,
    of which the server asks for handlers of errors and middleware. Other processes of this run may
    listen on a port that `port_is_shared`, and the system gives each some of the connections.
    """

    def __init__(  # noqa: PLR0913  (words of one thing)
        self,
        host: str = "127.0.0.1",
        port: int = 8000,
        *,
        title: str = "buildflow",
        allowed_hosts: Sequence[str] = (),
        body_bytes: int = HELD_LIMIT,
        hooks: Callable[[], Hooks] = dict,
        port_is_shared: bool = False,
    ) -> None:
        self._router: Router[Mounted] = Router()
        self._suspended: Router[Mounted] = Router()
        self._why: dict[str, str] = {}  # these are, by id
        self._docs = DocsPages(title, self._router)
        self.ready = True
        """Whether load balancers are to send requests here, as `/healthz` tells them."""
        self._chains = Chains(hooks)
        self.handlers = ExceptionHandlers(hooks)
        """What answers errors."""
        self._listener = HttpListener(
            host,
            port,
            self._dispatch,
            allowed_hosts=allowed_hosts,
            body_bytes=body_bytes,
            is_shared=port_is_shared,
        )

    @property
    def address(self) -> str | None:
        """Where it listens, "http://127.0.0.1:8000", while it does."""
        return self._listener.address

    @property
    def held(self) -> int:
        """Bytes of bodies that requests hold at this moment."""
        return self._listener.bodies.bytes

    async def start(self, port: int | None = None) -> str:
        """Listen, on this port if it is another by now; the address.

        Raises:
            ServeError: the port is taken, or the host is not one of this machine's.
            DeclarationError: middleware cannot be made; a UsageError if it lacks something.
        """
        self.refresh()
        return await self._listener.start(port)

    def refresh(self) -> None:
        """Put the middleware that is declared now around requests that come from now on.

        Raises:
            DeclarationError: it cannot be made; a `UsageError` if it lacks something.
        """
        self._chains.refresh()

    async def stop(self, grace_s: float) -> None:
        """Stop accepting; let requests in flight finish, for `grace_s` seconds at most."""
        await self._listener.stop(grace_s)
        self.handlers.close()

    def mount(self, route: Mounted) -> None:
        """Serve a route from now on; one of the same id is replaced.

        Raises:
            DeclarationError: another one has the same method and path.
        """
        self._router.add(route)
        for old in [one for one in self._suspended if one.id == route.id]:
            self._suspended.remove(old)
        self._docs.changed()

    def suspend(self, route: Mounted, why: str) -> None:
        """Answer a route with 503 and `why`, unless another one of its id has taken its place."""
        if self._router.remove(route):
            self._docs.changed()
            with suppress(DeclarationError):  # another one says the same there
                self._suspended.add(route)
            self._why[route.id] = why
        elif route in self._suspended:
            self._why[route.id] = why

    def unmount(self, route: Mounted) -> None:
        """Know a route no more, unless another one of its id has taken its place."""
        self._suspended.remove(route)
        if self._router.remove(route):
            self._docs.changed()

    def refuse_taken(self, route: Mounted) -> None:
        """Look whether a route could be mounted.

        Raises:
            DeclarationError: another one has the same method and path.
        """
        self._router.refuse_taken(route)

    async def _dispatch(self, request: BoundedRequest) -> web.StreamResponse:
        guard = self._listener.guard
        admits = self._admits if self._chains.declared else None
        refused = guard.refusal(request, admits)
        if refused is not None:
            return refused  # and closed: nothing of a stranger's is read
        method, values = self._method(request), NO_VALUES
        found = self._router.static.get(request.raw_path)
        route = None if found is None else found.get(method)
        if route is None:
            match = self._search(request, method)
            if isinstance(match, web.StreamResponse):
                return await self._unrouted(request, match)
            route, values = match
        if request.method in SAFE_METHODS:
            writes = isinstance(route.spec, CollectorSpec) or method == WEBSOCKET
            refused = guard.reading_refusal(request, writes=writes)
            if refused is not None:
                return refused
        try:
            if self._chains.declared:
                response = await self._through(route, request, values)
            else:
                response = await route.handle(request, values)
        finally:
            if request.held or request.asgi is not None:
                request.let_go()
        if request.whole is None and not request.content.is_eof():
            ends = route in self._suspended  # and waits for its requests
            await linger(request, response, LAST_WORD_S if ends else None)
        return response

    def _method(self, request: web.BaseRequest) -> str:
        """The method of the route that is asked for: a WebSocket is a GET with an `Upgrade`.

        Where there is no WebSocket route, one for GET may serve one by aiohttp's classes.
        """
        method = request.method
        if method != hdrs.METH_GET or hdrs.UPGRADE not in request.headers:
            return method
        if request.headers[hdrs.UPGRADE].strip().lower() == "websocket":
            match = self._search(request, WEBSOCKET)
            if not isinstance(match, web.StreamResponse) or match.status == SUSPENDED:
                return WEBSOCKET
        return method

    def _search(
        self, request: web.BaseRequest, method: str
    ) -> tuple[Mounted, Mapping[str, str]] | web.StreamResponse:
        """The way of requests that need more than one look into a dict: a route, or an answer."""
        path = request.raw_path.partition("?")[0]
        if not path.startswith("/"):
            path = request.rel_url.raw_path  # a proxy's absolute form, or `*`
        try:
            match = self._router.find(path, method)
            if match.route is None and method == hdrs.METH_HEAD and "GET" in match.methods:
                match = self._router.find(path, "GET")
            away = self._suspended.find(path, "GET" if method == hdrs.METH_HEAD else method).route
        except UnicodeError:
            return error_response(400, "the path is not UTF-8")
        if match.route is not None:
            return match.route, match.values
        if away is not None:
            again: dict[str, str] = {hdrs.RETRY_AFTER: str(AGAIN_S)}
            return error_response(SUSPENDED, self._why[away.id], again, close=True)
        if not match.methods:
            own = self._own(path, method)
            return own if own is not None else error_response(404, "Not Found")
        return _other_method(method, match.methods)

    def _admits(self, request: web.BaseRequest, origin: str) -> bool:
        """Whether the CORS that is declared for what is asked lets pages of an origin in."""
        chain = self._chain_around(request)
        return chain is not None and chain.admits(origin)

    def _chain_around(self, request: web.BaseRequest) -> Chain | None:
        """The middleware around what is asked, or what a preflight is about."""
        method = self._method(request)
        if method == hdrs.METH_OPTIONS:
            method = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_METHOD, method)
        match = self._search(request, method)
        if isinstance(match, web.StreamResponse):
            return self._chains.at(request.path)
        return self._chains.of(match[0].spec)

    async def _through(
        self, route: Mounted, request: BoundedRequest, values: Mapping[str, str]
    ) -> web.StreamResponse:
        """The answer of a route, through the middleware around it."""
        chain = self._chains.of(route.spec)
        if chain is None:
            return await route.handle(request, values)
        try:
            if route.method == WEBSOCKET:
                return await chain.open(route.handle, request, values)
            return await chain.answer(route.handle, request, values)
        except BaseException as error:  # user code may raise anything
            if is_cancel(error) or isinstance(error, ConnectionError):
                raise
            return await route.broken(error, request, values)

    async def _unrouted(
        self, request: BoundedRequest, answer: web.StreamResponse
    ) -> web.StreamResponse:
        """The answer where no route is, by the flow's own handlers and through its middleware."""
        chain = self._chain_around(request) if self._chains.declared else None
        if chain is None:
            answer = await self._refused(request, answer)
        else:
            answer = await self._refused_through(chain, request, answer)
        if not request.content.is_eof():
            await linger(request, answer)
        return answer

    async def _refused_through(
        self, chain: Chain, request: BoundedRequest, answer: web.StreamResponse
    ) -> web.StreamResponse:
        async def handle(request: BoundedRequest, _values: Mapping[str, str]) -> web.StreamResponse:
            return await self._refused(request, answer)

        try:
            return await chain.answer(handle, request, NO_VALUES)
        except BaseException as error:  # user code may raise anything
            if is_cancel(error) or isinstance(error, ConnectionError) or request.answering:
                raise
            fault = fault_of(error)
            if fault is not None:
                return error_response(fault.status, fault.detail, fault.headers, close=fault.close)
            _LOGGER.exception("middleware failed at %s", request.path)
            return error_response(500, FAILED)

    async def _refused(
        self, request: BoundedRequest, answer: web.StreamResponse
    ) -> web.StreamResponse:
        """The answer where no route is, by the flow's own handler if it has one for it."""
        if answer.status < HTTPStatus.BAD_REQUEST:
            return answer
        try:
            error = HttpError(answer.status, HTTPStatus(answer.status).phrase, answer.headers)
            return await self.handlers.answer(error, request, NO_VALUES) or answer
        except HttpError as fault:
            return error_response(fault.status, fault.detail, fault.headers, close=fault.close)
        except Exception:
            if request.answering:
                raise
            _LOGGER.exception("what answers errors failed at %s %s", request.method, request.path)
            return error_response(500, FAILED)

    def _own(self, path: str, method: str) -> web.StreamResponse | None:
        """What the server answers itself."""
        if path == "/healthz":
            made: web.StreamResponse | None = (
                json_response(b'{"status":"ok"}') if self.ready else error_response(503, "stopping")
            )
        elif path in ("/", ""):
            made = _to_docs()
        else:
            made = self._docs.answer(path)
        if made is not None and method not in ("GET", "HEAD"):
            return _other_method(method, ("GET",))
        return made


def _to_docs() -> web.StreamResponse:
    """From the address that people open to what they can read; relative, for proxies' prefixes."""
    headers = {hdrs.LOCATION: "docs", hdrs.SERVER: SERVER_NAME}
    return web.Response(status=307, headers=headers)


def _other_method(method: str, methods: Sequence[str]) -> web.Response:
    """The answer to OPTIONS, and to methods that a path does not take."""
    known = set(methods) - {WEBSOCKET}
    if not known and method != hdrs.METH_OPTIONS:
        said = "this is a WebSocket; ask for it with ws://"
        return error_response(426, said, {hdrs.UPGRADE: "websocket"})
    known |= {hdrs.METH_GET} if WEBSOCKET in methods else set()
    allowed = sorted({*known, "OPTIONS", *(["HEAD"] if "GET" in methods else [])})
    headers: dict[str, str] = {hdrs.ALLOW: ", ".join(allowed)}
    if method == hdrs.METH_OPTIONS:
        return web.Response(status=204, headers={**headers, hdrs.SERVER: "buildflow"})
    return error_response(405, "Method Not Allowed", headers)
