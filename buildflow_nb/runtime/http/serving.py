"""The HTTP side of a run: one server for all routes, started with the first of them.

aiohttp is loaded only here, and only when something is served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildflow_nb.core.declaring.flow_spec import CollectorSpec, EndpointSpec
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.logs import LogRing
from buildflow_nb.runtime.unit import Unit

if TYPE_CHECKING:
    from buildflow_nb.core.primitive import Env
    from buildflow_nb.runtime.http import Server

__all__ = ("Serving", "send_to_route")


class Serving:
    """The server of a run, or none yet."""

    def __init__(
        self, title: str, host: str, port: int, env: Env, body_bytes: int | None = None
    ) -> None:
        self._title = title
        self._host = host
        self._port = port
        self._env = env
        self._body_bytes = body_bytes
        self._server: Server | None = None
        self.address: str | None = None

    async def start(self) -> None:
        """Listen, if that has not begun.

        Raises:
            ServeError: the port cannot be had.
        """
        if self._server is None:
            from buildflow_nb.runtime.http import Server
            from buildflow_nb.runtime.http.held import HELD_LIMIT

            most = self._body_bytes or HELD_LIMIT
            server = Server(self._host, self._port, title=self._title, body_bytes=most)
            self.address = await server.start()
            self._server = server

    async def unit(self, spec: CollectorSpec | EndpointSpec, ledger: Ledger) -> Unit:
        """The unit of a route, on this server."""
        from buildflow_nb.runtime.http import HttpRoute

        await self.start()
        assert self._server is not None  # noqa: S101  (started right before)
        return HttpRoute(spec, self._env, self._server, ledger)

    async def stop(self, grace_s: float) -> None:
        """Stop listening; requests in flight have `grace_s` seconds."""
        if self._server is not None:
            await self._server.stop(grace_s)
            self._server = None


async def send_to_route(spec: CollectorSpec | EndpointSpec, element: object) -> list[object]:
    """Set a route's code up, run one element through it, tear it down; nothing is served.

    Raises:
        Exception: whatever the user's code raised.
    """
    from buildflow_nb.runtime.http.code import RouteCode
    from buildflow_nb.runtime.http.collector import flatten
    from buildflow_nb.runtime.http.thread_pool import ThreadPool

    ring = LogRing()
    threads = ThreadPool(f"send {spec.id}", ring, 1)
    try:
        code = RouteCode(spec, threads, ring)
        await code.set_up()
        try:
            result = await code.call(code.binding.from_element(element))
        finally:
            await code.tear_down()
    finally:
        threads.close()
    return list(flatten(result)) if isinstance(spec, CollectorSpec) else [result]
