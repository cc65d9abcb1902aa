"""What is traced of a consumer's elements, on a clock that is turned by hand."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.primitive import Batch, Env
from buildflow_nb.core.status.traces import Part
from buildflow_nb.core.trace_context import TraceContext
from buildflow_nb.runtime.observability import logs
from buildflow_nb.runtime.observability.trace_lookup import last_traces, trace_of
from buildflow_nb.runtime.observability.traces import KEPT, WHOLE, TraceBook
from tests.fakes import FakeSink, FakeSource
from tests.runtime.conftest import Bench

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONTEXT = TraceContext(TRACE, SPAN, sampled=True, state="vendor=1")


@dataclass(eq=False)
class TracedSink(FakeSink):
    """A sink that takes traces along; `took` has them by item."""

    took: dict[object, TraceContext] = field(default_factory=dict)

    async def push_traced(
        self, items: Sequence[object], contexts: Mapping[int, TraceContext]
    ) -> None:
        await self.push(items)
        self.took.update({items[i]: context for i, context in contexts.items()})


@dataclass(eq=False)
class TracedSource(FakeSource):
    """A source whose items came with a trace: `contexts` by item."""

    contexts: Mapping[object, TraceContext] = field(default_factory=dict)

    @asynccontextmanager
    async def source(self, env: Env) -> AsyncIterator[object]:
        async with super().source(env) as opened:
            plainly = opened.pull

            async def pull() -> Batch | None:
                batch = await plainly()
                if batch is None:
                    return None
                found = {
                    i: self.contexts[x] for i, x in enumerate(batch.items) if x in self.contexts
                }
                return Batch(batch.items, batch.receipts, None, found or None)

            opened.pull = pull
            yield opened


def run(code, source, sink=None, rate=0.001, *, free=True, **options) -> Bench:
    """To the end; without `free` none is drawn but those of the rate."""

    async def main() -> Bench:
        bench = Bench(code, source, sink, **options)
        bench.ledger.traces = book = TraceBook(rate)
        book._free_at = book._free_at if free else math.inf
        await bench.to_end()
        return bench

    return asyncio.run(main())


def traces(bench, count=1_000, *, failed=False):
    ledgers = {bench.ledger.processor_id: bench.ledger}
    return last_traces(ledgers, [bench.ledger], count, failed=failed)


def last(bench):
    return traces(bench, 1)[0]


def double(x: int) -> int:
    return 2 * x


def test_the_last_element_has_a_trace_of_all_its_parts():
    bench = run(double, FakeSource([[1, 2, 3]]), FakeSink())
    (step,) = last(bench).steps
    assert (step.came_in, step.gave, step.span.fate) == (3, (6,), "written")
    parts = [span.part for span in step.parts]
    assert [p for p in parts if p is not Part.WAIT] == [
        Part.DECODE,
        Part.CODE,
        Part.ENCODE,
        Part.SINK,
    ]
    assert step.tries == 1
    assert not step.failed


def test_nothing_is_traced_where_that_is_off():
    bench = run(double, TracedSource([[1, 2]], contexts={1: CONTEXT}), TracedSink(), rate=0.0)
    assert traces(bench) == []
    assert bench.sink.took == {}


def test_a_trace_that_came_goes_on_into_the_sink():
    source = TracedSource([[1, 2, 3]], contexts={2: CONTEXT})
    bench = run(double, source, TracedSink())
    context = bench.sink.took[4]
    assert (context.trace_id, context.state) == (TRACE, "vendor=1")
    (step,) = trace_of({"double": bench.ledger}, TRACE).steps
    assert step.came_in == 2
    assert step.span.parent_id == SPAN
    (pushed,) = [span for span in step.parts if span.part is Part.SINK]
    assert pushed.span_id == context.span_id
    assert pushed.parent_id == step.span.span_id


def test_a_trace_that_asks_for_nothing_is_noted_only_where_it_is_drawn():
    source = TracedSource([[1], [2, 3]], contexts={2: CONTEXT._replace(sampled=False)})
    bench = run(double, source, TracedSink(), rate=1e-9)
    assert bench.sink.took[4].trace_id == TRACE  # ten a second are
    bench = run(double, source, TracedSink(), rate=1e-9, free=False)
    assert bench.sink.took == {}
    assert TRACE not in [trace.trace_id for trace in traces(bench)]


def test_spans_have_ids_of_their_own():
    bench = run(double, TracedSource([[1, 2, 3]], contexts={2: CONTEXT}), TracedSink(), rate=1.0)
    spans = [span for trace in traces(bench) for span in trace.spans]
    ids = [span.span_id for span in spans]
    assert len(set(ids)) == len(ids)
    assert all(len(one) == 16 and int(one, 16) for one in ids)


def test_all_that_an_element_gives_takes_its_trace_along():
    def twice(x: int) -> list[int]:
        return [x, -x] if x % 2 else []

    source = TracedSource([[1, 2, 3]], contexts={1: CONTEXT, 2: CONTEXT, 3: CONTEXT})
    bench = run(twice, source, TracedSink())
    assert set(bench.sink.took) == {1, -1, 3, -3}
    fates = {
        step.came_in: step.span.fate for step in trace_of({"twice": bench.ledger}, TRACE).steps
    }
    assert fates == {1: "written", 2: "dropped", 3: "written"}


def test_an_element_that_is_tried_again_has_a_step_for_each_try():
    tries = []

    def shaky(x: int) -> int:
        tries.append(x)
        if x == 2 and tries.count(2) < 3:
            raise ValueError(x)
        return x

    bench = run(shaky, FakeSource([[1, 2, 3]]), TracedSink(), rate=1e-9)
    (trace,) = traces(bench, failed=True)
    assert [step.span.fate for step in trace.steps] == ["tried again", "tried again", "written"]
    assert [step.tries for step in trace.steps] == [1, 2, 3]
    assert not trace.failed
    assert bench.sink.took[2].trace_id == trace.trace_id
    waits = [span for step in trace.steps[1:] for span in step.parts if span.part is Part.WAIT]
    assert {span.name for span in waits} >= {"until it was tried again"}


def test_a_failure_has_a_trace_with_what_is_known_of_its_chunk():
    def picky(x: int) -> int:
        if x == 2:
            raise ValueError(x)
        return x

    bench = run(picky, FakeSource([[1, 2, 3, 4]]), FakeSink(), rate=1e-9, retries=0)
    (failure,) = bench.ledger.failures
    trace = trace_of({"picky": bench.ledger}, failure)
    assert trace.trace_id == failure.trace_id
    (step,) = trace.steps
    assert (step.failure, step.failed, step.came_in) == (1, True, 2)
    assert step.span.error == "ValueError: 2"
    code = next(span for span in step.parts if span.part is Part.CODE)
    assert code.took_s is None or code.note == ""
    assert Part.SINK not in {span.part for span in step.parts}
    assert trace_of({"picky": bench.ledger}, 1) == trace


def test_a_failure_of_slow_code_is_known_whole():
    """As long as nothing is known of its speed, code may be slow."""

    def never(x: int) -> int:
        print("trying", x)  # noqa: T201
        raise ValueError(x)

    with logs.captured():
        bench = run(never, FakeSource([[1]]), FakeSink(), rate=1e-9, free=False, retries=0)
    (step,) = traces(bench, failed=True)[0].steps
    code = next(span for span in step.parts if span.part is Part.CODE)
    assert code.took_s is not None
    assert [line.text for line in code.lines] == ["trying 1"]


def test_what_is_only_noted_in_case_it_fails_takes_no_trace_along():
    sink = TracedSink()
    bench = run(double, FakeSource([[1], [2], [3]]), sink, rate=1e-9, free=False)
    assert sink.took == {}
    assert len(traces(bench)) == 1
    assert [passage.trace_id for passage in bench.ledger.passages] == ["", "", ""]


def test_what_cannot_be_converted_was_never_called():
    bench = run(double, FakeSource([["one", 2]], receipts=False), FakeSink(), retries=0)
    (trace,) = traces(bench, failed=True)
    assert Part.CODE not in {span.part for span in trace.steps[0].parts}


def test_what_the_sink_refuses_failed_there():
    sink = FakeSink(refuse=lambda item: item == 4)
    bench = run(double, FakeSource([[1, 2, 3]]), sink, retries=0)
    (trace,) = traces(bench, failed=True)
    pushed = next(span for span in trace.steps[0].parts if span.part is Part.SINK)
    assert "refused" in pushed.error
    assert trace.steps[0].gave == (4,)


def test_what_the_sink_refuses_of_those_not_sampled_failed_there_too():
    sink = FakeSink(refuse=lambda item: item == 4)
    bench = run(double, FakeSource([[1, 2, 3]]), sink, rate=1e-9, free=False, retries=0)
    (trace,) = traces(bench, failed=True)
    assert "refused" in next(s for s in trace.steps[0].parts if s.part is Part.SINK).error
    assert trace.steps[0].gave == (4,)


def test_a_dead_letter_takes_the_trace_along():
    def never(x: int) -> int:
        raise ValueError(x)

    dead = TracedSink(sink_wire=FakeSink.sink_wire)
    kept: list[TraceContext] = []

    async def push_traced(items, contexts):
        await dead.push(items)
        kept.extend(contexts.values())

    dead.push_traced = push_traced
    bench = run(never, FakeSource([[7]]), FakeSink(), retries=1, dead_letter=dead)
    (failure,) = bench.ledger.failures
    (context,) = kept
    assert context.trace_id == failure.trace_id
    trace = trace_of({"never": bench.ledger}, failure)
    assert trace.fate == "dead-lettered"
    assert context.span_id in {span.span_id for span in trace.spans}


def test_a_push_that_is_halved_keeps_traces_with_their_items():
    contexts = {x: TraceContext(f"{x:032x}", SPAN) for x in range(1, 9)}
    sink = TracedSink(refuse=lambda item: item == 10)
    source = TracedSource([list(range(1, 9))], contexts=contexts)
    run(double, source, sink, retries=0)
    assert {item: int(c.trace_id, 16) for item, c in sink.took.items()} == {
        2 * x: x for x in range(1, 9) if x != 5
    }


def test_batches_that_are_joined_keep_traces_with_their_elements():
    contexts = {x: TraceContext(f"{x:032x}", SPAN) for x in (2, 5, 6)}
    sink = TracedSink()
    source = TracedSource([[1], [2], [3, 4], [5, 6], [7]], contexts=contexts)
    run(double, source, sink, rate=1e-9)
    ours = {item: int(c.trace_id, 16) for item, c in sink.took.items() if int(c.trace_id, 16) < 10}
    assert ours == {4: 2, 10: 5, 12: 6}


@pytest.mark.parametrize("form", ["sync", "async"])
def test_log_lines_of_a_call_are_its_traces(form):
    def tells(x: int) -> int:
        print("seen", x)  # noqa: T201
        logging.getLogger("t").warning("odd %s", x)
        return x

    async def tells_async(x: int) -> int:
        return tells(x)

    code = tells if form == "sync" else tells_async
    with logs.captured():
        bench = run(code, FakeSource([[1, 2, 3]]), FakeSink(), rate=1.0)
    for trace in traces(bench):
        x = trace.came_in
        assert [(line.level, line.text) for line in trace.lines] == [
            ("PRINT", f"seen {x}"), ("WARNING", f"odd {x}")
        ]  # fmt: skip
    assert len(bench.ledger.log.lines()) == 6


def test_what_is_kept_is_bounded():
    bench = run(double, FakeSource([list(range(1_000))]), FakeSink(), rate=1.0)
    found = traces(bench)
    assert len(found) <= KEPT + 1
    whole = [trace for trace in found if isinstance(trace.came_in, int)]
    assert len(whole) == WHOLE
    assert last(bench).came_in == 999


def test_about_one_in_so_many_is_sampled():
    book = TraceBook(0.01)
    book.draw(1, 0.0)
    book._free_at = 1e9  # none of those that every second has
    drawn = sum(book.draw(100, 0.0) for _ in range(1_000))
    assert 800 < drawn < 1_200


def test_a_flow_that_has_little_to_do_is_traced_whole():
    book = TraceBook(0.001)
    assert [book.draw(1, t) for t in range(100)] == [1] * 100
    burst = sum(book.draw(1, 1_000.0) for _ in range(100))
    assert 9 <= burst <= 11


def test_who_is_given_traces_begins_none():
    book = TraceBook(0.001)
    book.fed(100.0)
    assert sum(book.draw(1, 101.0) for _ in range(50)) == 0
    assert book.draw(1, 111.0) == 1


@dataclass
class Card:
    number: Secret


def test_secrets_are_masked_in_traces():
    def pay(card: Card) -> Card:
        print("pay", card.number.reveal())  # noqa: T201
        return card

    with logs.captured():
        bench = run(pay, FakeSource([[{"number": "4242-hidden"}]]), FakeSink())
    assert "4242-hidden" not in last(bench).text()


def test_the_text_steers_no_terminal():
    def same(x: str) -> str:
        return x

    bench = run(same, FakeSource([["\x1b[31mred\x07"]]), FakeSink())
    text = last(bench).text()
    assert all(c.isprintable() or c == "\n" for c in text)
