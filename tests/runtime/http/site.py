"""A real server on a free port, with routes made of plain functions, and a client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from multidict import CIMultiDict

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.declaring.declare import collector_spec, endpoint_spec
from buildflow_nb.core.declaring.flow_spec import ServiceSpec
from buildflow_nb.core.options import ServiceOptions
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.status.snapshot import FlowSnapshot, State
from buildflow_nb.runtime.concurrency.clock import SYSTEM
from buildflow_nb.runtime.http import HttpRoute, Server, route_class
from buildflow_nb.runtime.http.runtime_server import RuntimeServer
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.plan import RunPlan, RuntimeServerPlan
from tests.fakes import supply

PATIENCE_S = 20.0  # real seconds after which a test gives up; nothing waits that long


@dataclass
class Reply:
    status: int
    headers: CIMultiDict[str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def detail(self):
        return self.json["detail"]

    @property
    def faults(self):
        return [(one["loc"], one["type"]) for one in self.detail]


@dataclass
class Site:
    server: Server
    session: aiohttp.ClientSession
    routes: list[HttpRoute] = field(default_factory=list)
    events: list = field(default_factory=list)

    @property
    def held(self) -> int:
        """Bytes of bodies that requests hold."""
        return self.server.held

    def spec(self, function, route="/x", method="POST", base="/", **options):
        service = ServiceSpec("shop", base, ServiceOptions.parse(options, "shop"))
        return endpoint_spec(function, route, method, service)

    async def endpoint(self, function, route="/x", method="POST", **options):
        return await self.start(self.spec(function, route, method, **options))

    async def collector(self, function, sink, route="/x", method="POST", **words):
        return await self.start(collector_spec(function, route, method, sink, words))

    def unit(self, spec):
        ledger = Ledger(spec.id, SYSTEM, self.events.append)
        return route_class(spec)(spec, supply(ledger), self.server, ledger)

    async def start(self, spec):
        unit = self.unit(spec)
        await unit.start()
        self.routes.append(unit)
        return unit

    async def ask(self, method, path="/x", **words) -> Reply:
        words.setdefault("allow_redirects", False)
        async with self.session.request(method, path, **words) as found:
            return Reply(found.status, CIMultiDict(found.headers), await found.read())

    async def post(self, value=None, path="/x", **words) -> Reply:
        kind = {"Content-Type": "application/json"}
        return await self.ask("POST", path, data=json.dumps(value).encode(), headers=kind, **words)

    async def get(self, path="/x", **words) -> Reply:
        return await self.ask("GET", path, **words)

    async def raw(self, sent: bytes) -> bytes:
        """What the server answers to these bytes, until it closes the connection."""
        host, port = self.server.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(sent)
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


def serve(
    scenario: Callable[[Site], Awaitable[None]], patience_s: float | None = PATIENCE_S, **words
) -> None:
    """Run a scenario; everything must have ended after it."""

    async def main() -> None:
        server = Server(port=0, **words)
        address = await server.start()
        async with asyncio.timeout(patience_s), aiohttp.ClientSession(address) as session:
            site = Site(server, session)
            try:
                await scenario(site)
            finally:
                for unit in site.routes:
                    await unit.stop(drain=False, timeout_s=1.0)
                await server.stop(0.1)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            await asyncio.wait(left, timeout=PATIENCE_S)
        assert all(task.done() for task in left), left

    asyncio.run(main())


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not so():  # noqa: ASYNC110  (there is nothing to wait on)
            await asyncio.sleep(0.001)


class FakeRun:
    """A run that notes who ends it."""

    def __init__(self) -> None:
        self.ended: list[bool] = []
        self.plan = RunPlan("shop", Env())
        self.started_at = 0.0
        self.units: dict[str, object] = {}

    def snapshot(self) -> FlowSnapshot:
        return FlowSnapshot("shop", "local", State.RUNNING, 0.0, 0.0, None, ())

    async def stop_all(self, *, drain: bool, timeout_s: float) -> None:
        self.ended.append(drain)


@asynccontextmanager
async def controlled(token: str | None = None):
    """A runtime server, the run that it controls, and its address."""
    run = FakeRun()
    secret = None if token is None else Secret(token)
    server = RuntimeServer(RuntimeServerPlan(dict, port=0, token=secret), run)
    await server.start()
    try:
        yield run, server.address
    finally:
        await server.stop()
