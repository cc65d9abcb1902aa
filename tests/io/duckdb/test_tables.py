"""DuckDB tables and queries."""

import datetime as dt
import decimal
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, make_dataclass

import duckdb
import pytest

from buildflow_nb.core.errors import (
    DeclarationError,
    PartialPushError,
    PermanentError,
    TemporaryError,
)
from buildflow_nb.core.primitive import Env, Readable, Wire, Writable
from buildflow_nb.io.duckdb import DuckDB, DuckDBQuery, DuckDBTable
from buildflow_nb.io.duckdb.source import DuckDBReader
from tests.io.contract import SinkContract, SourceContract, pulled, pushed, run
from tests.io.records import (
    POINT_TYPES,
    POINTS,
    UNTYPED,
    UNTYPED_BAD,
    Everything,
    Point,
    decoded,
    everything,
)

NUMBERS = [{"n": i, "s": str(i)} for i in range(2_000)]
RECORDS = [{"x": i, "name": f"row {i}"} for i in range(2_500)]


def rows(path, query):
    with duckdb.connect(str(path)) as connection:
        return connection.execute(query).fetchall()


def types(path, table="t"):
    return {row[0]: row[1] for row in rows(path, f"DESCRIBE {table}")}


class TestSource(SourceContract):
    reads = (DuckDBReader, "_fetch")
    expected = RECORDS

    def make(self, folder):
        return DuckDBTable(folder / "shop.duckdb", "t")

    def prepare(self, folder):
        pushed(self.make(folder), RECORDS)
        return self.make(folder)


class TestQuery(SourceContract):
    reads = (DuckDBReader, "_fetch")
    expected = NUMBERS

    def make(self, folder):
        query = "SELECT range AS n, range::VARCHAR AS s FROM range(2000)"
        return DuckDBQuery(folder / "shop.duckdb", query)

    def prepare(self, folder):
        duckdb.connect(str(folder / "shop.duckdb")).close()
        return self.make(folder)


class TestSink(SinkContract):
    writes_to = "shop.duckdb"
    element = Point
    samples = POINTS
    bad = Point("no number", "x")

    def make(self, folder):
        return DuckDBTable(folder / "shop.duckdb", "t")

    def read(self, folder):
        return [Point(*row) for row in rows(folder / "shop.duckdb", "SELECT x, name FROM t")]


class TestUntypedSink(TestSink):
    element = None
    samples = UNTYPED
    bad = UNTYPED_BAD

    def read(self, folder):
        found = rows(folder / "shop.duckdb", "SELECT x, name FROM t")
        return [{"x": x, "name": name} for x, name in found]


class TestSinkWithConstraints(TestSink):
    """Faults that only DuckDB itself can find."""

    writes_to = ""  # it makes the table first
    bad = Point(1_000, "does not fit a TINYINT")

    def make(self, folder):
        return DuckDBTable(folder / "shop.duckdb", "t")

    def write(self, primitive, *pushes):
        with duckdb.connect(primitive.database) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS t (name VARCHAR, x TINYINT NOT NULL)")
        super().write(primitive, *pushes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.duckdb"


def test_paths_names_and_labels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = DuckDBTable("shop.duckdb", "priced")
    assert table.database == str(tmp_path / "shop.duckdb")
    assert table.primitive_id == f"{tmp_path}/shop.duckdb:priced"
    assert table.label == "shop.duckdb / priced"
    assert DuckDB is DuckDBTable
    assert table.source_wire is Wire.RECORD
    assert table.sink_wire is Wire.OBJECT
    assert isinstance(table, Readable)
    assert isinstance(table, Writable)
    assert not isinstance(DuckDBQuery("shop.duckdb", "SELECT 1"), Writable)
    cloud = DuckDBTable("md:shop?motherduck_token=secret", "t")
    assert cloud.database.startswith("md:shop?")
    assert cloud.primitive_id == "md:shop:t"
    assert "secret" not in repr(cloud) + cloud.label


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DuckDBTable("a.duckdb", ""), "table must be the name of a table, got ''"),
        (lambda: DuckDBTable(":memory:", "t"), "database must be a file, got ':memory:'"),
        (lambda: DuckDBQuery("a.duckdb", " "), "query must be SQL, got ' '"),
    ],
)
def test_nonsense_is_refused_at_once(make, words):
    with pytest.raises(DeclarationError, match=words):
        make()


