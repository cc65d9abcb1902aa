"""The engine of this process: units on the run's loop, and one server for all routes.

aiohttp is loaded with the first route, and not before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.primitive import Env
from buildflow_nb.runtime.consumer.consumer import Consumer
from buildflow_nb.runtime.consumer.manual_retry import retry_alone
from buildflow_nb.runtime.observability.failures import RetryInput, RetryResult
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.plan import RunPlan
from buildflow_nb.runtime.scopes import Instances, Supply
from buildflow_nb.runtime.sinks.side_sink import PUSH_S, side_sinks
from buildflow_nb.runtime.trial import trial, trial_supply
from buildflow_nb.runtime.unit import Unit, not_ready

if TYPE_CHECKING:
    from buildflow_nb.runtime.http import Server

__all__ = ("InProcess",)


class InProcess:
    """The units of one run, in this process."""

    swap_timeout_s = 30.0
    open_s = 0.0
    start_s = 0.0

    def __init__(self, plan: RunPlan) -> None:
        self.address: str | None = None
        self._plan = plan
        self._server: Server | None = None
        self._shared = Instances()

    @property
    def trace_sampling(self) -> float:
        """The share of elements that is traced."""
        return self._plan.trace_sampling

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    async def open(self, specs: Sequence[ProcessorSpec]) -> None:
        """Listen, if any of these is a route."""
        if any(not isinstance(spec, ConsumerSpec) for spec in specs):
            await self.serve()

    async def unit(self, spec: ProcessorSpec, ledger: Ledger, on_end: Callable[[], None]) -> Unit:
        """A consumer, or a route on this run's server, which never ends by itself."""
        if isinstance(spec, ConsumerSpec):
            return Consumer(spec, self._supply(spec, ledger), ledger, on_end)
        from buildflow_nb.runtime.http import route_class

        server = self.server() if self._plan.port_is_shared else await self.serve()
        return route_class(spec)(spec, self._supply(spec, ledger), server, ledger)

    async def send(self, spec: ProcessorSpec, element: object, ledger: Ledger) -> list[object]:
        """Set a fresh instance up for it."""
        supply = trial_supply(spec, lambda: self._plan.env, self._shared)
        async with trial(spec, "send", supply, ledger.log) as run:
            return await run(element)

    async def retry(self, spec: ProcessorSpec, wanted: RetryInput, ledger: Ledger) -> RetryResult:
        """Set a fresh instance up for it, and open its sink."""
        if not isinstance(spec, ConsumerSpec):
            raise not_ready(spec, ledger)
        return await retry_alone(spec, wanted, self._supply(spec, ledger), ledger)

    async def refresh(self) -> None:
        """Put the middleware that is declared now around requests."""
        if self._server is not None:
            self._server.refresh()

    async def ending(self) -> None:
        """Nobody has to be told."""

    async def close(self, grace_s: float) -> None:
        """Stop listening; requests in flight have `grace_s` seconds."""
        if self._server is not None:
            await self._server.stop(grace_s)
            self._server = None

    async def serve(self, port: int | None = None) -> Server:
        """Listen, unless it does; on this port if it is another than the plan's by now.

        Raises:
            ServeError: the port cannot be had.
        """
        server = self.server()
        if server.address is None:
            self.address = await server.start(port)
        return server

    def server(self) -> Server:
        """What answers requests, whether it listens already or not."""
        if self._server is None:
            from buildflow_nb.runtime.http import Server
            from buildflow_nb.runtime.http.request import HELD_LIMIT

            plan = self._plan
            most = plan.body_bytes or HELD_LIMIT
            self._server = Server(
                plan.host,
                plan.port,
                title=plan.flow_id,
                body_bytes=most,
                hooks=plan.hooks,
                port_is_shared=plan.port_is_shared,
            )
        return self._server

    async def unready(self) -> None:
        """Let `/healthz` answer 503 from now on."""
        if self._server is not None:
            self._server.ready = False

    def _supply(self, spec: ProcessorSpec, ledger: Ledger) -> Supply:
        """What a processor's dependencies are made of; who asks over HTTP waits a while."""
        env, consumes = self._env_of(spec.id), isinstance(spec, ConsumerSpec)
        retries = getattr(spec.options, "retries", 0)
        wait_s = None if consumes else PUSH_S
        return Supply(env, self._shared, side_sinks(env, ledger, retries, wait_s=wait_s))

    def _env_of(self, processor_id: str) -> Env:
        """The environment of one processor, with a folder for positions that is its own."""
        env = self._plan.env
        if env.positions is None:
            return env
        names = (quote(name, safe="") for name in (self._plan.flow_id, processor_id))
        return replace(env, positions=env.positions.joinpath(*names))
