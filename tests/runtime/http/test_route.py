"""The unit: its life and its limits."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time

import pytest
from aiohttp import web

from buildflow_nb.core.errors import ConversionError, UsageError
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.http.concurrency_limit import LINE
from buildflow_nb.runtime.observability.logs import captured, current
from tests.fakes import FakeSink
from tests.runtime.http.shop import EVENTS, Order, Shop, other
from tests.runtime.http.site import Site, serve, until


class BadSetup:
    def setup(self) -> None:
        raise SystemExit(1)

    async def process(self, order: Order) -> int:
        return 1


class BadTeardown:
    async def process(self, order: Order) -> int:
        return 1

    async def teardown(self) -> None:
        raise SystemExit(1)


def test_a_class_is_made_once_with_its_hooks():
    async def scenario(site: Site):
        EVENTS.clear()
        Shop.made = 0
        unit = await site.endpoint(Shop)
        assert [(await site.post({"id": i})).json for i in (1, 2)] == [2, 4]
        assert (Shop.made, EVENTS) == (1, ["setup"])
        await unit.stop(drain=True, timeout_s=1)
        assert EVENTS == ["setup", "teardown"]
        assert [event.state for event in site.events] == [
            State.STARTING, State.RUNNING, State.DRAINING, State.STOPPED,
        ]  # fmt: skip

    serve(scenario)


def test_a_setup_that_exits_fails_the_start_alone():
    async def scenario(site: Site):
        with pytest.raises(RuntimeError, match="SystemExit"):
            await site.endpoint(BadSetup)
        refused = await site.post({"id": 1})
        assert (refused.status, refused.detail) == (503, "it could not be set up")
        unit = await site.endpoint(BadTeardown)
        await unit.stop(drain=True, timeout_s=1)
        assert "SystemExit" in unit.ledger.log.lines()[-1].text
        assert unit.ledger.state is State.STOPPED

    serve(scenario)


def test_sync_functions_do_not_hold_the_loop():
    door = threading.Event()

    def slow(n: int) -> str:
        door.wait(10)
        return threading.current_thread().name

    async def quick() -> str:
        return "quick"

    async def scenario(site: Site):
        await site.endpoint(slow, "/slow", "GET")
        await site.endpoint(quick, "/quick", "GET")
        asked = [asyncio.create_task(site.get(f"/slow?n={i}")) for i in range(5)]
        assert (await site.get("/quick")).json == "quick"
        door.set()
        names = {(await reply).json for reply in asked}
        assert all(name.startswith("endpoint-slow-") for name in names)

    serve(scenario)


def test_a_function_that_never_returns_holds_neither_stop_nor_others():
    def stuck() -> str:
        time.sleep(3600)
        return ""

    async def hangs() -> str:
        await asyncio.Event().wait()
        return ""

    async def scenario(site: Site):
        one = await site.endpoint(stuck, "/stuck", "GET")
        two = await site.endpoint(hangs, "/hangs", "GET")
        asked = [asyncio.create_task(site.get(path)) for path in ("/stuck", "/hangs")]
        await until(lambda: one.snapshot().in_flight == two.snapshot().in_flight == 1)
        await one.stop(drain=True, timeout_s=0.05)
        await two.stop(drain=False, timeout_s=5)
        for reply in await asyncio.gather(*asked):
            assert (reply.status, reply.detail) == (503, "stopping")

    serve(scenario)


def test_the_server_stops_under_a_request_that_never_ends():
    async def hangs() -> str:
        await asyncio.Event().wait()
        return ""

    async def scenario(site: Site):
        unit = await site.endpoint(hangs, "/x", "GET")
        asked = asyncio.create_task(site.get())
        await until(lambda: unit.snapshot().in_flight == 1)
        await site.server.stop(0.05)
        with pytest.raises(OSError):  # noqa: PT011  (aiohttp's ClientOSError or disconnected)
            await _as_os_error(asked)
        assert unit.snapshot().in_flight == 0

    serve(scenario)


async def _as_os_error(task):
    try:
        await task
    except Exception as error:
        raise OSError from error


def test_requests_in_flight_finish_within_the_grace():
    async def scenario(site: Site):
        door = asyncio.Event()

        async def waits() -> str:
            await door.wait()
            return "done"

        unit = await site.endpoint(waits, "/x", "GET")
        asked = asyncio.create_task(site.get())
        await until(lambda: unit.snapshot().in_flight == 1)
        stopping = asyncio.create_task(site.server.stop(10))
        await asyncio.sleep(0)
        door.set()
        assert (await asked).json == "done"
        await stopping

    serve(scenario)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_no_more_than_the_limit_run_at_once(asynchronous):
    running, most = 0, 0

    async def scenario(site: Site):
        door, sync_door = asyncio.Event(), threading.Event()

        async def waits() -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await door.wait()
            running -= 1
            return 1

        def waits_sync() -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            sync_door.wait(10)
            running -= 1
            return 1

        function = waits if asynchronous else waits_sync
        unit = await site.endpoint(function, "/x", "GET", max_concurrent_queries=2, num_replicas=2)
        asked = [asyncio.create_task(site.get()) for _ in range(4 + LINE * 4)]
        await until(lambda: unit.snapshot().in_flight == len(asked))
        await until(lambda: running == 4)
        turned_away = await site.get()
        assert turned_away.status == 503
        assert turned_away.headers["Retry-After"] == "1"
        assert "busy" in turned_away.detail
        door.set()
        sync_door.set()
        assert {reply.status for reply in await asyncio.gather(*asked)} == {200}
        assert most == 4

    serve(scenario)


def test_several_services_share_a_port():
    async def scenario(site: Site):
        await site.start(site.spec(other, "/x", "GET", base="/one"))

        async def second() -> str:
            return "second"

        await site.start(site.spec(second, "/x", "GET", base="/two/"))
        assert (await site.get("/one/x")).json == "other"
        assert (await site.get("/two/x")).json == "second"

    serve(scenario)


def test_send_runs_the_code_without_http():
    async def price(n: int, order: Order, rate: float = 2.0) -> float:
        return n * order.id * rate

    async def keep(order: Order) -> list[Order]:
        return [order, order]

    async def bare(order: Order) -> int:
        return order.id

    async def scenario(site: Site):
        unit = site.unit(site.spec(price, "/x/{n}"))
        with pytest.raises(UsageError, match="does not run"):
            await unit.send(1)
        await unit.start()
        site.routes.append(unit)
        assert await unit.send({"n": "3", "order": {"id": 2}}) == [12.0]
        assert await unit.send({"n": 3, "order": Order(2), "rate": 1}) == [6.0]
        with pytest.raises(ConversionError, match="id: expected int"):
            await unit.send({"n": 3, "order": {"id": "x"}})
        with pytest.raises(UsageError, match="takes 'n', 'order', 'rate'; send them as a dict"):
            await unit.send(3)
        sink = FakeSink()
        collector = await site.collector(keep, sink, "/keep")
        assert await collector.send({"id": 1}) == [Order(1), Order(1)]
        assert not sink.tape.pushed
        one = await site.endpoint(bare, "/bare")
        assert await one.send({"id": 4}) == [4]
        assert await one.send({"order": {"id": 4}}) == [4]

    serve(scenario)


def test_send_raises_what_the_code_raises():
    async def exits(n: int) -> None:
        raise SystemExit(2)

    async def scenario(site: Site):
        unit = await site.endpoint(exits, "/x", "GET")
        with pytest.raises(RuntimeError, match="SystemExit: 2"):
            await unit.send(1)
        assert current.get() is None

    serve(scenario)


def test_what_code_prints_and_logs_goes_to_its_ring():
    async def says(n: int) -> int:
        print("async print")  # noqa: T201
        logging.getLogger("shop").warning("async log")
        return n

    def says_sync(n: int) -> int:
        print("sync print")  # noqa: T201
        return n

    async def scenario(site: Site):
        one = await site.endpoint(says, "/a", "GET")
        two = await site.endpoint(says_sync, "/b", "GET")
        with captured():
            await site.get("/a?n=1")
            await site.get("/b?n=1")
        assert [line.text for line in one.ledger.log.lines()] == ["async print", "async log"]
        assert [line.text for line in two.ledger.log.lines()] == ["sync print"]

    serve(scenario)


def test_requests_do_not_share_context():
    seen = contextvars.ContextVar("seen", default=0)

    async def counts() -> int:
        seen.set(seen.get() + 1)
        return seen.get()

    async def scenario(site: Site):
        await site.endpoint(counts, "/x", "GET")
        assert [(await site.get()).json for _ in range(3)] == [1, 1, 1]

    serve(scenario)


def test_a_client_that_goes_away_does_not_stop_its_request():
    async def scenario(site: Site):
        ended = []

        async def waits(request: web.Request) -> str:
            await until(lambda: request.transport is None)  # it is gone, and we go on
            ended.append(True)
            return "done"

        unit = await site.endpoint(waits, "/x", "GET")
        asked = asyncio.create_task(site.get())
        await until(lambda: unit.snapshot().in_flight == 1)
        asked.cancel()
        await until(lambda: unit.snapshot().in_flight == 0)
        assert ended == [True]
        assert not unit.ledger.failures

    serve(scenario)


def test_the_snapshot_counts_requests_codes_and_latency():
    async def takes(order: Order) -> int:
        return order.id // (order.id - 1)

    async def scenario(site: Site):
        unit = await site.endpoint(takes)
        for value in ({"id": 3}, {"id": 1}, {"id": "x"}, {"id": 5}):
            await site.post(value)
        found = unit.snapshot()
        assert (found.elements_in, found.elements_out, found.failed) == (4, 2, 1)
        assert found.codes == ((200, 2), (422, 1), (500, 1))
        assert found.p50_s is not None
        assert (found.kind, found.source) == ("endpoint", "POST /x")
        last = unit.ledger.passages[-1]
        assert (last.element, last.results) == (Order(5), (1,))
        assert unit.ledger.failures[0].element == Order(1)

    serve(scenario)