def test_every_type_comes_back(path):
    table = DuckDBTable(path, "t")
    pushed(table, everything(), element=Everything)
    assert decoded(Everything, table, pulled(table)) == everything()


def test_columns_have_the_types_declared(path):
    pushed(DuckDBTable(path, "t"), everything(), element=Everything)
    inner = 'STRUCT(x BIGINT, words VARCHAR[], "key" UUID, colour VARCHAR)'
    assert {name: kind.replace('"key"', "key") for name, kind in types(path).items()} == {
        "number": "BIGINT",
        "ratio": "DOUBLE",
        "name": "VARCHAR",
        "flag": "BOOLEAN",
        "at": "TIMESTAMP",
        "zoned": "TIMESTAMP WITH TIME ZONE",
        "day": "DATE",
        "clock": "TIME",
        "span": "INTERVAL",
        "amount": "DECIMAL(38,9)",
        "key": "UUID",
        "raw": "BLOB",
        "colour": "VARCHAR",
        "level": "BIGINT",
        "tags": "VARCHAR[]",
        "pairs": "BIGINT[]",
        "counts": "JSON",
        "inner": inner.replace('"key"', "key"),
        "inners": inner.replace('"key"', "key") + "[]",
        "either": "JSON",
        "note": "VARCHAR",
        "maybe": "BIGINT",
        "later": "TIMESTAMP WITH TIME ZONE",
        "extra": "JSON",
    }


@pytest.mark.parametrize("kind", POINT_TYPES)
@pytest.mark.parametrize("declared", [True, False])
def test_every_record_type(path, kind, declared):
    table = DuckDBTable(path, "t")
    pushed(table, [kind(x=1, name="one")], element=kind if declared else None)
    assert pulled(table) == [{"x": 1, "name": "one"}]


def test_undeclared_columns_are_told_by_their_values(path):
    first = {"a": None, "b": 1, "c": [None, 2], "d": {"x": 1}, "e": dt.date(2024, 1, 1)}
    pushed(DuckDBTable(path, "t"), [first, {**first, "b": 1.5, "a": "x"}])
    assert types(path) == {
        "a": "VARCHAR",
        "b": "DOUBLE",
        "c": "BIGINT[]",
        "d": "JSON",
        "e": "DATE",
    }
    assert pulled(DuckDBTable(path, "t"))[0] == {**first, "b": 1.0}


def test_the_table_is_there_as_soon_as_the_sink_is_open(path):
    pushed(DuckDBTable(path, "t"), element=Point)
    assert types(path) == {"x": "BIGINT", "name": "VARCHAR"}


def test_times_decide_with_the_first_push(path):
    @dataclass
    class At:
        at: dt.datetime | None

    table = DuckDBTable(path, "t")
    noon = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
    pushed(table, [], [At(None), At(noon)], [At(noon.replace(tzinfo=None))], element=At)
    assert types(path) == {"at": "TIMESTAMP WITH TIME ZONE"}
    assert decoded(At, table, pulled(table)) == [At(None), At(noon), At(noon)]


def test_an_existing_table_is_filled_by_name(path):
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t (more INTEGER DEFAULT 7, NAME VARCHAR, x SMALLINT)")
    pushed(DuckDBTable(path, "t"), POINTS[:1], element=Point)
    assert rows(path, "FROM t") == [(7, "one", 1)]


