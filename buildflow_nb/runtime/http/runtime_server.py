"""The runtime server of a run: how it is, what it declares, and a way to end it.

`/metrics` is what Prometheus reads, `/runtime/health` how the run is. All other paths are
BuildFlow's: GET `/runtime/status`,
`/runtime/snapshot`, `/flowstate`, POST `/runtime/drain` and `/runtime/stop`, and a page for people
at `/`. On a loopback address the guard keeps strange pages out; with a token, which any other
address must have, every request but the page's own needs `Authorization: Bearer TOKEN` (RFC 6750
section 2.1).
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping
from dataclasses import asdict
from html import escape
from http import HTTPStatus
from typing import Protocol

import msgspec
from aiohttp import hdrs, web

from buildflow_nb.core.status.health import HealthLine, health_of
from buildflow_nb.core.status.snapshot import FlowSnapshot
from buildflow_nb.runtime.http.errors import HttpError
from buildflow_nb.runtime.http.listener import HttpListener, linger
from buildflow_nb.runtime.http.request import BoundedRequest
from buildflow_nb.runtime.http.response import SERVER_NAME, error_response, json_response
from buildflow_nb.runtime.observability.exposition import (
    CONTENT_TYPE,
    CountedUnit,
    exposition,
    families,
)
from buildflow_nb.runtime.plan import RunPlan, RuntimeServerPlan

__all__ = ("RuntimeServer",)

DRAIN_S = 30.0
_PAGE = """<!doctype html><meta charset="utf-8"><title>{flow}</title>
<h1>{flow}</h1><p>{state}</p><p>{health}</p><pre>{rows}</pre>
<form method="post" action="/runtime/drain"><button>Drain</button></form>
<p><a href="/runtime/snapshot">snapshot</a> <a href="/flowstate">flowstate</a>
<a href="/metrics">metrics</a></p>"""

# In a page of somebody else's, a click on what is seen there could be one on "Drain" (CSP Level 3,
# section 6.4.2); `default-src` rules neither frames around nor forms.
_POLICY = "default-src 'none'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"


class Run(Protocol):
    """What is controlled; used on its own loop."""

    started_at: float
    plan: RunPlan

    @property
    def units(self) -> Mapping[str, CountedUnit]:
        """The processors at work, by id."""
        ...

    def snapshot(self) -> FlowSnapshot:
        """The run at this moment."""
        ...

    async def stop_all(self, *, drain: bool, timeout_s: float) -> None:
        """End the run."""
        ...


class RuntimeServer:
    """Serves one run on a port of its own; made and used on the run's loop."""

    def __init__(self, plan: RuntimeServerPlan, run: Run) -> None:
        self._plan = plan
        self._run = run
        self._listener = HttpListener(plan.host, plan.port, self._dispatch)
        self._ending: set[asyncio.Task[None]] = set()
        self._paths: Mapping[tuple[str, str], Callable[[], web.Response]] = {
            ("GET", "/"): self._page,
            ("GET", "/runtime/status"): self._status,
            ("GET", "/infra/status"): self._status,  # the run's too, as in BuildFlow
            ("GET", "/runtime/snapshot"): self._snapshot,
            ("GET", "/flowstate"): self._flowstate,
            ("GET", "/metrics"): self._metrics,
            ("GET", "/runtime/health"): self._health,
            ("POST", "/runtime/drain"): self._drain,
            ("POST", "/runtime/stop"): self._stop,
        }

    @property
    def address(self) -> str | None:
        """Where it listens, while it does."""
        return self._listener.address

    async def start(self) -> None:
        """Listen.

        Raises:
            ServeError: the port cannot be had.
        """
        await self._listener.start()

    async def stop(self) -> None:
        """Stop listening; an answer under way is finished."""
        await self._listener.stop(1.0)

    async def _dispatch(self, request: BoundedRequest) -> web.StreamResponse:
        refused = self._listener.guard.refusal(request)
        if refused is not None:
            return refused
        token = self._plan.token
        if token is not None and not _bears(request, token.reveal()):
            headers: dict[str, str] = {hdrs.WWW_AUTHENTICATE: "Bearer"}
            return error_response(401, "a bearer token is needed", headers, close=True)
        try:
            await request.take()  # nothing is in it, but who leaves in the middle asks for nothing
        except HttpError as fault:
            refused = error_response(fault.status, fault.detail, fault.headers, close=True)
        finally:
            request.let_go()
        if refused is not None:
            await linger(request, refused)
            return refused
        method = "GET" if request.method == "HEAD" else request.method
        answer = self._paths.get((method, request.path))
        if answer is not None:
            return answer()
        allowed = sorted(method for method, path in self._paths if path == request.path)
        if allowed:
            allow: dict[str, str] = {hdrs.ALLOW: ", ".join(allowed)}
            return error_response(405, "Method Not Allowed", allow, close=True)
        return error_response(HTTPStatus.NOT_FOUND, "Not Found", close=True)

    def _status(self) -> web.Response:
        return _json({"status": self._run.snapshot().state.name})

    def _snapshot(self) -> web.Response:
        return _json(self._run.snapshot())

    def _flowstate(self) -> web.Response:
        return _json(self._plan.flowstate())

    def _health(self) -> web.Response:
        line = self._how(self._run.snapshot())
        return _json({**asdict(line), "health": line.health.value, "said": line.said})

    def _how(self, shot: FlowSnapshot) -> HealthLine:
        """How the run is, by what its loop knows."""
        units = self._run.units

        def errors(processor_id: str) -> list[str]:
            return [failure.error for failure in units[processor_id].ledger.failures]

        return health_of(shot, thresholds=self._plan.thresholds, errors=errors)

    def _metrics(self) -> web.Response:
        run, plan = self._run, self._run.plan
        found = families(plan.flow_id, plan.env.stack, run.units, run.started_at)
        headers = {hdrs.SERVER: SERVER_NAME, hdrs.CONTENT_TYPE: CONTENT_TYPE}
        return web.Response(body=exposition(found), headers=headers)

    def _drain(self) -> web.Response:
        self._end(drain=True)
        return _json("Drain request sent.")

    def _stop(self) -> web.Response:
        self._end(drain=False)
        return _json("Stop request sent.")

    def _page(self) -> web.Response:
        shot = self._run.snapshot()
        rows = "\n".join(f"{p.kind} {p.processor_id}: {p.state.value}" for p in shot.processors)
        page = _PAGE.format(
            flow=escape(shot.flow_id),
            state=escape(shot.state.value),
            health=escape(self._how(shot).line),
            rows=escape(rows),
        )
        headers = {hdrs.SERVER: SERVER_NAME, "Content-Security-Policy": _POLICY}
        return web.Response(text=page, content_type="text/html", headers=headers)

    def _end(self, *, drain: bool) -> None:
        """Begin to end the run; whoever asks is answered at once."""
        task = asyncio.create_task(self._run.stop_all(drain=drain, timeout_s=DRAIN_S))
        self._ending.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._ending.discard)


def _bears(request: web.BaseRequest, token: str) -> bool:
    """Whether a request carries a token, by bytes and in the same time whatever it carries.

    The scheme is read in any case, with any number of spaces behind it (RFC 9110 section 11.4).
    """
    said = request.headers.getall(hdrs.AUTHORIZATION, ())
    scheme, _, carried = said[0].partition(" ") if len(said) == 1 else ("", "", "")
    given, wanted = (word.strip().encode(errors="surrogateescape") for word in (carried, token))
    return scheme.lower() == "bearer" and hmac.compare_digest(given, wanted)


def _json(value: object) -> web.Response:
    return json_response(msgspec.json.encode(value))
