"""A flow into a BigQuery table, beside scripts that append the same elements by hand.

Both write elements of a dataclass, which are in memory, in pushes of the same size, to the local
cloud's server: by hand with the async client of the Storage Write API, in Arrow, and with the
library's own `AppendRowsStream`, which polls for its answers. `peak` prints how much memory a long
run of the flow takes on top of a short one.
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
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pyarrow as pa
from google.cloud.bigquery import SchemaField, Table
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types, writer
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
    BigQueryWriteGrpcTransport,
)

from buildflow_nb import Flow
from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.primitive import Batch, Env, Sink, Wire
from buildflow_nb.io.gcp import BigQueryDataset, BigQueryTable
from tests.benchmarks.measure import interleave, table
from tests.local_cloud.bigquery.appending import appending, arrow_request, default_stream
from tests.local_cloud.bigquery.servers import METADATA, PASSWORD, Server, running

ROWS = 500_000  # so that to start and to stop a flow is not what is measured
BATCH, SMALL = 10_000, 500  # rows of a push
POLLED = 4  # appends by AppendRowsStream, half a second each
ROUNDS = 5
MIB = 1024  # ru_maxrss is in KiB
FIRST = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SCHEMA = [
    SchemaField("id", "INTEGER", "REQUIRED"),
    SchemaField("name", "STRING", "REQUIRED"),
    SchemaField("price", "FLOAT", "REQUIRED"),
    SchemaField("at", "TIMESTAMP", "REQUIRED"),
    SchemaField("paid", "BOOLEAN", "REQUIRED"),
]
ARROW = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("price", pa.float64()),
        ("at", pa.timestamp("us", "UTC")),
        ("paid", pa.bool_()),
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


def orders(total: int, size: int = BATCH) -> Iterator[list[Order]]:
    """Elements in batches; a million of them are not in memory at once."""
    for start in range(0, total, size):
        yield [
            Order(i, f"name of {i}", i / 7, FIRST + dt.timedelta(seconds=i), i % 2 == 0)
            for i in range(start, min(start + size, total))
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


@dataclass(frozen=True)
class Services:
    """The stores of a stack, of which one runs at these ports."""

    port: int
    storage_port: int

    def wake(self, service: str) -> str:
        port = self.port if service == "bigquery" else self.storage_port
        return f"http://127.0.0.1:{port}"

    def password(self, store: str) -> Secret:
        return Secret(PASSWORD)


@dataclass(frozen=True)
class There:
    """A table of this server, whatever the stack says."""

    table: BigQueryTable
    services: Services
    primitive_id: str = "there"
    sink_wire: Wire = Wire.OBJECT
    max_push: int = BATCH
    linger_s: float = 0.0

    def sink(self, env: Env, element: object) -> AbstractAsyncContextManager[Sink]:
        return self.table.sink(replace(env, services=self.services), element)


def there(name: str, services: Services, size: int = BATCH) -> There:
    """A table as a sink."""
    return There(BigQueryTable(BigQueryDataset("proj", "shop"), name), services, max_push=size)


def keep(order: Order) -> Order:
    """A processor that gives what it gets: the cost is the way, not the work."""
    return order


class Side:
    """Writes all elements into an empty table, and gives the rows a second."""

    def __init__(self, server: Server, rows: int, size: int) -> None:
        self._server = server
        self._rows, self._size = rows, size
        self._services = Services(server.port, server.storage_port)
        self._batches = tuple(map(tuple, orders(rows, size)))

    def ours(self) -> float:
        """Through a flow."""
        self._empty("ours")
        flow = Flow()
        sink = there("ours", self._services, self._size)
        flow.consumer(source=Orders(self._rows, self._batches), sink=sink)(keep)
        gc.collect()
        began = time.perf_counter()
        flow.run(block=False).wait(120)
        return self._rate("ours", self._rows, began)

    def by_hand(self) -> float:
        """With the async client."""
        self._empty("by_hand")
        gc.collect()
        began = time.perf_counter()
        asyncio.run(self._append())
        return self._rate("by_hand", self._rows, began)

    def polled(self) -> float:
        """With AppendRowsStream."""
        self._empty("polled")
        channel = grpc.intercept_channel(
            grpc.insecure_channel(f"127.0.0.1:{self._server.storage_port}"), _Token()
        )
        client = BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=channel))
        first = arrow_request(default_stream("shop", "polled"), ARROW.empty_table())
        template = types.AppendRowsRequest(
            write_stream=first.write_stream,
            arrow_rows={"writer_schema": first.arrow_rows.writer_schema},
        )
        began = time.perf_counter()
        stream = writer.AppendRowsStream(client, template)
        for batch in self._batches[:POLLED]:
            stream.send(arrow_request("", rows_of(batch), schema=False)).result(timeout=30)
        rate = self._rate("polled", POLLED * self._size, began)
        stream.close()
        return rate

    async def _append(self) -> None:
        async with appending(self._server) as calls:
            stream = default_stream("shop", "by_hand")
            for number, batch in enumerate(self._batches):
                rows = rows_of(list(map(keep, batch)))
                answer = await calls.send(arrow_request(stream, rows, schema=not number))
                assert not answer.error.code

    def _empty(self, name: str) -> None:
        self._server.client.delete_table(f"shop.{name}", not_found_ok=True)
        self._server.client.create_table(Table(f"proj.shop.{name}", SCHEMA))

    def _rate(self, name: str, count: int, began: float) -> float:
        seconds = time.perf_counter() - began
        assert self._server.client.get_table(f"shop.{name}").num_rows == count
        return count / seconds


class _Token(grpc.StreamStreamClientInterceptor):
    def intercept_stream_stream(self, continuation, details, requests):
        return continuation(
            details._replace(metadata=[*(details.metadata or ()), *METADATA]), requests
        )


def rows_of(batch: Sequence[Order]) -> pa.Table:
    """Elements as Arrow, as people write it."""
    columns = {name: [getattr(order, name) for order in batch] for name in ARROW.names}
    return pa.table(columns, schema=ARROW)


def peak(total: str, port: str, storage_port: str) -> None:
    """Print the peak of this process after a run of so many elements, in MiB."""
    flow = Flow()
    sink = there("peak", Services(int(port), int(storage_port)))
    flow.consumer(source=Orders(int(total)), sink=sink)(keep)
    flow.run()
    sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // MIB))


def peak_of(total: int, server: Server) -> int:
    """The same of a process of its own."""
    words = [sys.executable, "-m", "tests.benchmarks.bigquery", str(total)]
    words += [str(server.port), str(server.storage_port)]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print the rates of all sides, and how memory grows."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        server.client.create_dataset("shop")
        server.client.create_table(Table("proj.shop.peak", SCHEMA))
        # First, since a process begins with the peak of the one that starts it.
        short, long = peak_of(ROWS // 10, server), peak_of(ROWS * 2, server)
        sys.stdout.write(f"\npeak of memory: {short} MiB after {ROWS // 10:,}, {long} MiB after ")
        sys.stdout.write(f"{ROWS * 2:,} rows\n")
        by_hand, polled = "the async client by hand", "AppendRowsStream"
        for rows, size, goal in ((ROWS, BATCH, "at least 10"), (ROWS // 5, SMALL, "at least 30")):
            side = Side(server, rows, size)
            figures = interleave(
                {"buildflow_nb": side.ours, by_hand: side.by_hand, polled: side.polled}, ROUNDS
            )
            title = f"{rows:,} rows of a dataclass appended, {size:,} a push"
            table(title, figures, "rows/s", {by_hand: "at least 0.8", polled: goal})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        peak(*sys.argv[1:])
    else:
        main()