def test_a_table_with_other_columns_is_refused_when_opened(path):
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t (y INTEGER, z INTEGER)")
    words = r"table 't' in .*shop\.duckdb has no column 'x', 'name' \(it has y, z\); add it, drop"
    with pytest.raises(PermanentError, match=words):
        pushed(DuckDBTable(path, "t"), element=Point)
    with pytest.raises(PermanentError, match=words):
        pushed(DuckDBTable(path, "t"), [{"x": 1, "name": "one"}])


def test_names_need_no_care(path):
    table = DuckDBTable(path, 'select "; drop')
    pushed(table, [{'a"b': 1, "order by": 2}])
    assert pulled(table) == [{'a"b': 1, "order by": 2}]
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA s")
    pushed(DuckDBTable(path, "s.t"), POINTS[:1], element=Point)
    assert rows(path, "FROM s.t") == [(1, "one")]


def test_a_table_that_is_dropped_meanwhile_is_made_anew(path):
    table = DuckDBTable(path, "t")

    async def go():
        async with table.sink(Env(), Point) as sink:
            await sink.push(POINTS)
            rows(path, "DROP TABLE t")
            await sink.push(POINTS)

    run(go())
    assert rows(path, "SELECT count(*) FROM t") == [(3,)]


@pytest.mark.parametrize(
    ("column", "kind", "fitting", "cut"),
    [
        ("BIGINT", float, 2.0, 1.9),
        ("DECIMAL(10,2)", float, 1.24, 1.239),
        ("DECIMAL(10,2)", decimal.Decimal, decimal.Decimal("1.24"), decimal.Decimal("1.239")),
        ("INTEGER", decimal.Decimal, decimal.Decimal(2), decimal.Decimal("1.5")),
        ("DOUBLE", int, 2**53, 2**53 + 1),
        ("BOOLEAN", int, 1, 2),
        ("BIGINT", str, "12", "1.9"),
        ("DATE", dt.datetime, dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 5)),
        ("TIMESTAMP_S", dt.datetime, dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 0, 0, 0, 5)),
    ],
)
@pytest.mark.parametrize("declared", [True, False])
def test_what_a_column_would_cut_is_refused_alone(path, column, kind, fitting, cut, declared):  # noqa: PLR0913, PLR0917
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE t (V {column})")
    element = make_dataclass("Element", [("v", kind | None)])
    items = [element(value) for value in (fitting, cut, None, fitting)]
    with pytest.raises(PartialPushError) as caught:
        pushed(DuckDBTable(path, "t"), items, element=element if declared else None)
    assert list(caught.value.failed) == [1]
    said = str(caught.value.failed[1])
    assert said.startswith(f"column 'v': {column} would cut the value")
    assert len(rows(path, "FROM t")) == 3


def test_a_moment_that_utc_has_not_fails_alone(path):
    @dataclass
    class At:
        at: dt.datetime | None

    def moment(year, hours):
        return At(dt.datetime(year, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=hours))))

    last = dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-1)))
    items = [moment(1, 0), moment(1, 14), At(None), At(last), moment(2024, 14)]
    with pytest.raises(PartialPushError) as caught:
        pushed(DuckDBTable(path, "t"), items, element=At)
    assert list(caught.value.failed) == [1, 3]
    assert "column 'at': a moment before the year 1 or" in str(caught.value.failed[1])
    assert decoded(At, DuckDBTable(path, "t"), pulled(DuckDBTable(path, "t"))) == items[::2]


def test_a_field_without_a_name_is_told_in_one_line(path):
    with pytest.raises(PermanentError, match="table 't': the elements have a field named ''"):
        pushed(DuckDBTable(path, "t"), [{"": 1, "x": 2}])


def test_a_key_that_is_taken_fails_alone(path):
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t (x INTEGER PRIMARY KEY, name VARCHAR)")
    points = [Point(1, "one"), Point(2, "two"), Point(1, "again"), Point(3, "three")]
    with pytest.raises(PartialPushError, match=r"1 of 4 elements .*[Dd]uplicate key"):
        pushed(DuckDBTable(path, "t"), points, element=Point)
    assert rows(path, "FROM t ORDER BY x") == [(1, "one"), (2, "two"), (3, "three")]


