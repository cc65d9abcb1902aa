"""Elements of a dataclass that a flow and a script write to a warehouse, and a source of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pyarrow as pa

from buildflow_nb import Flow
from buildflow_nb.core.primitive import Batch, Env, Wire, Writable

FIRST = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("price", pa.float64(), nullable=False),
        pa.field("at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("paid", pa.bool_(), nullable=False),
    ]
)


@dataclass
class Order:
    """An element."""

    id: int
    name: str
    price: float
    at: dt.datetime
    paid: bool


@dataclass(frozen=True)
class Orders:
    """A source of elements that are made already, with a receipt each."""

    batches: tuple[tuple[Order, ...], ...]
    primitive_id: str = "orders"
    source_wire: Wire = Wire.OBJECT
    max_pullers: int = 1

    @asynccontextmanager
    async def source(self, env: Env) -> AsyncIterator[_Orders]:
        yield _Orders(iter(self.batches))


class _Orders:
    def __init__(self, batches: Iterator[Sequence[Order]]) -> None:
        self._batches = batches

    async def pull(self) -> Batch | None:
        batch = next(self._batches, None)
        return None if batch is None else Batch(batch, receipts=range(len(batch)))

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        pass

    async def backlog(self) -> int | None:
        return None


def orders(total: int, size: int) -> tuple[tuple[Order, ...], ...]:
    """So many elements, in batches."""
    return tuple(
        tuple(
            Order(i, f"name of {i}", i / 7, FIRST + dt.timedelta(seconds=i), i % 2 == 0)
            for i in range(start, min(start + size, total))
        )
        for start in range(0, total, size)
    )


def keep(order: Order) -> Order:
    """A processor that gives what it gets: the cost is the way, not the work."""
    return order


def run_flow(batches: tuple[tuple[Order, ...], ...], sink: Writable) -> None:
    """Write all elements through a flow."""
    flow = Flow()
    flow.consumer(source=Orders(batches), sink=sink)(keep)
    flow.run(block=False).wait(300)


def by_columns(batch: Sequence[Order]) -> pa.Table:
    """The elements as people make an Arrow table of them by hand."""
    found = list(map(keep, batch))
    columns = [[getattr(one, name) for one in found] for name in SCHEMA.names]
    return pa.table(columns, schema=SCHEMA)
