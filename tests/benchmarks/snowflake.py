"""A flow into a Snowflake table, beside a script that puts and copies Parquet files by hand.

Both write elements of a dataclass, which are in memory, in pushes of the same size, to the local
cloud's server. The script makes its columns by list comprehensions.
"""

from __future__ import annotations

import gc
import io
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from buildflow_nb.core.env import Env
from buildflow_nb.io.snowflake import SnowflakeTable
from buildflow_nb.io.snowflake.client import connect
from buildflow_nb.local_cloud.snowflake.store import SNOWFLAKE
from tests.benchmarks.measure import interleave, table
from tests.benchmarks.warehouse_orders import by_columns, orders, run_flow
from tests.local_cloud.servers import GivenServices, Served, served

ROWS = 400_000  # so that to start and to stop a flow is not what is measured
BATCH = SnowflakeTable.max_push
ROUNDS = 5
PLACE = '"Shop"."Raw"'
COLUMNS = (
    '"id" NUMBER(38, 0) NOT NULL, "name" VARCHAR NOT NULL, "price" FLOAT NOT NULL, '
    '"at" TIMESTAMP_TZ NOT NULL, "paid" BOOLEAN NOT NULL'
)
FILE = ["c0", "c1", "c2", "c3", "c4"]  # `at` would have to be quoted, which fakesnow does not
COPY = (
    'COPY INTO {place}."by_hand" ("id", "name", "price", "at", "paid") FROM (SELECT '
    '$1:"c0"::NUMBER(38, 0), $1:"c1"::VARCHAR, $1:"c2"::FLOAT, $1:"c3"::TIMESTAMP_TZ, '
    '$1:"c4"::BOOLEAN FROM @{place}."hand"/{name}) FILE_FORMAT = (TYPE = PARQUET)'
)


class Side:
    """Writes all elements into an empty table, and gives the rows a second."""

    def __init__(self, server: Served) -> None:
        self._env = Env(cloud="local", services=GivenServices(server))
        self._batches = orders(ROWS, BATCH)
        self._sink = SnowflakeTable("ours", "Shop", "Raw", flush_time_limit_secs=0.2)
        self._cursor = self._connected().cursor()
        for statement in (
            'CREATE DATABASE "Shop"',
            f"CREATE SCHEMA {PLACE}",
            f"USE SCHEMA {PLACE}",
            f'CREATE STAGE {PLACE}."hand"',
        ):
            self._cursor.execute(statement)

    def ours(self) -> float:
        """Through a flow."""
        self._emptied("ours")
        began = time.perf_counter()
        run_flow(self._batches, _At(self._sink, self._env))
        return self._rate("ours", began)

    def by_hand(self) -> float:
        """With PUT and COPY."""
        self._emptied("by_hand")
        began = time.perf_counter()
        connection = self._connected()
        cursor = connection.cursor()
        cursor.execute(f"USE SCHEMA {PLACE}")
        for i, batch in enumerate(self._batches):
            file, name = io.BytesIO(), f"{i}.parquet"
            rows = by_columns(batch).rename_columns(FILE)
            pq.write_table(rows, file, compression="snappy")
            file.seek(0)
            put = f'PUT file://{name} @{PLACE}."hand" AUTO_COMPRESS=FALSE OVERWRITE=TRUE'
            cursor.execute(put, file_stream=file)
            cursor.execute(COPY.format(place=PLACE, name=name))
            cursor.execute(f'REMOVE @{PLACE}."hand"/{name}')
        connection.close()
        return self._rate("by_hand", began)

    def _connected(self) -> Any:
        return connect(self._sink._account(), self._env)

    def _emptied(self, name: str) -> None:
        self._cursor.execute(f'CREATE OR REPLACE TABLE {PLACE}."{name}" ({COLUMNS})')
        gc.collect()

    def _rate(self, name: str, began: float) -> float:
        seconds = time.perf_counter() - began
        found = self._cursor.execute(f'SELECT count(*) FROM {PLACE}."{name}"').fetchall()
        assert found == [(ROWS,)]
        return ROWS / seconds


class _At:
    """The table, wherever the flow's own stack is."""

    def __init__(self, sink: SnowflakeTable, env: Env) -> None:
        self._sink = sink
        self._env = env
        self.primitive_id, self.sink_wire = sink.primitive_id, sink.sink_wire
        self.max_push, self.linger_s = sink.max_push, sink.linger_s

    def sink(self, env: Env, element: object) -> Any:
        return self._sink.sink(self._env, element)


def main() -> None:
    """Print the rates of both sides."""
    with tempfile.TemporaryDirectory() as folder, served(SNOWFLAKE, Path(folder)) as server:
        side, other = Side(server), "PUT and COPY by hand"
        figures = interleave({"buildflow_nb": side.ours, other: side.by_hand}, ROUNDS)
        title = f"{ROWS:,} rows of a dataclass, {BATCH:,} a push"
        table(title, figures, "rows/s", {other: "at least 0.8"})


if __name__ == "__main__":
    main()