def test_the_column_at_fault_is_named(path):
    with pytest.raises(PartialPushError) as caught:
        pushed(DuckDBTable(path, "t"), [Point(2**63, "big"), Point(1.5, "half")], element=Point)
    assert str(caught.value.failed[0]).startswith("column 'x' (BIGINT): ")
    assert str(caught.value.failed[1]) == "column 'x' (BIGINT): expected int, got 1.5"


def test_an_element_of_ten_megabytes(path):
    big = Point(1, "ü" * 5_000_000)
    pushed(DuckDBTable(path, "t"), [big], element=Point)
    assert pulled(DuckDBTable(path, "t")) == [{"x": 1, "name": big.name}]


def test_what_is_no_database_is_refused(tmp_path):
    (tmp_path / "text.duckdb").write_text("hello" * 1_000)
    with pytest.raises(PermanentError, match="not a valid DuckDB database file"):
        pushed(DuckDBTable(tmp_path / "text.duckdb", "t"), POINTS, element=Point)
    with pytest.raises(PermanentError, match="Is a directory"):
        pushed(DuckDBTable(tmp_path, "t"), POINTS, element=Point)


def test_folders_are_made(tmp_path):
    table = DuckDBTable(tmp_path / "new" / "shop.duckdb", "t")
    pushed(table, POINTS, element=Point)
    assert decoded(Point, table, pulled(table)) == POINTS


def test_a_source_waits_for_file_and_table(path):
    table = DuckDBTable(path, "t")

    async def go():
        async with table.source(Env()) as source:
            with pytest.raises(TemporaryError, match=r"shop\.duckdb does not exist \(yet\)"):
                await source.pull()
            assert not path.exists()
            duckdb.connect(str(path)).close()
            with pytest.raises(TemporaryError, match=r"does not hold .*Table with name t"):
                await source.pull()
            rows(path, "CREATE TABLE t AS SELECT 1 AS x")
            return (await source.pull()).items

    assert list(run(go())) == [{"x": 1}]


def test_a_query_that_is_no_sql_is_refused(path):
    duckdb.connect(str(path)).close()
    with pytest.raises(PermanentError, match="Parser Error"):
        pulled(DuckDBQuery(path, "SELEC 1"))


def test_backlogs(path):
    pushed(DuckDBTable(path, "t"), RECORDS)

    async def backlogs(primitive):
        async with primitive.source(Env()) as source:
            await source.pull()
            return await source.backlog()

    assert run(backlogs(DuckDBTable(path, "t"))) == 2_500 - 1_000
    assert run(backlogs(DuckDBQuery(path, "FROM t"))) is None


def test_a_source_sees_the_rows_of_its_opening(path):
    table = DuckDBTable(path, "t")
    pushed(table, RECORDS)

    async def go():
        async with table.source(Env()) as source, table.sink(Env(), None) as sink:
            found = list((await source.pull()).items)
            await sink.push(RECORDS)
            while (batch := await source.pull()) is not None:
                found += batch.items
            return found

    assert run(go()) == RECORDS


WRITER = """
import asyncio, sys
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.duckdb import DuckDBTable

async def main(path):
    async with DuckDBTable(path, "t").sink(Env(), None) as sink:
        for push in range(1_000_000):
            await sink.push([{"push": push, "row": row} for row in range(2_000)])
            print(push, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_killed_writer_leaves_whole_pushes(path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    with process:
        done = [process.stdout.readline() for _ in range(4)]
        os.kill(process.pid, signal.SIGKILL)
        done += process.stdout.read().split()
    found = pulled(DuckDBTable(path, "t"))
    assert [row["row"] for row in found] == list(range(2_000)) * (len(found) // 2_000)
    assert len(done) <= len(found) // 2_000 <= len(done) + 1
