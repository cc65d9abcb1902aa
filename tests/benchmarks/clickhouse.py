"""A flow into a ClickHouse table, beside a script that inserts Arrow tables by hand.

Both write elements of a dataclass, which are in memory, in pushes of the same size, to the local
cloud's server. The script makes its columns by list comprehensions.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from pathlib import Path

import clickhouse_connect

from buildflow_nb.io.clickhouse import ClickhouseTable
from buildflow_nb.local_cloud.clickhouse.store import CLICKHOUSE
from tests.benchmarks.measure import interleave, table
from tests.benchmarks.warehouse_orders import by_columns, orders, run_flow
from tests.local_cloud.servers import PASSWORD, Served, served

ROWS = 400_000  # so that to start and to stop a flow is not what is measured
BATCH = 10_000
ROUNDS = 5
COLUMNS = "id Int64, name String, price Float64, at DateTime64(6, 'UTC'), paid Bool"


class Side:
    """Writes all elements into an empty table, and gives the rows a second."""

    def __init__(self, server: Served) -> None:
        self._where = {
            "host": "127.0.0.1",
            "port": server.port,
            "username": "default",
            "password": PASSWORD.reveal(),
        }
        self._client = clickhouse_connect.get_client(**self._where)
        self._batches = orders(ROWS, BATCH)
        self._sink = ClickhouseTable(
            "default", "ours", f"127.0.0.1:{server.port}", "default", PASSWORD
        )

    def ours(self) -> float:
        """Through a flow."""
        self._emptied("ours")
        began = time.perf_counter()
        run_flow(self._batches, self._sink)
        return self._rate("ours", began)

    def by_hand(self) -> float:
        """With `insert_arrow`."""
        self._emptied("by_hand")
        began = time.perf_counter()
        asyncio.run(self._write())
        return self._rate("by_hand", began)

    async def _write(self) -> None:
        client = await clickhouse_connect.get_async_client(**self._where)
        for batch in self._batches:
            await client.insert_arrow("by_hand", by_columns(batch))
        await client.close()

    def _emptied(self, name: str) -> None:
        self._client.command(f"DROP TABLE IF EXISTS {name}")
        self._client.command(f"CREATE TABLE {name} ({COLUMNS}) ENGINE = MergeTree ORDER BY tuple()")
        gc.collect()

    def _rate(self, name: str, began: float) -> float:
        seconds = time.perf_counter() - began
        assert self._client.query(f"SELECT count() FROM {name}").result_rows == [(ROWS,)]
        return ROWS / seconds


def main() -> None:
    """Print the rates of both sides."""
    with tempfile.TemporaryDirectory() as folder, served(CLICKHOUSE, Path(folder)) as server:
        side, other = Side(server), "insert_arrow by hand"
        figures = interleave({"buildflow_nb": side.ours, other: side.by_hand}, ROUNDS)
        title = f"{ROWS:,} rows of a dataclass, {BATCH:,} a push"
        table(title, figures, "rows/s", {other: "at least 0.8"})


if __name__ == "__main__":
    main()
