"""What tests have another process do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec
from buildflow_nb.runtime.consumer.consumer import Consumer
from buildflow_nb.runtime.observability.ledger import Ledger
from tests.fakes import FakeClock, supply

_kept: dict[str, Any] = {}


def keep(**things: Any) -> None:
    """Keep things over there under their names."""
    _kept.update(things)


def reader(name: str) -> Callable[[], Any]:
    """What gives the thing that was kept: made here, it reads what is kept over there."""
    return lambda: _kept[name]


class Again:
    """Calls what was kept; an instance is no code, so what it is sent with are values alone."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any) -> Any:
        """Call it."""
        return _kept[self.name](*args)


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
