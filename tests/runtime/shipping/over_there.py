"""What tests have another process do: run a consumer, bind a request."""

from __future__ import annotations

import asyncio
from typing import Any

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec
from buildflow_nb.runtime.consumer.consumer import Consumer
from buildflow_nb.runtime.observability.ledger import Ledger
from tests.fakes import FakeClock, supply


def consume(spec: ConsumerSpec) -> list[Any]:
    """What comes out of a consumer whose source and sink are fakes."""

    async def main() -> None:
        clock = FakeClock()
        ledger = Ledger(spec.id, clock)
        consumer = Consumer(spec, supply(ledger), ledger)
        await consumer.start()
        await clock.until(lambda: ledger.state.ended)
        for failure in ledger.failures:
            raise failure.exception or RuntimeError(failure.error)

    asyncio.run(main())
    sink: Any = spec.sink
    return sink.tape.pushed
