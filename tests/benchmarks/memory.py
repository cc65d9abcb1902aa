"""A consumer from memory to memory, beside a guarded plain loop and beside bytewax."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from buildflow_nb import Flow
from buildflow_nb.core.primitive import Batch, Env, Wire
from tests.benchmarks.measure import interleave, table

ELEMENTS = 1_000_000
SIZES = ((1_000, ELEMENTS), (100, ELEMENTS), (10, ELEMENTS // 5), (1, ELEMENTS // 20))
ROUNDS = 5
NS = 1e9


@dataclass(frozen=True)
class Numbers:
    """Numbers in batches, with a receipt each."""

    total: int
    batch: int
    primitive_id: str = "numbers"
    source_wire: Wire = Wire.OBJECT
    max_pullers: int = 1

    @asynccontextmanager
    async def source(self, env: Env) -> AsyncIterator[_Numbers]:
        yield _Numbers(self)


class _Numbers:
    def __init__(self, numbers: Numbers) -> None:
        self._starts = iter(range(0, numbers.total, numbers.batch))
        self._batch = numbers.batch
        self.acked: list[object] = []

    async def pull(self) -> Batch | None:
        start = next(self._starts, None)
        if start is None:
            return None
        items = list(range(start, start + self._batch))
        return Batch(items, receipts=items)

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        self.acked += receipts

    async def backlog(self) -> int | None:
        return None


@dataclass(frozen=True)
class Memory:
    """Keeps what is pushed."""

    primitive_id: str = "memory"
    sink_wire: Wire = Wire.OBJECT
    max_push: int = 10_000
    linger_s: float = 0.0

    @asynccontextmanager
    async def sink(self, env: Env, element: object) -> AsyncIterator[_Memory]:
        yield _Memory()


class _Memory:
    def __init__(self) -> None:
        self.stored: list[object] = []

    async def push(self, items: Sequence[object]) -> None:
        self.stored += items


def double(x: int) -> int:
    return 2 * x


def ours(batch: int, total: int) -> float:
    """Nanoseconds an element, from start to end of the run."""
    flow = Flow()
    flow.consumer(source=Numbers(total, batch), sink=Memory())(double)
    gc.collect()
    began = time.perf_counter()
    flow.run(block=False).wait(120)
    return (time.perf_counter() - began) / total * NS


def plain_loop(batch: int, total: int) -> float:
    """What a person would write by hand: pull, try, push, ack."""
    gc.collect()
    began = time.perf_counter()
    stored: list[int] = []
    acked: list[int] = []
    for start in range(0, total, batch):
        items = list(range(start, start + batch))
        for item in items:
            try:
                stored.append(double(item))
                acked.append(item)
            except Exception:  # noqa: BLE001  (the guard that is measured)
                print(item)  # noqa: T201
    return (time.perf_counter() - began) / total * NS


def bytewax(batch: int, total: int) -> float:
    """The same in bytewax, which moves batches of `batch` from its source."""
    import bytewax.operators as op
    from bytewax.dataflow import Dataflow
    from bytewax.testing import TestingSink, TestingSource, run_main

    stored: list[int] = []
    flow = Dataflow("double")
    stream = op.input("in", flow, TestingSource(range(total), batch_size=batch))
    op.output("out", op.map("double", stream, double), TestingSink(stored))
    gc.collect()
    began = time.perf_counter()
    run_main(flow)
    return (time.perf_counter() - began) / total * NS


def main() -> None:
    """Print the figures for several sizes of batch."""
    for batch, total in SIZES:
        sides = {
            "buildflow_nb": lambda b=batch, t=total: ours(b, t),
            "guarded plain loop": lambda b=batch, t=total: plain_loop(b, t),
        }
        try:
            import bytewax as _  # noqa: F401
        except ImportError:
            pass
        else:
            sides["bytewax"] = lambda b=batch, t=total: bytewax(b, t)
        goals = {"guarded plain loop": f"at most {6 if batch == 1 else 3}"}
        if batch >= 100:
            goals["bytewax"] = "at most 1"
        title = f"consumer from memory to memory, batches of {batch}, time an element"
        table(title, interleave(sides, ROUNDS), "ns", goals)


if __name__ == "__main__":
    main()
