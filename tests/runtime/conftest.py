"""A consumer on a fake clock, run to a condition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from buildflow_nb.core.declaring.declare import consumer_spec
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.consumer.consumer import Consumer
from buildflow_nb.runtime.observability.ledger import Ledger
from tests.fakes import FakeClock, FakeSink, FakeSource, supply


class Bench:
    """One consumer and everything around it."""

    def __init__(
        self, code: Callable, source: FakeSource, sink: FakeSink | None, **options
    ) -> None:
        self.clock = FakeClock()
        self.spec: ConsumerSpec = consumer_spec(code, source, sink, options)
        self.source, self.sink = source, sink
        self.ledger = Ledger(self.spec.id, self.clock)
        self.consumer = Consumer(self.spec, supply(self.ledger), self.ledger)

    async def until(self, so: Callable[[], bool]) -> None:
        await self.clock.until(so)

    async def to_end(self) -> None:
        await self.consumer.start()
        await self.until(lambda: self.ledger.state.ended)

    async def stop(self, *, drain: bool = True, timeout_s: float = 5.0) -> None:
        """Stop while the clock runs, since a stop may wait for it."""
        stopping = asyncio.create_task(self.consumer.stop(drain=drain, timeout_s=timeout_s))
        await self.until(stopping.done)
        await stopping

    @property
    def state(self) -> State:
        return self.ledger.state


def run_to_end(code: Callable, source: FakeSource, sink: FakeSink | None, **options) -> Bench:
    async def main() -> Bench:
        bench = Bench(code, source, sink, **options)
        await bench.to_end()
        return bench

    return asyncio.run(main())


@pytest.fixture
def batches() -> list[list[int]]:
    return [list(range(i, i + 10)) for i in range(0, 100, 10)]
