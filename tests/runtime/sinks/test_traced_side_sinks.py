"""What dependencies push is part of the trace of the call that pushed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from buildflow_nb import Flow, FlowOptions
from buildflow_nb.core.primitive import Wire
from buildflow_nb.core.status.traces import Part
from buildflow_nb.core.trace_context import TraceContext
from buildflow_nb.dependencies.sink import SinkDependencyBuilder
from tests.fakes import FakeSink, FakeSource


@dataclass(eq=False)
class TracedSink(FakeSink):
    """Takes traces along."""

    took: list[TraceContext] = field(default_factory=list)
    sink_wire: Wire = Wire.OBJECT
    primitive_id: str = "audit"

    async def push_traced(
        self, items: Sequence[object], contexts: Mapping[int, TraceContext]
    ) -> None:
        await self.push(items)
        self.took += contexts.values()


@pytest.mark.parametrize("form", ["sync", "async"])
def test_a_push_of_a_dependency_goes_on_with_the_trace(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    audit = TracedSink()
    Audit = SinkDependencyBuilder(audit)
    app = Flow("audited", FlowOptions(trace_sampling=1))

    def price(x: int, log: Audit) -> int:
        log.push(x)
        return 2 * x

    async def price_async(x: int, log: Audit) -> int:
        await log.push(x)
        return 2 * x

    code = price if form == "sync" else price_async
    app.consumer(source=FakeSource([[1, 2, 3]]), sink=FakeSink())(code)
    app.run()
    found = app.traces(code.__name__)
    assert len(found) == 3
    assert {context.trace_id for context in audit.took} == {trace.trace_id for trace in found}
    for trace in found:
        (step,) = trace.steps
        side = [s for s in step.parts if s.part is Part.SINK and "audit" in s.name]
        assert len(side) == 1
        assert side[0].took_s is not None
        assert side[0].span_id in {context.span_id for context in audit.took}
