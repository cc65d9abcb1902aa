"""The server of the page: loopback only, for whoever has the link with its token.

Whoever is let in can do what the notebook can. The token (256 random bits) stands in the link's
fragment, which no browser sends anywhere (RFC 9110 section 7.1), and is kept by the page for its
own origin alone; it is the first message of the page's WebSocket, compared in constant time. It is
no cookie, since cookies know no ports: each server of this machine would be sent it. The WebSocket
takes no origin but its own, so that a page of another port cannot open it (RFC 6455 section 10.2);
names that are not this machine's are refused as the runtime server does. The page itself holds no
secret. It runs on a thread and a loop of its own: a flow whose loop is held up can still be looked
at and stopped.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import threading
from collections.abc import Awaitable, Callable
from importlib.resources import files

from aiohttp import WSMsgType, hdrs, web

from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.cockpit.page.viewer import MESSAGE_LIMIT, Viewer
from buildflow_nb.cockpit.views.markup import style_sheet
from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import ServeError
from buildflow_nb.runtime.http.guard import Guard

__all__ = ("PageServer",)

_LOGGER = logging.getLogger(__name__)
HOST = "127.0.0.1"
MOST_PAGES = 32  # open at a time
START_S = 10.0
STOP_S = 5.0
KNOCK_S = 5.0  # for a page to say the token
REFUSED = 4403  # the code that a WebSocket is closed with whose token is wrong
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>BuildFlow</title>
<style>{style}</style></head><body class="bf-page"><main id="page"></main>
<noscript>This page needs JavaScript; %buildflow status shows the same in a cell.</noscript>
<script type="module" src="/page.js"></script></body></html>"""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PageServer:
    """Serves one cockpit; started on demand, on any free port or on `port`."""

    def __init__(self, cockpit: Cockpit, port: int = 0) -> None:
        self._cockpit = cockpit
        self._port = port
        self._token = Secret(secrets.token_urlsafe(32))
        self._guard = Guard(HOST)
        self._open = 0
        self._address = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Where it listens, without the token; "" while it does not."""
        return self._address

    @property
    def link(self) -> str:
        """What a browser opens; whoever has it can do what the notebook can."""
        return f"{self._address}/#{self._token.reveal()}"

    def start(self) -> None:
        """Listen; nothing where it does already.

        Raises:
            ServeError: the port cannot be had.
        """
        if self._thread is not None and self._thread.is_alive():
            return
        began: threading.Event = threading.Event()
        failed: list[BaseException] = []
        self._thread = threading.Thread(
            target=self._run, args=(began, failed), name="buildflow page", daemon=True
        )
        self._thread.start()
        if not began.wait(START_S) or failed:
            why = failed[0] if failed else "it took too long"
            msg = f"the page cannot be served at {HOST}:{self._port}: {why}"
            raise ServeError(msg)

    def close(self) -> None:
        """Let go of all pages and of the port."""
        loop, end = self._loop, self._end
        if loop is not None and end is not None and not loop.is_closed():
            loop.call_soon_threadsafe(end.set)
        if self._thread is not None:
            self._thread.join(STOP_S)

    def _run(self, began: threading.Event, failed: list[BaseException]) -> None:
        try:
            asyncio.run(self._serve(began))
        except BaseException as error:  # noqa: BLE001  (told to whoever started it)
            failed.append(error)
        finally:
            self._address = ""
            began.set()

    async def _serve(self, began: threading.Event) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(middlewares=[self._keep])
        app.router.add_get("/", self._page)
        app.router.add_get("/socket", self._socket)
        for name in ("page.js", "view.js"):
            app.router.add_get(f"/{name}", _script(name))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, HOST, self._port)
            await site.start()
            self._address = f"http://{HOST}:{runner.addresses[0][1]}"
            began.set()
            await self._end.wait()
        finally:
            await runner.cleanup()

    @web.middleware
    async def _keep(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer nobody who came by a strange name, or from a strange page."""
        refused = self._guard.refusal(request)
        return await handler(request) if refused is None else refused

    def _knows(self, token: str) -> bool:
        wanted = self._token.reveal().encode()
        return hmac.compare_digest(token.encode("utf-8", "replace"), wanted)

    async def _page(self, _request: web.Request) -> web.Response:
        text = _PAGE.format(style=style_sheet())
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get(hdrs.ORIGIN) != f"http://{request.host}":
            return web.Response(status=403, text="a page of this address alone opens its socket\n")
        if self._open >= MOST_PAGES:
            return web.Response(status=503, text=f"{MOST_PAGES} pages are open; close one\n")
        socket = web.WebSocketResponse(heartbeat=20.0, max_msg_size=MESSAGE_LIMIT)
        await socket.prepare(request)
        self._open += 1
        try:
            if await self._knocked(socket):
                await Viewer(self._cockpit, request, socket).serve()
            else:
                await socket.close(code=REFUSED)
        finally:
            self._open -= 1
        return socket

    async def _knocked(self, socket: web.WebSocketResponse) -> bool:
        """Whether the page says the token."""
        try:
            message = await socket.receive(KNOCK_S)
        except TimeoutError:
            return False
        return message.type is WSMsgType.TEXT and self._knows(message.data)


def _script(name: str) -> Handler:
    async def handle(_request: web.Request) -> web.Response:
        text = files("buildflow_nb.cockpit").joinpath("static", name).read_text("utf-8")
        return web.Response(text=text, content_type="text/javascript", headers=_HEADERS)

    return handle
