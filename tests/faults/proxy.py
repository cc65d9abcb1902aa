"""An HTTP proxy of this machine that does what networks and services do on bad days.

`plan` looks at each request and says what happens to it: nothing (`None`: it is passed on), a
`Reply` instead of the service's own, or a `Cut` connection, before the request is passed on or
after, when the service has done the work and nobody hears of it.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

__all__ = ("Cut", "FaultProxy", "Reply", "Request")

UPSTREAM_S = 30.0


@dataclass(frozen=True)
class Request:
    """A request, as the plan sees it; `target` is the operation, for AWS's JSON protocols."""

    method: str
    path: str
    target: str
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer in the service's place."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """A connection that is closed without an answer."""

    passed_on: bool = False


Plan = Callable[[Request], Reply | Cut | None]


class FaultProxy:
    """Passes requests for its `url` on to another port of this machine."""

    def __init__(self, upstream_port: int, plan: Plan = lambda _: None) -> None:
        self.plan = plan
        self.upstream_port = upstream_port
        self.seen: list[Request] = []
        owner = self

        class Handler(_Handler):
            proxy = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        request = Request(self.command, self.path, target, body)
        self.proxy.seen.append(request)
        fault = self.proxy.plan(request)
        if isinstance(fault, Reply):
            self._answer(fault.status, fault.headers, fault.body)
            return
        if isinstance(fault, Cut) and not fault.passed_on:
            self.close_connection = True
            return
        try:
            status, headers, content = self._pass_on(body)
        except (OSError, http.client.HTTPException):  # the service itself is gone
            self.close_connection = True
            return
        if fault is not None:
            self.close_connection = True
            return
        self._answer(status, headers, content)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _pass_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPConnection("127.0.0.1", self.proxy.upstream_port, UPSTREAM_S)
        try:
            upstream.request(self.command, self.path, body, dict(self.headers))
            reply = upstream.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()
        finally:
            upstream.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        try:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True  # the client has gone, as clients do

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass
