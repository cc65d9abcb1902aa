"""Code of a route that is swapped under load, and routes that replace each other."""

from __future__ import annotations

import asyncio

import pytest

from buildflow_nb.core.declaring.declare import collector_spec
from buildflow_nb.core.errors import DeclarationError
from tests.fakes import FakeSink
from tests.runtime.http.shop import EVENTS, NO_DATABASE, Order, other
from tests.runtime.http.site import Site, serve, until


def test_a_swap_under_load_loses_and_mixes_nothing():
    class First:
        alive = False

        async def setup(self) -> None:
            First.alive = True

        async def process(self, n: int) -> str:
            await asyncio.sleep(0)
            assert First.alive
            return "first"

        async def teardown(self) -> None:
            First.alive = False

    def second(n: int) -> str:
        return "second"

    First.__name__ = second.__name__ = "shop"

    async def scenario(site: Site):
        unit = await site.endpoint(First, "/x", "GET")
        specs = [site.spec(First, "/x", "GET"), site.spec(second, "/x", "GET")]
        sent, ended = 0, False
        seen: list[tuple[int, str]] = []

        async def ask() -> None:
            nonlocal sent
            while not ended:
                sent += 1
                reply = await site.get("/x?n=1")
                seen.append((reply.status, reply.json))

        askers = [asyncio.create_task(ask()) for _ in range(8)]
        # To the second and back would have two instances of First share one flag: end on it.
        await until(lambda: len(seen) > 50)
        assert await unit.swap(specs[1])
        await until(lambda: len(seen) > 150)
        ended = True
        await asyncio.gather(*askers)
        assert len(seen) == sent == unit.snapshot().elements_in == unit.snapshot().elements_out
        assert {status for status, _ in seen} == {200}
        assert {text for _, text in seen} == {"first", "second"}
        assert seen[-1] == (200, "second")
        assert unit.snapshot().version == 2
        await until(lambda: not First.alive)

    serve(scenario)


def test_a_swap_waits_with_the_teardown_for_requests_of_the_old_code():
    async def scenario(site: Site):
        door = asyncio.Event()
        EVENTS.clear()

        class Old:
            async def process(self, n: int) -> str:
                await door.wait()
                return "old"

            async def teardown(self) -> None:
                EVENTS.append("teardown")

        def new(n: int) -> str:
            return "new"

        Old.__name__ = new.__name__ = "shop"
        unit = await site.endpoint(Old, "/x", "GET")
        asked = asyncio.create_task(site.get("/x?n=1"))
        await until(lambda: unit.snapshot().in_flight == 1)
        assert await unit.swap(site.spec(new, "/x", "GET"))
        assert (await site.get("/x?n=1")).json == "new"
        assert not EVENTS
        door.set()
        assert (await asked).json == "old"
        await until(lambda: EVENTS == ["teardown"])

    serve(scenario)


def test_a_swap_may_change_route_method_and_parameters():
    async def shop(n: int) -> int:
        return n

    async def scenario(site: Site):
        unit = await site.endpoint(shop, "/a/{n}", "GET")
        await site.endpoint(other, "/other", "GET")
        assert (await site.get("/a/1")).json == 1

        async def changed(order: Order) -> int:
            return order.id

        changed.__name__ = "shop"
        assert await unit.swap(site.spec(changed, "/b", "POST"))
        assert (await site.get("/a/1")).status == 404
        assert (await site.post({"id": 5}, "/b")).json == 5
        with pytest.raises(DeclarationError, match="'shop' and 'other' both serve GET /other"):
            await unit.swap(_renamed(site, "/other"))
        assert (await site.post({"id": 5}, "/b")).json == 5
        assert unit.spec.route == "/b"

    serve(scenario)


def _renamed(site: Site, route: str):
    async def shop() -> str:
        return ""

    return site.spec(shop, route, "GET")


def test_a_swap_whose_setup_fails_leaves_the_old_code():
    async def scenario(site: Site):
        async def shop(order: Order) -> int:
            return order.id

        class Bad:
            def setup(self) -> None:
                raise NO_DATABASE

            def process(self, order: Order) -> int:
                return 0

        Bad.__name__ = "shop"
        unit = await site.endpoint(shop)
        with pytest.raises(ValueError, match="no database"):
            await unit.swap(site.spec(Bad))
        assert (await site.post({"id": 5})).json == 5

    serve(scenario)


def test_a_collector_with_another_sink_needs_a_restart():
    async def keep(order: Order) -> Order:
        return order

    async def scenario(site: Site):
        sink = FakeSink()
        unit = await site.collector(keep, sink)
        assert await unit.swap(collector_spec(keep, "/y", "PUT", sink, {}))
        assert (await site.ask("PUT", "/y", json={"id": 1})).status == 200
        assert sink.tape.opened == 1
        assert not await unit.swap(collector_spec(keep, "/y", "PUT", FakeSink(), {}))
        assert not await unit.swap(collector_spec(keep, "/y", "PUT", sink, {"retries": 7}))
        assert not await unit.swap(site.spec(keep))

    serve(scenario)


def test_two_units_at_one_place_are_refused():
    async def shop() -> str:
        return "shop"

    async def scenario(site: Site):
        await site.endpoint(shop, "/x", "GET")
        with pytest.raises(DeclarationError, match="'other' and 'shop' both serve GET /x"):
            await site.endpoint(other, "/x", "GET")
        assert (await site.get()).json == "shop"

    serve(scenario)
