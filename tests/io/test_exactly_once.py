"""Exactly once, through kills: a program is killed while it writes, and every row is counted."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import clickhouse_connect
import duckdb
import pytest

from buildflow_nb import Flow
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.io.aws import SQSQueue
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import File
from buildflow_nb.io.local.empty import Empty
from buildflow_nb.local_cloud.clickhouse.store import CLICKHOUSE
from buildflow_nb.local_cloud.postgres.store import POSTGRES
from tests.local_cloud.servers import PASSWORD, served

pytestmark = pytest.mark.emulator

ROOT = Path(__file__).parents[2]
ROWS, KILLS, DEADLINE_S = 40_000, 3, 60.0
PROGRAM = """
import sys
from dataclasses import dataclass

from buildflow_nb import Flow
from buildflow_nb.io.clickhouse import ClickhouseTable
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import File
from buildflow_nb.io.postgres import PostgresTable

app = Flow("once")


@dataclass
class Row:
    n: int
    s: str


@app.consumer(source=File("in.csv", resume=True), sink=SINK, delivery="exactly-once")
def copy(row: Row) -> list[Row]:
    return [row] * (row.n % 3)


app.run()
"""


@contextmanager
def to_duckdb(folder):
    def counted():
        with duckdb.connect(str(folder / "out.duckdb")) as connection:
            return connection.execute("SELECT count(*), sum(n) FROM t").fetchone()

    yield 'DuckDBTable("out.duckdb", "t")', counted


@contextmanager
def to_clickhouse(folder):
    with served(CLICKHOUSE, folder) as server:
        words = {"host": "127.0.0.1", "port": server.port, "password": PASSWORD.reveal()}

        def counted():
            with clickhouse_connect.get_client(username="default", **words) as client:
                return client.query("SELECT count(), sum(n) FROM shop.t").result_rows[0]

        where = f'"127.0.0.1:{server.port}", "default", {PASSWORD.reveal()!r}'
        yield f'ClickhouseTable("shop", "t", {where})', counted


@contextmanager
def to_postgres(folder):
    import psycopg

    with served(POSTGRES, folder) as server:
        url = f"postgresql://postgres:{PASSWORD.reveal()}@127.0.0.1:{server.port}/postgres"

        def counted():
            with psycopg.connect(url) as connection:
                return connection.execute("SELECT count(*), sum(n) FROM t").fetchone()

        yield f'PostgresTable("t", {url!r})', counted


@pytest.mark.parametrize("store", [to_duckdb, to_clickhouse, to_postgres])
def test_every_row_is_there_once(tmp_path, store):
    lines = "".join(f"{n},x{n}\n" for n in range(ROWS))
    (tmp_path / "in.csv").write_text(f"n,s\n{lines}")
    chance = random.Random(store.__name__)  # noqa: S311
    with store(tmp_path) as (sink, counted):
        (tmp_path / "program.py").write_text(PROGRAM.replace("SINK", sink))
        for _ in range(KILLS):
            killed(tmp_path, after=chance.randint(1, 3), within=chance.random() / 100)
        done = started(tmp_path)
        assert done.wait(DEADLINE_S) == 0, (tmp_path / "log").read_text()[-2_000:]
        count, total = counted()
    assert (int(count), int(total)) == (
        sum(n % 3 for n in range(ROWS)),
        sum(n * (n % 3) for n in range(ROWS)),
    )
    assert "stored twice" not in (tmp_path / "log").read_text()


def started(folder):
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "program.py"],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        )


def killed(folder, *, after, within):
    """Run it until it has noted so many things, and a moment more, then kill it."""
    program = started(folder)
    seen, changes = noted(folder), 0
    deadline = time.monotonic() + DEADLINE_S
    while changes < after and program.poll() is None:
        assert time.monotonic() < deadline, (folder / "log").read_text()[-2_000:]
        now = noted(folder)
        changes, seen = changes + (now != seen), now
        time.sleep(0.001)
    time.sleep(within)
    program.kill()
    program.wait(DEADLINE_S)


def noted(folder):
    """When each position was last written."""
    return {p: p.stat().st_mtime_ns for p in (folder / ".buildflow").glob("positions/**/*.json")}


@pytest.mark.parametrize(
    ("source", "sink", "words", "message"),
    [
        (File("in.csv"), DuckDBTable("o.duckdb", "t"), {}, "add resume=True"),
        (File("in.csv", resume=True), None, {}, "there is no sink"),
        (File("in.csv", resume=True), Empty(), {}, "cannot tell a push that it has stored"),
        (SQSQueue("q"), DuckDBTable("o.duckdb", "t"), {}, "does not give the same again"),
        (
            File("in.csv", resume=True),
            DuckDBTable("o.duckdb", "t"),
            {"num_concurrency": 2},
            "leave num_replicas and num_concurrency at 1",
        ),
        (
            File("in.csv", resume=True),
            DuckDBTable("o.duckdb", "t"),
            {"enable_autoscaler": True},
            "leave enable_autoscaler out",
        ),
    ],
)
def test_where_it_cannot_be_had_it_is_refused(source, sink, words, message):
    app = Flow()
    with pytest.raises(DeclarationError, match=message):

        @app.consumer(source=source, sink=sink, delivery="exactly-once", **words)
        def copy(row: dict) -> dict:
            return row


def test_other_deliveries_are_refused():
    app = Flow()
    with pytest.raises(DeclarationError, match="delivery must be one of at-least-once, exactly"):

        @app.consumer(source=File("in.csv"), delivery="once")
        def copy(row: dict) -> None: ...
