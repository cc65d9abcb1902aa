"""Who gets into a DuckDB file while a sink is open on it."""

import asyncio
import subprocess
import sys

import duckdb
import pytest

from buildflow_nb.core.errors import TemporaryError
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.duckdb import DuckDBTable, sink
from tests.io.contract import pushed, run
from tests.io.records import POINTS, Point

COUNT = """
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    print(connection.execute("SELECT count(*) FROM t").fetchone()[0])
"""
HOLDER = """
import duckdb, sys
input()
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
input()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.duckdb"


def counted(path):
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute("SELECT count(*) FROM t").fetchone()[0]


def counted_elsewhere(path):
    done = subprocess.run(
        [sys.executable, "-c", COUNT, str(path)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


async def until_open_to(look, path):
    """What a look finds once it gets in; as often as it takes, within the deadline of `run`."""
    while True:
        try:
            return await asyncio.to_thread(look, path)
        except (duckdb.Error, subprocess.CalledProcessError):
            continue


@pytest.mark.parametrize("look", [counted, counted_elsewhere])
def test_readers_get_in_while_an_open_sink_is_idle(path, look):
    async def go():
        async with DuckDBTable(path, "t").sink(Env(), Point) as sink:
            found = [await until_open_to(look, path)]
            for _ in range(2):
                await sink.push(POINTS)
                found.append(await until_open_to(look, path))
            return found

    assert run(go()) == [0, 3, 6]


def test_under_load_it_keeps_the_file(path, monkeypatch):
    opened = []
    connect = sink.connect
    monkeypatch.setattr(sink, "connect", lambda name: opened.append(name) or connect(name))

    async def go():
        async with DuckDBTable(path, "t").sink(Env(), Point) as sink:
            for _ in range(30):
                await sink.push(POINTS)

    run(go())
    assert len(opened) <= 3  # a machine may pause for half a second


@pytest.mark.parametrize("how", [{"read_only": True}, {"config": {"threads": 1}}])
def test_a_push_waits_until_a_reader_has_left(path, how):
    async def go():
        async with DuckDBTable(path, "t").sink(Env(), Point) as sink:
            await until_open_to(counted, path)
            with duckdb.connect(str(path), **how), pytest.raises(TemporaryError, match="settings"):
                await sink.push(POINTS)
            await sink.push(POINTS)

    run(go())
    assert counted(path) == 3


def test_a_push_waits_until_another_process_has_left(path):
    async def go(other):
        async with DuckDBTable(path, "t").sink(Env(), Point) as sink:
            await until_open_to(counted, path)
            other.stdin.write("open\n")
            other.stdin.flush()
            assert other.stdout.readline()
            with pytest.raises(TemporaryError, match=rf"locked by .*process {other.pid}\b"):
                await sink.push(POINTS)
            other.communicate("close\n")
            await sink.push(POINTS)

    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        run(go(other))
    assert counted(path) == 3


def test_two_sinks_on_one_file_rest_each_by_itself(path):
    async def go():
        table = DuckDBTable(path, "t")
        async with table.sink(Env(), Point) as one, table.sink(Env(), Point) as two:
            await one.push(POINTS)
            found = [await until_open_to(counted, path)]
            await asyncio.gather(one.push(POINTS), two.push(POINTS))
            found.append(await until_open_to(counted, path))
            return found

    assert run(go()) == [3, 9]


def test_a_source_holds_the_file_only_while_it_reads(path):
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS n FROM range(1500)")

    async def go():
        async with DuckDBTable(path, "t").source(Env()) as source:
            counted(path)
            while await source.pull() is not None:
                pass
            return counted(path)

    assert run(go()) == 1_500


def test_a_cell_of_this_process_reads_while_a_flow_writes(path):
    table = DuckDBTable(path, "t")

    async def go():
        async with table.sink(Env(), Point) as sink:
            await sink.push(POINTS)
            with duckdb.connect(str(path)) as connection:
                seen = connection.execute("SELECT count(*) FROM t").fetchall()
            with table.connect() as connection:
                seen += connection.execute("SELECT sum(x) FROM t").fetchall()
            with pytest.raises(duckdb.ConnectionException, match="different configuration"):
                duckdb.connect(str(path), read_only=True)
            await sink.push(POINTS)
            return seen

    assert run(go()) == [(3,), (6,)]
    assert counted(path) == 6


def test_a_cell_that_holds_the_file_read_only_is_waited_for(path):
    duckdb.connect(str(path)).close()

    async def go():
        async with DuckDBTable(path, "t").sink(Env(), Point) as sink:
            with pytest.raises(TemporaryError, match="open in this process with other settings"):
                await sink.push(POINTS)
            reader.close()
            await sink.push(POINTS)

    reader = duckdb.connect(str(path), read_only=True)
    run(go())
    assert counted(path) == 3


def test_a_file_that_another_process_holds_is_waited_for(path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    async def go():
        async with DuckDBTable(path, "t").sink(Env(), Point) as sink:
            words = rf"shop\.duckdb is locked by .*process {process.pid}\)?; close it there"
            with pytest.raises(TemporaryError, match=words):
                await sink.push(POINTS)
            process.communicate("\n")
            await sink.push(POINTS)

    with process:
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline()
        run(go())
    assert counted(path) == 3


def test_closing_lets_other_processes_in(path):
    table = DuckDBTable(path, "t")
    pushed(table, POINTS, element=Point)

    async def go():
        async with table.source(Env()) as source:
            await source.pull()

    run(go())
    code = "import duckdb, sys; duckdb.connect(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=20)
