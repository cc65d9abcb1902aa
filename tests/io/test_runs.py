"""What becomes of faulty files and tables in a whole run: nothing is lost in silence."""

import json
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buildflow_nb import Flow
from buildflow_nb.core.errors import RunError
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.io.duckdb import DuckDBQuery, DuckDBTable
from buildflow_nb.io.local import File
from tests.fakes import PATIENCE_S, FakeSink


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flow = Flow("test")
    yield flow
    if flow.handle is not None:
        flow.handle.stop(drain=False, timeout=1)


@dataclass
class Run:
    """What a run over a source came to."""

    state: State
    given: list
    failures: list
    reason: str


def ran(app, source, hint=dict) -> Run:
    sink = FakeSink()

    def price(x):
        return x

    price.__annotations__["x"] = hint
    app.consumer(source=source, sink=sink)(price)
    handle = app.run(block=False)
    try:
        state = handle.wait(PATIENCE_S)
    except RunError:
        state = handle.status()
    found = handle.snapshot().processor("price")
    return Run(state, sink.tape.pushed, handle.failures("price"), found.reason)


def test_json_lines_with_one_that_is_too_deep(app, tmp_path):
    deep = '{"id":1,"c":' + "[" * 100_000 + "]" * 100_000 + "}"
    lines = ['{"id":1}'] * 500 + [deep] + ['{"id":1}'] * 500
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    run = ran(app, File("in.jsonl"))
    assert (run.state, len(run.given), len(run.failures)) == (State.DONE, 1_000, 1)
    assert "in.jsonl line 501" in run.failures[0].origin


def test_parquet_with_a_day_that_python_has_not(app, tmp_path):
    days = pa.array([1, 2, 9_999_999, 3, 4], pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"d": days}), tmp_path / "in.parquet")
    run = ran(app, File("in.parquet"))
    assert (run.state, len(run.given), len(run.failures)) == (State.DONE, 4, 1)


def test_parquet_with_a_damaged_page(app, tmp_path):
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"n": list(range(50_000))}), path, row_group_size=5_000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = b"\x5a" * 300
    path.write_bytes(data)
    run = ran(app, File("in.parquet"))
    assert run.state is State.FAILED
    assert "in.parquet cannot be read on" in run.reason


def test_csv_with_a_quote_that_is_never_closed(app, tmp_path):
    rows = [f"{i},x\n" for i in range(201)]
    rows[100] = '100,"x\n'
    (tmp_path / "in.csv").write_text("id,n\n" + "".join(rows))
    run = ran(app, File("in.csv"))
    assert (run.state, len(run.given), len(run.failures)) == (State.DONE, 200, 1)
    assert "in.csv line 102" in run.failures[0].origin


def test_a_table_with_a_moment_that_python_has_not(app, tmp_path):
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT range AS i, now()::TIMESTAMP AS ts FROM range(10000)"
        )
        connection.execute("UPDATE t SET ts = 'infinity' WHERE i = 4321")
    run = ran(app, DuckDBTable("shop.duckdb", "t"))
    assert (run.state, len(run.given), len(run.failures)) == (State.DONE, 9_999, 1)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (
            "SELECT CAST(if(range = 9000, 'n/a', '1') AS INTEGER) FROM range(10000)",
            "Could not conv",
        ),
        ("SELECT 1 AS id, 2 AS id", "two columns named 'id'"),
    ],
)
def test_a_query_that_cannot_succeed(app, tmp_path, query, reason):
    duckdb.connect(str(tmp_path / "shop.duckdb")).close()
    run = ran(app, DuckDBQuery("shop.duckdb", query))
    assert run.state is State.FAILED
    assert reason in run.reason


def test_a_sum_into_an_int(app, tmp_path):
    @dataclass
    class Total:
        s: int

    duckdb.connect(str(tmp_path / "shop.duckdb")).close()
    run = ran(app, DuckDBQuery("shop.duckdb", "SELECT sum(range) AS s FROM range(10)"), Total)
    assert run.given == [Total(45)]


def test_runs_that_resume(app, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f'{{"n":{n}}}\n' for n in range(2_000)))
    source = File("in.jsonl", resume=True)
    assert len(ran(app, source).given) == 2_000
    with path.open("a") as file:
        file.write(json.dumps({"n": 2_000}) + "\n")
    again = ran(app, source)
    assert (again.state, again.given) == (State.DONE, [{"n": 2_000}])
    assert ran(app, source).given == []
