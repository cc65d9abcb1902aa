"""DuckDB tables whose rows are replaced by their key."""

import asyncio
import datetime as dt
import uuid
from dataclasses import dataclass

import duckdb
import pytest

from buildflow_nb.core.errors import DeclarationError, PartialPushError, PermanentError
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.duckdb import DuckDBTable
from tests.io.contract import SinkContract, pushed, run
from tests.io.records import POINTS, Everything, Point, everything


def rows(path, query):
    with duckdb.connect(str(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.duckdb"


class TestSink(SinkContract):
    """Each element has a key of its own here, so that all that a sink keeps is kept."""

    element = Point
    samples = POINTS
    bad = Point(None, "no key")
    writes_to = "shop.duckdb"

    def make(self, folder):
        return DuckDBTable(folder / "shop.duckdb", "t", key="x")

    def read(self, folder):
        return [Point(*row) for row in rows(folder / "shop.duckdb", "SELECT x, name FROM t")]

    def test_concurrent_pushes_stay_whole(self, tmp_path):
        primitive = self.make(tmp_path)

        async def go():
            async with primitive.sink(Env(), Point) as one, primitive.sink(Env(), Point) as two:
                await asyncio.gather(*(sink.push(POINTS) for sink in (one, two, one, one)))

        run(go())
        assert sorted(self.read(tmp_path), key=lambda point: point.x) == POINTS

    def test_a_cancelled_push_is_whole_or_absent(self, tmp_path):
        primitive = self.make(tmp_path)

        async def go():
            async with primitive.sink(Env(), Point) as sink:
                task = asyncio.ensure_future(sink.push(POINTS))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await sink.push(POINTS)

        run(go())
        assert self.read(tmp_path) == POINTS


def test_an_element_that_comes_again_replaces_itself(path):
    table = DuckDBTable(path, "t", key="x")
    pushed(table, POINTS, [Point(2, "new")], element=Point)
    pushed(table, [Point(2, "newer"), Point(4, "four"), Point(2, "newest")], element=Point)
    found = rows(path, "FROM t ORDER BY x")
    assert found == [(1, "one"), (2, "newest"), (3, POINTS[2].name), (4, "four")]


def test_a_key_of_several_columns(path):
    table = DuckDBTable(path, "t", key=["a", "B"])
    pushed(table, [{"a": 1, "b": 1, "v": "x"}, {"a": 1, "b": 2, "v": "y"}])
    pushed(table, [{"a": 1, "b": 2, "v": "z"}, {"a": 2, "b": 2, "v": "w"}])
    assert rows(path, "FROM t ORDER BY ALL") == [(1, 1, "x"), (1, 2, "z"), (2, 2, "w")]


@pytest.mark.parametrize("key", ["number", "at", "day", "amount", "clock", "colour", "name"])
def test_keys_of_many_types_and_rows_of_all(path, key):
    table = DuckDBTable(path, "t", key=key)
    for _ in range(2):
        pushed(table, everything(), everything(), element=Everything)
    assert rows(path, "SELECT count(*) FROM t") == [(2,)]


@dataclass
class Seen:
    id: uuid.UUID
    at: dt.datetime


def test_one_moment_in_two_zones_is_one_key(path):
    table = DuckDBTable(path, "t", key="at")
    noon = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
    east = noon.astimezone(dt.timezone(dt.timedelta(hours=5)))
    first, second = uuid.uuid4(), uuid.uuid4()
    pushed(table, [Seen(first, noon), Seen(second, east)], element=Seen)
    assert rows(path, "SELECT id FROM t") == [(second,)]


def test_no_key_fails_alone(path):
    table = DuckDBTable(path, "t", key=("x", "name"))
    with pytest.raises(
        PartialPushError, match=r"1 of 3 elements .*'name' is the key of table 't' "
    ):
        pushed(table, [POINTS[0], Point(7, None), POINTS[1]], element=Point)
    assert rows(path, "SELECT x FROM t") == [(1,), (2,)]


def test_the_last_sound_one_of_a_key_stays(path):
    items = [Point(1, "first"), Point(2, "other"), Point(1, "second"), Point(1, 7.5)]
    with pytest.raises(PartialPushError) as caught:
        pushed(DuckDBTable(path, "t", key="x"), items, element=Point)
    assert list(caught.value.failed) == [3]
    assert rows(path, "FROM t ORDER BY x") == [(1, "second"), (2, "other")]


def test_a_push_that_fails_deletes_nothing(path):
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE t (x INTEGER PRIMARY KEY, name VARCHAR CHECK (name <> ''))"
        )
    table = DuckDBTable(path, "t", key="x")
    pushed(table, POINTS, element=Point)
    with pytest.raises(PartialPushError, match="1 of 1 elements"):
        pushed(table, [Point(2, "")], element=Point)
    assert rows(path, "SELECT x FROM t ORDER BY x") == [(1,), (2,), (3,)]


@pytest.mark.parametrize("has", ["", "name VARCHAR PRIMARY KEY, ", "PRIMARY KEY (x, y), "])
def test_a_table_without_that_key_is_refused(path, has):
    with duckdb.connect(str(path)) as connection:
        columns = "x BIGINT, y BIGINT" + ("" if "name" in has else ", name VARCHAR")
        connection.execute(f"CREATE TABLE t ({columns}, {has})".replace(", )", ")"))
    words = (
        r'has not the primary key \("x"\), .*; ALTER TABLE "t" ADD PRIMARY KEY \("x"\), or write'
    )
    with pytest.raises(PermanentError, match=words):
        pushed(DuckDBTable(path, "t", key="x"), element=Point)
    with pytest.raises(PermanentError, match=words):
        pushed(DuckDBTable(path, "t", key="x"), [{"x": 1, "name": "one"}])


def test_the_cure_for_a_missing_key_works(path):
    pushed(DuckDBTable(path, "t"), POINTS, element=Point)
    rows(path, 'ALTER TABLE "t" ADD PRIMARY KEY ("x")')
    pushed(DuckDBTable(path, "t", key="x"), POINTS, element=Point)
    assert rows(path, "SELECT count(*) FROM t") == [(3,)]


def test_a_key_that_is_no_field_is_refused(path):
    words = "the key 'id' of table 't' is no field of the elements .they have x, name.; name one"
    with pytest.raises(PermanentError, match=words):
        pushed(DuckDBTable(path, "t", key="id"), element=Point)
    with pytest.raises(PermanentError, match=words):
        pushed(DuckDBTable(path, "t", key="id"), [{"x": 1, "name": "one"}])


@pytest.mark.parametrize("key", ["", (), ("a", ""), 7, ("a", "A")])
def test_nonsense_is_refused_at_once(key):
    with pytest.raises(DeclarationError, match="DuckDBTable: key "):
        DuckDBTable("shop.duckdb", "t", key=key)


def test_it_is_shown_and_compared():
    table = DuckDBTable("/shop.duckdb", "t", key=["a", "b"])
    assert repr(table) == "DuckDBTable(database='/shop.duckdb', table='t', key=('a', 'b'))"
    assert table == DuckDBTable("/shop.duckdb", "t", ("a", "b"))
    assert table != DuckDBTable("/shop.duckdb", "t")
    assert hash(table)
