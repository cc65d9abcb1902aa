"""A flow into a Postgres table, beside a script that writes the same elements with asyncpg by hand.

Both write elements of a dataclass, which are in memory, in pushes of the same size: appended by
COPY, and replaced by their key (by hand with unnest, which is what people write). `peak` prints
how much memory a long run of the flow takes on top of a short one.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from buildflow_nb import Flow
from buildflow_nb.core.primitive import Batch, Env, Wire
from buildflow_nb.io.postgres import PostgresTable
from tests.benchmarks.measure import interleave, table
from tests.io.postgres.server import Server

ROWS = 400_000  # so that to start and to stop a flow is not what is measured
BATCH = PostgresTable.max_push
ROUNDS = 5
MIB = 1024  # ru_maxrss is in KiB
NAMES = ("id", "name", "price", "at", "paid")
FIRST = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
TABLE = (
    "(id bigint NOT NULL, name text NOT NULL, price double precision NOT NULL, "
    "at timestamptz NOT NULL, paid boolean NOT NULL{key})"
)
UPSERT = (
    "INSERT INTO {table} SELECT * FROM unnest($1::bigint[], $2::text[], $3::float8[], "
    "$4::timestamptz[], $5::bool[]) ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, "
    "price = EXCLUDED.price, at = EXCLUDED.at, paid = EXCLUDED.paid"
)


@dataclass
class Order:
    """An element."""

    id: int
    name: str
    price: float
    at: dt.datetime
    paid: bool


def orders(total: int) -> Iterator[list[Order]]:
    """Elements in batches; a million of them are not in memory at once."""
    for start in range(0, total, BATCH):
        yield [
            Order(i, f"name of {i}", i / 7, FIRST + dt.timedelta(seconds=i), i % 2 == 0)
            for i in range(start, min(start + BATCH, total))
        ]


@dataclass(frozen=True)
class Orders:
    """A source of elements that are made already, with a receipt each."""

    total: int
    batches: tuple[tuple[Order, ...], ...] = ()
    primitive_id: str = "orders"
    source_wire: Wire = Wire.OBJECT
    max_pullers: int = 1

    @asynccontextmanager
    async def source(self, env: Env) -> AsyncIterator[_Orders]:
        yield _Orders(self.batches or orders(self.total))


class _Orders:
    def __init__(self, batches: Sequence[Sequence[Order]] | Iterator[Sequence[Order]]) -> None:
        self._batches = iter(batches)

    async def pull(self) -> Batch | None:
        batch = next(self._batches, None)
        return None if batch is None else Batch(batch, receipts=range(len(batch)))

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        pass

    async def backlog(self) -> int | None:
        return None


def keep(order: Order) -> Order:
    """A processor that gives what it gets: the cost is the way, not the work."""
    return order


class Side:
    """Writes all elements into an empty table, and gives the rows a second."""

    def __init__(self, server: Server, key: str | None) -> None:
        self._server = server
        self._key = key
        self._batches = tuple(map(tuple, orders(ROWS)))

    def ours(self) -> float:
        """Through a flow."""
        sink = self._emptied("ours")
        source = Orders(ROWS, self._batches)
        flow = Flow()
        flow.consumer(source=source, sink=PostgresTable(sink, self._server.url, key=self._key))(
            keep
        )
        gc.collect()
        began = time.perf_counter()
        flow.run(block=False).wait(120)
        return self._rate(sink, began)

    def by_hand(self) -> float:
        """With asyncpg."""
        sink = self._emptied("by_hand")
        gc.collect()
        began = time.perf_counter()
        asyncio.run(self._write(sink))
        return self._rate(sink, began)

    async def _write(self, sink: str) -> None:
        connection = await asyncpg.connect(self._server.url, ssl=False)
        for batch in self._batches:
            rows = [(one.id, one.name, one.price, one.at, one.paid) for one in map(keep, batch)]
            if self._key:
                await connection.execute(UPSERT.format(table=sink), *zip(*rows, strict=True))
            else:
                await connection.copy_records_to_table(sink, records=rows, columns=NAMES)
        await connection.close()

    def _emptied(self, name: str) -> str:
        key = ", PRIMARY KEY (id)" if self._key else ""
        self._server.run(
            f"DROP TABLE IF EXISTS {name}", f"CREATE TABLE {name} {TABLE.format(key=key)}"
        )
        return name

    def _rate(self, sink: str, began: float) -> float:
        seconds = time.perf_counter() - began
        assert self._server.rows(f"SELECT count(*) FROM {sink}") == [(ROWS,)]
        return ROWS / seconds


def peak(total: str, url: str) -> None:
    """Print the peak of this process after a run of so many elements, in MiB."""
    flow = Flow()
    flow.consumer(source=Orders(int(total)), sink=PostgresTable("peak", url))(keep)
    flow.run()
    sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // MIB))


def peak_of(total: int, url: str) -> int:
    """The same of a process of its own."""
    words = [sys.executable, "-m", "tests.benchmarks.postgres", str(total), url]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print the rates of both sides, and how memory grows."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        # First, since a process begins with the peak of the one that starts it.
        short, long = peak_of(ROWS // 8, server.url), peak_of(ROWS * 2, server.url)
        sys.stdout.write(f"\npeak of memory: {short} MiB after {ROWS // 8:,}, {long} MiB after ")
        sys.stdout.write(f"{ROWS * 2:,} rows\n")
        for key, what, other in (
            (None, "appended", "asyncpg's COPY by hand"),
            ("id", "replaced by key", "asyncpg's unnest by hand"),
        ):
            side = Side(server, key)
            figures = interleave({"buildflow_nb": side.ours, other: side.by_hand}, ROUNDS)
            title = f"{ROWS:,} rows of a dataclass {what}, {BATCH:,} a push"
            table(title, figures, "rows/s", {other: "at least 0.8"})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        peak(*sys.argv[1:])
    else:
        main()
