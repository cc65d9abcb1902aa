"""Requests as steps of traces: continued, begun, failed, and never harmed by a header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from buildflow_nb.core.status.traces import Part
from buildflow_nb.core.trace_context import TraceContext
from buildflow_nb.runtime.observability.logs import captured
from buildflow_nb.runtime.observability.trace_lookup import last_traces, trace_of
from tests.fakes import FakeSink
from tests.runtime.http.site import Site, serve

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@dataclass
class Order:
    id: int


@dataclass(eq=False)
class TracedSink(FakeSink):
    """Takes traces along."""

    took: list[TraceContext] = field(default_factory=list)

    async def push_traced(
        self, items: Sequence[object], contexts: Mapping[int, TraceContext]
    ) -> None:
        await self.push(items)
        self.took += contexts.values()


async def same(order: Order) -> Order:
    print("taken", order.id)  # noqa: T201
    return order


def boom(order: Order) -> Order:
    raise ValueError(order.id)


def all_of(unit, *, failed=False):
    return last_traces({unit.ledger.processor_id: unit.ledger}, [unit.ledger], 100, failed=failed)


def traced(unit, rate=0.001):
    unit.ledger.traces.rate = rate
    return unit


def test_a_trace_that_came_goes_on_into_the_sink():
    async def scenario(site: Site):
        sink = TracedSink()
        unit = traced(await site.collector(same, sink))
        words = {"headers": {"traceparent": PARENT, "tracestate": "v=1"}}
        reply = await site.ask("POST", data=b'{"id": 1}', **words)
        assert reply.status == 200
        (context,) = sink.took
        assert (context.trace_id, context.state, context.sampled) == (TRACE, "v=1", True)
        (step,) = trace_of({"same": unit.ledger}, TRACE).steps
        assert step.span.parent_id == SPAN
        assert step.span.fate == "written, answered 200"
        assert (step.came_in, step.gave) == (Order(1), (Order(1),))
        (pushed,) = [span for span in step.parts if span.part is Part.SINK]
        assert pushed.span_id == context.span_id

    serve(scenario)


@pytest.mark.parametrize(
    "parent", ["hello", PARENT[:-1], f"ff{PARENT[2:]}", "", PARENT.upper(), "x" * 8_000]
)
def test_a_malformed_header_is_as_if_it_were_not_there(parent):
    async def scenario(site: Site):
        unit = traced(await site.collector(same, TracedSink()))
        reply = await site.ask("POST", data=b'{"id": 1}', headers={"traceparent": parent})
        assert reply.status == 200
        (trace,) = all_of(unit)
        assert trace.trace_id != TRACE
        assert trace.steps[0].span.parent_id == ""

    serve(scenario)


@pytest.mark.parametrize("function", [same, boom])
def test_where_it_is_off_nothing_is_kept(function):
    async def scenario(site: Site):
        sink = TracedSink()
        unit = traced(await site.collector(function, sink), 0.0)
        await site.ask("POST", data=b'{"id": 1}', headers={"traceparent": PARENT})
        assert all_of(unit) == []
        assert sink.took == []
        assert unit.ledger.metrics.parts.last(unit.ledger.clock.now(), 60).elements == 1

    serve(scenario)


def test_a_request_that_fails_has_its_trace():
    async def scenario(site: Site):
        unit = traced(await site.endpoint(boom))
        assert (await site.post({"id": 7})).status == 500
        (failure,) = unit.ledger.failures
        trace = trace_of({"boom": unit.ledger}, failure)
        (step,) = trace.steps
        assert (step.failed, step.failure, step.came_in) == (True, 1, Order(7))
        assert "ValueError: 7" in step.span.error
        assert [one.trace_id for one in all_of(unit, failed=True)] == [trace.trace_id]

    serve(scenario)


def test_what_the_sink_refuses_failed_there():
    async def scenario(site: Site):
        unit = traced(await site.collector(same, FakeSink(refuse=lambda _: True), retries=0))
        assert (await site.post({"id": 7})).status == 500
        (trace,) = all_of(unit, failed=True)
        pushed = next(span for span in trace.steps[0].parts if span.part is Part.SINK)
        assert "refused" in pushed.error

    serve(scenario)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_lines_of_a_call_are_its_traces(kind):
    def same_sync(order: Order) -> Order:
        print("taken", order.id)  # noqa: T201
        return order

    async def scenario(site: Site):
        unit = traced(await site.endpoint(same if kind == "async" else same_sync))
        for i in range(3):
            await site.post({"id": i})
        for trace in all_of(unit):
            assert [line.text for line in trace.lines] == [f"taken {trace.came_in.id}"]
        assert len(all_of(unit)) == 3

    with captured():
        serve(scenario)


def test_a_request_that_does_not_bind_is_no_element():
    async def scenario(site: Site):
        unit = traced(await site.endpoint(same))
        assert (await site.post({"no": "id"})).status == 422
        assert all_of(unit) == []

    serve(scenario)
