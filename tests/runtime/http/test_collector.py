"""A collector answers when its elements are stored, and says why when they are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from buildflow_nb.core.errors import (
    ConversionError,
    PartialPushError,
    PermanentError,
    TemporaryError,
)
from buildflow_nb.core.primitive import Wire
from buildflow_nb.core.status.snapshot import State
from tests.fakes import FakeSink
from tests.runtime.http.site import Site, serve, until


@dataclass
class Order:
    id: int


async def same(order: Order) -> Order:
    return order


async def none(order: Order) -> Order | None:
    return None


async def many(order: Order) -> list[Order]:
    return [Order(order.id), Order(order.id + 1)]


def gen(order: Order):
    yield Order(order.id)
    yield None
    yield Order(order.id + 1)


async def wrong(order: Order) -> Order:
    return 7  # type: ignore[return-value]


BOOM = ValueError("boom")


async def boom(order: Order) -> Order:
    raise BOOM


@dataclass(eq=False)
class SlowToOpen(FakeSink):
    """Cannot be opened the first times."""

    opening: list[Exception] = field(default_factory=list)

    @asynccontextmanager
    async def sink(self, env, element) -> AsyncIterator[FakeSink]:
        if self.opening:
            raise self.opening.pop(0)
        async with FakeSink.sink(self, env, element) as made:
            yield made


@pytest.mark.parametrize(
    ("function", "stored", "dropped"),
    [
        (same, [Order(1)], 0),
        (none, [], 1),
        (many, [Order(1), Order(2)], 0),
        (gen, [Order(1), Order(2)], 0),
    ],
)
def test_results_are_flattened_and_stored_before_the_answer(function, stored, dropped):
    async def scenario(site: Site):
        sink = FakeSink()
        unit = await site.collector(function, sink)
        reply = await site.post({"id": 1})
        assert (reply.status, reply.json) == (200, {"success": True})
        assert sink.tape.pushed == stored
        snapshot = unit.snapshot()
        assert (snapshot.elements_in, snapshot.elements_out) == (1, len(stored))
        assert snapshot.dropped == dropped
        (passage,) = unit.ledger.passages
        assert (passage.element, passage.results) == (Order(1), tuple(stored))

    serve(scenario)


def test_elements_are_encoded_for_the_sink():
    async def scenario(site: Site):
        sink = FakeSink(sink_wire=Wire.RECORD)
        await site.collector(same, sink)
        await site.post({"id": 1})
        assert sink.tape.pushed == [{"id": 1}]

    serve(scenario)


def test_a_collector_without_a_sink_just_answers():
    async def scenario(site: Site):
        await site.collector(same, None)
        assert (await site.post({"id": 1})).json == {"success": True}

    serve(scenario)


def test_concurrent_requests_share_a_push():
    async def scenario(site: Site):
        door = asyncio.Event()
        sink = FakeSink(gate=lambda: door)
        unit = await site.collector(same, sink)
        asked = [asyncio.create_task(site.post({"id": i})) for i in range(50)]
        await until(lambda: unit.snapshot().in_flight == 50)
        door.set()
        assert {reply.status for reply in await asyncio.gather(*asked)} == {200}
        assert len(sink.tape.pushes) <= 3
        assert sorted(order.id for order in sink.tape.pushed) == list(range(50))

    serve(scenario)


def test_a_passing_fault_of_the_sink_is_waited_out():
    async def scenario(site: Site):
        sink = FakeSink(fails=[TemporaryError("away")])
        unit = await site.collector(same, sink, retries=1)
        assert (await site.post({"id": 1})).status == 200
        states = [(event.state, event.reason) for event in site.events]
        assert (State.WAITING, "away") in states
        assert unit.ledger.state is State.RUNNING

    serve(scenario)


def test_a_sink_that_stays_away_is_a_503():
    async def scenario(site: Site):
        sink = FakeSink(fails=[TemporaryError("queue is away")] * 2)
        unit = await site.collector(same, sink, retries=1)
        reply = await site.post({"id": 1})
        assert reply.status == 503
        assert "queue is away" in reply.detail
        (failure,) = unit.ledger.failures
        assert (failure.element, failure.fate, failure.tries) == (Order(1), "dropped", 2)
        assert (await site.post({"id": 2})).status == 200

    serve(scenario)


def test_an_element_that_the_sink_refuses_fails_alone():
    async def scenario(site: Site):
        sink = FakeSink(refuse=lambda order: order.id == 2)
        unit = await site.collector(same, sink, retries=0)
        replies = await asyncio.gather(*(site.post({"id": i}) for i in range(4)))
        assert [reply.status for reply in replies] == [200, 200, 500, 200]
        assert replies[2].json == {"detail": "Internal Server Error"}
        assert [failure.error for failure in unit.ledger.failures] == ["ValueError: refused"]

    serve(scenario)


def test_an_element_that_cannot_become_a_row_is_a_422():
    async def scenario(site: Site):
        refused = PartialPushError("one", {0: ConversionError("id: too large")})
        sink = FakeSink(fails=[refused])
        unit = await site.collector(same, sink)
        reply = await site.post({"id": 1})
        assert (reply.status, reply.detail) == (422, "the sink refuses the element: id: too large")
        assert len(unit.ledger.failures) == 1

    serve(scenario)


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (boom, "ValueError: boom"),
        (wrong, "ConversionError: collector 'wrong' returned int, not Order"),
    ],
)
def test_what_fails_is_dead_lettered(function, error):
    async def scenario(site: Site):
        sink, dead = FakeSink(), FakeSink(sink_wire=Wire.RECORD)
        unit = await site.collector(function, sink, dead_letter=dead)
        reply = await site.post({"id": 1})
        assert (reply.status, reply.json) == (500, {"detail": "Internal Server Error"})
        assert not sink.tape.pushed
        (letter,) = dead.tape.pushed
        assert set(letter) == {
            "processor_id", "element", "error", "traceback", "tries", "at", "origin",
        }  # fmt: skip
        assert (letter["processor_id"], letter["error"]) == (function.__name__, error)
        assert (letter["element"], letter["origin"]) == ('{"id":1}', "POST /x")
        assert [failure.fate for failure in unit.ledger.failures] == ["dead-lettered"]

    serve(scenario)


def test_a_refused_element_is_dead_lettered_too():
    async def scenario(site: Site):
        dead = FakeSink(sink_wire=Wire.RECORD)
        sink = FakeSink(refuse=lambda order: True)
        await site.collector(same, sink, dead_letter=dead, retries=0)
        assert (await site.post({"id": 1})).status == 500
        assert len(dead.tape.pushed) == 1

    serve(scenario)


def test_a_sink_that_does_not_exist_yet_is_waited_for():
    async def scenario(site: Site):
        closed = TemporaryError("queue 'orders' does not exist")
        sink = SlowToOpen(opening=[closed] * 2)
        unit = await site.collector(same, sink)
        assert unit.ledger.state is State.WAITING
        assert unit.ledger.reason == "queue 'orders' does not exist"
        reply = await site.post({"id": 1})
        assert reply.status == 503
        assert reply.detail == "waiting: queue 'orders' does not exist"
        assert not unit.ledger.failures
        await until(lambda: unit.ledger.state is State.RUNNING)
        assert (await site.post({"id": 1})).status == 200

    serve(scenario)


def test_a_sink_that_never_opens_fails_the_start_and_leaves_nothing():
    async def scenario(site: Site):
        sink = SlowToOpen(opening=[PermanentError("no such column")])
        with pytest.raises(PermanentError, match="no such column"):
            await site.collector(same, sink)
        assert (await site.post({"id": 1})).status == 503

    serve(scenario)


def test_a_sink_that_breaks_for_good_fails_the_route():
    async def scenario(site: Site):
        sink = FakeSink(fails=[PermanentError("the table is gone")])
        unit = await site.collector(same, sink)
        first = await site.post({"id": 1})
        assert first.status == 500
        await until(lambda: unit.ledger.state is State.FAILED)
        assert "the table is gone" in unit.ledger.reason
        second = await site.post({"id": 2})
        assert second.status == 503
        assert "the table is gone" in second.detail

    serve(scenario)


def test_stopping_pushes_what_is_in_flight_and_closes_the_sink():
    async def scenario(site: Site):
        door = asyncio.Event()
        sink = FakeSink(gate=lambda: door)
        unit = await site.collector(same, sink)
        asked = asyncio.create_task(site.post({"id": 1}))
        await until(lambda: unit.snapshot().in_flight == 1)
        stopping = asyncio.create_task(unit.stop(drain=True, timeout_s=10))
        await until(lambda: unit.ledger.state is State.DRAINING)
        assert (await site.post({"id": 2})).status == 503
        door.set()
        assert (await asked).status == 200
        await stopping
        assert sink.tape.pushed == [Order(1)]
        assert sink.tape.closed == 1
        assert unit.ledger.state is State.STOPPED

    serve(scenario)


def test_a_stop_does_not_wait_for_a_sink_that_hangs():
    async def scenario(site: Site):
        sink = FakeSink(gate=asyncio.Event)
        unit = await site.collector(same, sink)
        asked = asyncio.create_task(site.post({"id": 1}))
        await until(lambda: unit.snapshot().in_flight == 1)
        await unit.stop(drain=True, timeout_s=0.05)
        reply = await asked
        assert (reply.status, reply.detail) == (503, "stopping")
        assert unit.ledger.state is State.STOPPED

    serve(scenario)
