"""Tables of ClickHouse as sinks."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import uuid
from dataclasses import dataclass, make_dataclass, replace
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from buildflow_nb.core.errors import (
    DeclarationError,
    DeniedError,
    PartialPushError,
    PermanentError,
    TemporaryError,
)
from buildflow_nb.core.findings import Health
from buildflow_nb.core.primitive import Env, PushId
from buildflow_nb.io.clickhouse import ClickhouseTable
from buildflow_nb.io.clickhouse.errors import fault_of
from buildflow_nb.io.clickhouse.sink import ClickhouseSink
from buildflow_nb.local_cloud.clickhouse.store import CLICKHOUSE
from tests.io.contract import SinkContract, pushed, run
from tests.io.records import POINTS, Point
from tests.local_cloud.servers import PASSWORD, Served

pytestmark = pytest.mark.emulator


class TestSink(SinkContract):
    element = Point
    samples = POINTS
    bad = Point("no number", "x")

    @pytest.fixture(autouse=True)
    def _shop(self, shop):
        self.shop = shop

    def make(self, folder):
        return self.shop.table(folder)

    def read(self, folder):
        # Each push is a part; parts are numbered in the order in which they came.
        sql = "SELECT x, name FROM @ ORDER BY _part_index, _part_offset"
        return [Point(*row) for row in self.shop.query(sql, self.make(folder))]


def test_of_one_key_the_last_row_stays(shop, tmp_path):
    table = shop.table(tmp_path, key=["x"])
    pushed(table, POINTS, [replace(point, name="new") for point in POINTS[:2]], element=Point)
    found = shop.query("SELECT x, name FROM @ FINAL ORDER BY x", table)
    expected = {point.x: point.name for point in POINTS} | {p.x: "new" for p in POINTS[:2]}
    assert found == sorted(expected.items())


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Inner:
    x: int
    y: str | None


@dataclass
class Everything:
    i: int
    f: float
    b: bool
    s: str
    raw: bytes
    day: dt.date
    clock: dt.time
    at: dt.datetime
    span: dt.timedelta
    amount: decimal.Decimal
    key: uuid.UUID
    free: dict[str, Any]
    words: list[str]
    inner: Inner
    inners: list[Inner]
    colour: Colour
    maybe: int | None = None
    maybe_inner: Inner | None = None
    maybe_words: list[str] | None = None
    maybe_span: dt.timedelta | None = None
    maybe_key: uuid.UUID | None = None
    spans: tuple[dt.timedelta, ...] = ()


ALL = Everything(
    2**63 - 1, float("inf"), True, "caf\xe9 'quoted'", b"\x00\xff", dt.date(1960, 1, 2),
    dt.time(1, 2, 3, 4), dt.datetime(2020, 1, 2, 3, 4, 5, 6, dt.timezone(dt.timedelta(hours=2))),
    dt.timedelta(hours=-2, microseconds=3), decimal.Decimal("-1.000000001"), uuid.UUID(int=7),
    {"a": [1, None]}, ["x", ""], Inner(1, None), [Inner(2, "y")], Colour.RED,
)  # fmt: skip
GIVEN = replace(
    ALL,
    maybe=5,
    maybe_inner=Inner(3, "z"),
    maybe_words=["w"],
    maybe_span=dt.timedelta(seconds=1),
    maybe_key=uuid.UUID(int=8),
    spans=(dt.timedelta(seconds=2),),
)


def test_every_type_arrives_as_the_page_says(shop, tmp_path):
    table = shop.table(tmp_path)
    pushed(table, [ALL, GIVEN], element=Everything)
    types = dict(row[:2] for row in shop.query("DESCRIBE TABLE @", table))
    assert types["at"] == "DateTime64(6, 'UTC')"
    assert types["inner"].split() == ["Tuple(", "x", "Int64,", "y", "Nullable(String))"]
    found = shop.query("SELECT * EXCEPT (raw), hex(raw) FROM @ ORDER BY maybe", table)
    names = [name for name in types if name != "raw"]
    without, given = (dict(zip(names, row[:-1], strict=True)) for row in found[::-1])
    assert found[0][-1] == "00FF"
    plain = {"i", "f", "b", "s", "amount", "key", "maybe", "maybe_key"}
    assert {name: given[name] for name in plain} == {name: getattr(GIVEN, name) for name in plain}
    assert given["day"] == GIVEN.day
    assert given["clock"] == "01:02:03.000004"
    assert given["at"] == dt.datetime(2020, 1, 2, 1, 4, 5, 6)
    assert given["span"] == -7_199_999_997
    assert json.loads(given["free"]) == GIVEN.free
    assert given["inner"] == {"x": 1, "y": None}
    assert given["inners"] == [{"x": 2, "y": "y"}]
    assert given["colour"] == "red"
    assert json.loads(given["maybe_inner"]) == {"x": 3, "y": "z"}
    assert (given["maybe_words"], given["maybe_span"], given["spans"]) == (
        ["w"],
        10**6,
        [2 * 10**6],
    )
    missing = [without[f"maybe{end}"] for end in ("", "_inner", "_words", "_span", "_key")]
    assert missing == [None, None, [], None, None]


def test_a_push_is_stored_once_whoever_repeats_it(shop, tmp_path):
    table = shop.table(tmp_path)

    async def go():
        for _ in range(2):
            async with table.sink(Env(), Point) as sink:
                await sink.push_once(POINTS, PushId("flow-prices", 0, len(POINTS)))
        async with table.sink(Env(), Point) as sink:
            await sink.push_once(POINTS, PushId("flow-prices", len(POINTS), len(POINTS)))
            await sink.push_once(POINTS, PushId("flow-others", 0, len(POINTS)))

    run(go())
    assert shop.query("SELECT count() FROM @", table) == [(3 * len(POINTS),)]


def test_a_row_that_a_table_of_others_refuses_fails_alone(shop, tmp_path):
    table = shop.table(tmp_path)
    shop.query("CREATE DATABASE IF NOT EXISTS `sh\\`op`")
    shop.query(
        "CREATE TABLE @ (x UInt8, name String, CONSTRAINT small CHECK x < 100)"
        " ENGINE = MergeTree ORDER BY x",
        table,
    )
    items = [Point(1, "one"), Point(100, "big"), Point(2, "two")]
    with pytest.raises(PartialPushError) as found:
        pushed(table, items, element=Point)
    assert list(found.value.failed) == [1]
    assert shop.query("SELECT x FROM @ ORDER BY x", table) == [(1,), (2,)]


UTC = dt.UTC
NAN, INF = float("nan"), float("inf")


def moment(*parts):
    return dt.datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    "case",  # the column's type, the field's, values that it holds, values that it does not
    [
        ("Int32", int, [2**31 - 1, -(2**31)], [3_000_000_000, -3_000_000_000]),
        ("Nullable(UInt8)", int | None, [0, 255, None], [300, -1]),
        ("UInt64", int, [2**63 - 1], [-1]),
        ("Int64", int | None, [5], [None]),
        ("Int64", float, [2.0], [1.9, NAN, INF, 1e30]),
        ("Int64", decimal.Decimal, [decimal.Decimal(2)], [decimal.Decimal("1.9")]),
        ("Int64", str, ["12"], ["words"]),
        ("String", str | None, ["x"], [None]),
        ("LowCardinality(Nullable(String))", str | None, ["x", None], ["\ud800"]),
        ("FixedString(3)", str, ["abc"], ["abcd"]),
        ("Enum8('a' = 1, 'b' = 2)", str, ["a"], ["zzz"]),
        ("Bool", int, [1, 0], [2]),
        ("Float32", float, [0.5, INF, -3.4e38], [1e300, -1e39]),
        ("Float64", int, [2**53], [2**53 + 1]),
        ("Decimal(10, 2)", decimal.Decimal, [decimal.Decimal("1.23")],
         [decimal.Decimal("1.239"), decimal.Decimal("123456789012")]),
        ("Decimal(10, 2)", float, [1.25], [1.239, NAN, 1e9]),
        ("Date", dt.date, [dt.date(1970, 1, 1), dt.date(2149, 6, 6)],
         [dt.date(1950, 1, 1), dt.date(2200, 1, 1)]),
        ("Date", dt.datetime, [moment(2020, 1, 1)], [moment(2020, 1, 1, 5)]),
        ("DateTime", dt.datetime, [moment(1970, 1, 1), moment(2106, 2, 7, 6, 28, 15)],
         [moment(1950, 1, 1), moment(2200, 1, 1), moment(2020, 1, 1, 1, 1, 1, 500_000)]),
        ("DateTime64(3)", dt.datetime, [moment(2020, 1, 1, 1, 1, 1, 500_000)],
         [moment(2020, 1, 1, 1, 1, 1, 500_123), moment(1800, 1, 1)]),
        ("DateTime64(9)", dt.datetime, [moment(2262, 1, 1)], [moment(2263, 1, 1)]),
        ("Array(UInt8)", list[int], [[], [1, 255]], [[1, 256], [-1]]),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_column_of_others_would_hold_as_something_else_fails_alone(shop, tmp_path, case):
    there, hint, sound, bad = case
    table = shop.table(tmp_path)
    shop.query("CREATE DATABASE IF NOT EXISTS `sh\\`op`")
    shop.query(f"CREATE TABLE @ (n UInt32, v {there}) ENGINE = MergeTree ORDER BY n", table)
    element = make_dataclass("Row", [("n", int), ("v", hint)])
    items = [element(n, value) for n, value in enumerate([*sound, *bad])]
    with pytest.raises(PartialPushError) as found:
        pushed(table, items, element=element)
    assert sorted(found.value.failed) == list(range(len(sound), len(items)))
    for error in found.value.failed.values():
        assert " /" not in str(error)
        assert "\n" not in str(error)
    with pytest.raises(PartialPushError) as found:
        pushed(table, items[len(sound) :], element=element)
    assert len(found.value.failed) == len(bad)
    stored = shop.query("SELECT n FROM @ ORDER BY n", table)
    assert [n for (n,) in stored] == list(range(len(sound)))


def test_a_column_with_a_default_has_it_where_a_value_is_missing(shop, tmp_path):
    table = shop.table(tmp_path)
    shop.query("CREATE DATABASE IF NOT EXISTS `sh\\`op`")
    shop.query("CREATE TABLE @ (v Int64 DEFAULT 7) ENGINE = MergeTree ORDER BY v", table)
    pushed(table, [Maybe(None), Maybe(1)], element=Maybe)
    assert shop.query("SELECT v FROM @ ORDER BY v", table) == [(1,), (7,)]


@dataclass
class Maybe:
    v: int | None


@dataclass
class Dated:
    i: int
    day: dt.date
    at: dt.datetime
    maybe: dt.datetime | None = None


def test_days_and_moments_that_clickhouse_does_not_have_fail_alone(shop, tmp_path):
    day, at = dt.date(1900, 1, 1), dt.datetime(1900, 1, 1)
    items = [
        Dated(0, dt.date(1899, 12, 31), at),
        Dated(1, day, at, dt.datetime(2299, 12, 31, 22)),
        Dated(2, dt.date(2300, 1, 1), at),
        Dated(3, day, at - dt.timedelta(microseconds=1)),
        Dated(4, day, at, dt.datetime(2300, 1, 1)),
        Dated("five", day, at),
    ]
    table = shop.table(tmp_path)
    with pytest.raises(PartialPushError) as found:
        pushed(table, items, element=Dated)
    assert sorted(found.value.failed) == [0, 2, 3, 4, 5]
    assert "'maybe' is not in the years 1900 to 2299" in str(found.value.failed[4])
    (row,) = shop.query("SELECT * FROM @", table)
    assert [value.replace(tzinfo=None) for value in row[2:]] == [at, items[1].maybe]


def test_a_table_with_other_columns_is_refused_in_one_line(shop, tmp_path):
    table = shop.table(tmp_path)
    pushed(table, [{"x": 1}])
    with pytest.raises(PermanentError, match=r"has no column 'name' \(it has x\); add it") as found:
        pushed(table, POINTS, element=Point)
    assert "\n" not in str(found.value)


def test_elements_without_a_type(shop, tmp_path):
    table = shop.table(tmp_path)
    pushed(table, [{"a": 1, "b": "x"}, {"a": 2, "c": None}], [{"a": 3, "b": "y"}])
    found = shop.query("SELECT a, b FROM @ ORDER BY a", table)
    assert found == [(1, "x"), (2, None), (3, "y")]


def test_a_table_that_is_dropped_in_the_middle_is_made_again(shop, tmp_path):
    table = shop.table(tmp_path)

    async def go():
        async with table.sink(Env(), Point) as sink:
            await sink.push(POINTS)
            shop.query("DROP TABLE @ SYNC", table)
            await sink.push(POINTS[:1])

    run(go())
    assert shop.query("SELECT count() FROM @", table) == [(1,)]


@pytest.mark.parametrize(
    ("key", "element", "message"),
    [("z", Point, "key 'z' is no field"), ("y", Inner, "key 'y' may be missing")],
)
def test_keys_are_columns_that_are_always_there(shop, tmp_path, key, element, message):
    with pytest.raises(PermanentError, match=message):
        pushed(shop.table(tmp_path, key=key), [], element=element)


def test_a_wrong_password_is_one_line_without_it(shop, tmp_path):
    table = replace(shop.table(tmp_path), password="a wrong one")  # noqa: S106
    with pytest.raises(DeniedError, match="Authentication failed; look at username") as found:
        pushed(table, POINTS, element=Point)
    assert "a wrong one" not in f"{found.value}{table!r}"
    assert "\n" not in str(found.value)


def test_a_server_that_goes_and_comes_back(tmp_path):
    server = Served(CLICKHOUSE, tmp_path)
    table = ClickhouseTable("shop", "t", f"127.0.0.1:{server.port}", "default", PASSWORD)

    async def go():
        async with table.sink(Env(), Point) as sink:
            await sink.push_once(POINTS, PushId("w", 0, len(POINTS)))
            server.kill()
            with pytest.raises(TemporaryError, match="cannot be reached or written for now"):
                await sink.push(POINTS)
            server.start()
            await sink.push_once(POINTS, PushId("w", 0, len(POINTS)))
            await sink.push(POINTS)

    try:
        run(go())
        server.kill()
        with pytest.raises(TemporaryError):
            pushed(table, POINTS, element=Point)
    finally:
        server.start()
        server.stop()


@pytest.mark.parametrize(
    "said",
    [
        "Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)",
        "Code: 75. DB::Exception: Cannot write to file (x): , errno: 28, strerror: No space left",
        "Code: 1000. DB::Exception: No space left on device: write. (POCO_EXCEPTION)",
        "Code: 1000. DB::Exception: Cannot reserve 1.00 MiB",
    ],
)
def test_a_full_disk_is_waited_out(said):
    found = fault_of(DatabaseError(said), "t")
    assert isinstance(found, TemporaryError)


def test_a_push_of_many_bytes_is_several_inserts_each_stored_once(shop, tmp_path, monkeypatch):
    monkeypatch.setattr("buildflow_nb.io.clickhouse.sink.MOST_BYTES", 1_000)
    sizes = []
    plain = ClickhouseSink._insert_table

    async def watched(self, table, settings):
        sizes.append(table.nbytes)
        await plain(self, table, settings)

    monkeypatch.setattr(ClickhouseSink, "_insert_table", watched)
    table = shop.table(tmp_path)
    items = [Point(i, "x" * (5_000 if i == 7 else 20)) for i in range(100)]

    async def go():
        for _ in range(2):
            async with table.sink(Env(), Point) as sink:
                await sink.push_once(items, PushId("flow-prices", 0, len(items)))

    run(go())
    assert len(sizes) > 4
    # One element is more by itself, in each of the two pushes.
    assert [size > 5_100 for size in sizes].count(True) == 0
    assert [size > 1_000 for size in sizes].count(True) == 2
    found = shop.query("SELECT x, name FROM @ ORDER BY x", table)
    assert found == [(item.x, item.name) for item in items]


def test_what_is_nothing_is_refused_at_once():
    for words in ({"table": ""}, {"host": 3}, {"batch_size": 0}, {"key": [""]}):
        with pytest.raises(DeclarationError):
            ClickhouseTable(**{"database": "d", "table": "t", **words})


def test_a_missing_client_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DeclarationError, match=r"pip install 'buildflow_nb\[clickhouse\]'"):
        ClickhouseTable("d", "t")


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        ({"host": "ch.invalid"}, True),
        ({"host": "ch.invalid:8123"}, True),
        ({"host": "ch.invalid:8443", "secure": False}, True),
        ({"host": "ch.invalid:8443"}, False),
        ({"host": "ch.invalid", "secure": True}, False),
        ({"host": "ch.invalid", "password": None}, False),
        ({"host": "127.0.0.1:1"}, False),
        ({}, False),
    ],
)
def test_a_password_in_the_clear_is_warned_of(monkeypatch, words, warned):
    async def nowhere(*_, **__):
        raise OSError

    monkeypatch.setattr("clickhouse_connect.get_async_client", nowhere)
    table = ClickhouseTable("d", "t", **{"password": PASSWORD, **words})
    found = run(table.check(Env()))
    said = [one for one in found if one.health is Health.WARNING]
    assert bool(said) == warned
    assert all("secure=True" in one.cure for one in said)
    assert PASSWORD.reveal() not in str(found)


def test_without_a_host_there_has_to_be_a_stack_with_one():
    with pytest.raises(PermanentError, match="has no ClickHouse of its own; give it a host"):
        pushed(ClickhouseTable("d", "t"), POINTS, element=Point)
