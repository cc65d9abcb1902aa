"""A run of many replicas that are answered for from memory, without its faces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from buildflow_nb.core.declaring.declare import consumer_spec
from buildflow_nb.core.declaring.flow_spec import ProcessorSpec
from buildflow_nb.core.primitive import Env
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.plan import RunPlan
from buildflow_nb.runtime.replicas.engine import Replicated
from buildflow_nb.runtime.unit import Unit

from .memory_host import MemoryHost
from .shared_queue import SharedQueue, SharedRows

__all__ = ("Fleet", "specs")


def specs(count: int, replicas: int) -> list[ProcessorSpec]:
    """Consumers of queues of their own, each with so many replicas."""
    words = {"num_replicas": replicas, "enable_autoscaler": False}
    return [
        consumer_spec(_named(f"p{i}"), SharedQueue(f"queue {i}"), SharedRows("rows"), words)
        for i in range(count)
    ]


def _named(name: str) -> Callable[[dict], dict]:
    def code(order: dict) -> dict:
        return order

    code.__name__ = code.__qualname__ = name
    return code


class Fleet:
    """So many consumers with so many replicas each, on the loop that runs."""

    def __init__(self, processors: int, replicas: int, clock: Clock, per_look: int = 30) -> None:
        self.host = MemoryHost(per_look)
        self.clock = clock
        self.plan = RunPlan("fleet", Env(), "127.0.0.1", 0, run_id="run")
        self.engine = Replicated(self.plan, lambda _: self.host, clock)
        self.size = processors * replicas
        self.specs = specs(processors, replicas)
        self.units: list[Unit] = []

    async def open(self) -> None:
        """Open the host."""
        await self.engine.open(self.specs)

    async def start(self) -> None:
        """Begin with all processors, and wait until all replicas are there."""
        for spec in self.specs:
            ledger = Ledger(spec.id, self.clock)
            self.units.append(await self.engine.unit(spec, ledger, lambda: None))
        await asyncio.gather(*(unit.start() for unit in self.units))
        while len(self.members) < self.size:  # noqa: ASYNC110  (nothing announces it)
            await asyncio.sleep(0.1)

    @property
    def members(self) -> list[object]:
        """All replicas that are there."""
        return [one for group in self.engine._groups.values() for one in group.members]

    async def close(self) -> None:
        """End."""
        await self.engine.close(1.0)
