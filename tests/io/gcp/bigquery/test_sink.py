"""Tables of BigQuery as sinks, by each of the three methods."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from buildflow_nb.core.errors import (
    ConversionError,
    PartialPushError,
    PermanentError,
    TemporaryError,
)
from buildflow_nb.core.primitive import IdempotentSink, PushId
from buildflow_nb.io.gcp.bigquery import BigQueryDataset, BigQueryTable, pieces
from tests.io.contract import SinkContract, pushed, run
from tests.io.records import POINTS, Point

pytestmark = pytest.mark.emulator


class TestStorageWrite(SinkContract):
    element = Point
    samples = POINTS
    bad = Point("no number", "x")
    method = "storage_write"

    @pytest.fixture(autouse=True)
    def _shop(self, shop, env):
        self.shop = shop

    def make(self, folder):
        return self.shop.table(folder, Point, method=self.method)

    def read(self, folder):
        return [Point(*row) for row in self.shop.rows(self.shop.table(folder))]


class TestInsertAll(TestStorageWrite):
    method = "insert_all"


class TestLoad(TestStorageWrite):
    method = "load"


@dataclass
class Inner:
    sku: str
    n: int | None = None


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
    order: list[str]
    items: list[Inner]
    inner: Inner | None
    anything: dict[str, Any]
    lacking: int | None = None
    none: list[int] | None = field(default=None)


FULL = Everything(
    i=-(2**63),
    f=float("inf"),
    b=True,
    s='Zoë "quoted"\n\U0001f600',
    raw=b"\x00\xff",
    day=dt.date(2026, 1, 2),
    clock=dt.time(3, 4, 5, 6),
    at=dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.timezone(dt.timedelta(hours=2))),
    span=dt.timedelta(days=1, microseconds=1),
    amount=decimal.Decimal("12345678901234567890.123456789"),
    key=uuid.UUID(int=7),
    order=["a", ""],
    items=[Inner("x", 1), Inner("y")],
    inner=Inner("z"),
    anything={"a": [1, None, "ü"]},
)


@pytest.mark.parametrize("method", ["storage_write", "insert_all", "load"])
def test_every_type_arrives_as_what_it_is(shop, env, tmp_path, method):
    table = shop.table(tmp_path, Everything, method=method)
    pushed(table, [FULL, replace(FULL, inner=None, f=1.5)], element=Everything)
    rows = shop.rows(table)
    expected = {
        "i": FULL.i,
        "f": FULL.f,
        "b": True,
        "s": FULL.s,
        "raw": FULL.raw,
        "day": FULL.day,
        "clock": FULL.clock,
        "at": FULL.at.astimezone(dt.UTC),
        "span": 86_400_000_001,
        "amount": FULL.amount,
        "key": str(FULL.key),
        "order": ["a", ""],
        "items": [{"sku": "x", "n": 1}, {"sku": "y", "n": None}],
        "inner": {"sku": "z", "n": None},
        "anything": FULL.anything,
        "lacking": None,
        "none": [],
    }
    assert rows[0] == tuple(expected.values())
    assert rows[1] == tuple((expected | {"inner": None, "f": 1.5}).values())


def test_elements_without_a_type_go_by_the_columns_of_the_table(shop, env, tmp_path):
    table = shop.table(tmp_path, Everything)
    made = {"i": 1, "f": 2, "b": False, "s": "x", "raw": b"", "day": FULL.day, "clock": FULL.clock}
    made |= {"at": FULL.at, "span": 5, "amount": 1, "key": "k", "order": [], "items": []}
    made |= {"inner": None, "anything": {"a": 1}, "lacking": None, "none": [1]}
    with pytest.raises(PartialPushError) as caught:
        pushed(table, [made, {**made, "i": "one"}, {**made, "nobody": 1}], element=None)
    assert list(caught.value.failed) == [1, 2]
    (row,) = shop.rows(table, "i, f, anything, none")
    assert row == (1, 2.0, {"a": 1}, [1])


@dataclass
class Loose:
    x: int | None
    name: str


@pytest.mark.parametrize("method", ["storage_write", "insert_all"])
def test_what_the_table_alone_refuses_fails_alone(shop, env, tmp_path, method):
    # Its x is REQUIRED, which the type does not know; the columns are only found to differ there.
    table = shop.table(tmp_path, Point, method=method)
    elements = [Loose(1, "a"), Loose(None, "b"), Loose(3, "c"), Loose(None, "d")]
    with pytest.raises(PartialPushError) as caught:
        pushed(table, elements, element=Loose)
    assert list(caught.value.failed) == [1, 3]
    assert "x" in str(caught.value.failed[1])
    assert [row[0] for row in shop.rows(table)] == [1, 3]


def test_a_push_larger_than_a_request_goes_in_pieces(shop, env, tmp_path):
    table = shop.table(tmp_path, Point)
    large = [Point(i, "x" * 3_000_000) for i in range(8)]
    huge = Point(99, "x" * 10_000_000)
    with pytest.raises(PartialPushError, match="requests of 10 MB") as caught:
        pushed(table, [*large[:3], huge, *large[3:]], element=Point)
    assert list(caught.value.failed) == [3]
    assert [row[0] for row in shop.rows(table, "x")] == list(range(8))


@dataclass
class Other:
    x: int
    more: str


@dataclass
class Wrong:
    x: str
    name: str


@pytest.mark.parametrize("method", ["storage_write", "insert_all", "load"])
@pytest.mark.parametrize(
    ("element", "said"),
    [(Other, "it has no column 'more'"), (Wrong, "its column 'x' is INTEGER, not STRING")],
)
@pytest.mark.usefixtures("env")
def test_a_table_with_other_columns_is_refused_in_one_line(shop, tmp_path, method, element, said):
    table = shop.table(tmp_path, Point, method=method)
    with pytest.raises(PermanentError, match=said) as caught:
        pushed(table, [element("1", "x")], element=element)
    assert "\n" not in str(caught.value)
    assert shop.rows(table) == []


@pytest.mark.parametrize("method", ["storage_write", "insert_all", "load"])
def test_a_missing_table_is_waited_for(shop, env, tmp_path, method):
    table = shop.table(tmp_path, method=method)

    async def go():
        async with table.sink(env, Point) as sink:
            with pytest.raises(
                TemporaryError, match=r"does not exist in stack .* \(run %buildflow apply\)"
            ):
                await sink.push(POINTS)
            shop.make(table, Point)
            await sink.push(POINTS)

    run(go())
    assert len(shop.rows(table)) == len(POINTS)


def test_a_table_that_is_dropped_and_made_anew_is_found_again(shop, env, tmp_path):
    table = shop.table(tmp_path, Point)

    async def go():
        async with table.sink(env, Point) as sink:
            await sink.push(POINTS)
            shop.client.delete_table(f"shop.{table.table_name}")
            with pytest.raises(TemporaryError, match="does not exist"):
                await sink.push(POINTS)
            shop.make(table, Point)
            await sink.push(POINTS[:1])

    run(go())
    assert len(shop.rows(table)) == 1


@pytest.mark.parametrize("kill", [False, True])
def test_a_server_that_is_restarted_is_found_again(shop, env, tmp_path, kill):
    table = shop.table(tmp_path, Point)

    async def go():
        async with table.sink(env, Point) as sink:
            await sink.push(POINTS[:1])
            shop.restart(kill=kill)
            with pytest.raises(TemporaryError, match=r"cannot be reached|cannot answer"):
                await sink.push(POINTS)
            await sink.push(POINTS)

    run(go())
    assert len(shop.rows(table)) == 1 + len(POINTS)


def test_a_wrong_password_is_refused_in_one_line(shop, env, tmp_path, monkeypatch):
    from buildflow_nb.core.credentials import Secret

    table = shop.table(tmp_path, Point)
    monkeypatch.setattr(shop.services, "password", lambda _: Secret("other-secret"), raising=False)
    with pytest.raises(PermanentError, match="refuses the credentials") as caught:
        pushed(table, POINTS, element=Point)
    assert "\n" not in str(caught.value)
    assert "other-secret" not in str(caught.value)


PUSHES = [PushId("price", 0, 4), PushId("price", 4, 4)]
TEN = [Point(i, f"n{i}") for i in range(8)]


def once(table, env, *pushes, element=Point):
    async def go():
        async with table.sink(env, element) as sink:
            assert isinstance(sink, IdempotentSink)
            for push, items in pushes:
                await sink.push_once(items, push)

    run(go())


@pytest.mark.parametrize("method", ["storage_write", "load"])
def test_a_push_that_is_repeated_is_stored_once(shop, noting, tmp_path, method):
    table = shop.table(tmp_path, Point, method=method)
    once(table, noting, (PUSHES[0], TEN[:4]), (PUSHES[0], TEN[:4]))
    once(table, noting, (PUSHES[0], TEN[:4]), (PUSHES[1], TEN[4:]))
    once(table, noting, (PUSHES[1], TEN[4:]))
    assert [row[0] for row in shop.rows(table, "x")] == list(range(8))


def test_a_load_job_that_failed_is_tried_again_under_another_id(shop, noting, tmp_path):
    table = shop.table(tmp_path, Point, method="load")
    sink = table.sink(noting, Point)

    async def go():
        async with sink:
            await sink.push_once(TEN[:4], PUSHES[0])
            shop.client.delete_table(f"shop.{table.table_name}")
            for _ in range(2):
                with pytest.raises(TemporaryError, match="does not exist"):
                    await sink.push_once(TEN[4:], PUSHES[1])
            shop.make(table, Point)
            for _ in range(2):
                await sink.push_once(TEN[4:], PUSHES[1])

    run(go())
    assert [row[0] for row in shop.rows(table, "x")] == [4, 5, 6, 7]


def test_elements_at_fault_are_at_fault_again(shop, noting, tmp_path):
    table = shop.table(tmp_path, Point)
    items = [Loose(0, "a"), Loose(None, "b"), Loose(2, "c"), Loose("x", "d")]
    for push in (PUSHES[0], PUSHES[0]):
        with pytest.raises(PartialPushError) as caught:
            once(table, noting, (push, items), element=Loose)
        assert list(caught.value.failed) == [1, 3]
    once(table, noting, (PUSHES[1], [Loose(4, "e")]), element=Loose)
    assert [row[0] for row in shop.rows(table, "x")] == [0, 2, 4]


def test_a_push_whose_answer_was_lost_is_stored_once(shop, noting, tmp_path, monkeypatch):
    from buildflow_nb.io.gcp.bigquery.append import AppendCall

    table = shop.table(tmp_path, Point)
    monkeypatch.setattr(pieces, "REQUEST_BYTES", 450)  # a piece for each few rows
    real, sent = AppendCall.append, []

    async def append(self, *given):
        answer = await real(self, *given)
        sent.append(given)
        if len(sent) == 3:
            await self.close()
            msg = "the answer is lost"
            raise TemporaryError(msg)
        return answer

    monkeypatch.setattr(AppendCall, "append", append)
    items = [Point(i, "x" * 50) for i in range(8)]
    push = PushId("price", 0, 8)
    with pytest.raises(TemporaryError, match="lost"):
        once(table, noting, (push, items))
    assert len(shop.rows(table)) > 0
    once(table, noting, (push, items), (PushId("price", 8, 1), [Point(8, "y")]))
    assert [row[0] for row in shop.rows(table, "x")] == list(range(9))
    assert len(sent) == 5  # three of four pieces, the one that was left, and the next push


def test_pushes_before_the_last_one_may_be_repeated_without_it(shop, noting, tmp_path):
    table = shop.table(tmp_path, Point)
    once(table, noting, (PUSHES[0], TEN[:4]), (PUSHES[1], TEN[4:]))
    new = PushId("price", 8, 1)
    once(table, noting, (PUSHES[0], TEN[:4]), (new, [Point(8, "new")]))
    assert [row[0] for row in shop.rows(table, "x")] == list(range(9))


def test_a_writer_that_is_still_alive_is_kept_out(shop, noting, tmp_path):
    table = shop.table(tmp_path, Point)

    async def go():
        async with table.sink(noting, Point) as old, table.sink(noting, Point) as new:
            await old.push_once(TEN[:4], PUSHES[0])
            await new.push_once(TEN[:4], PUSHES[0])
            with pytest.raises(TemporaryError, match="takes no more rows"):
                await old.push_once(TEN[4:], PUSHES[1])
            await new.push_once(TEN[4:], PUSHES[1])

    run(go())
    assert [row[0] for row in shop.rows(table, "x")] == list(range(8))


def test_a_stream_of_a_table_that_was_made_anew_is_left(shop, noting, tmp_path):
    table = shop.table(tmp_path, Point)
    once(table, noting, (PUSHES[0], TEN[:4]))
    shop.client.delete_table(f"shop.{table.table_name}")
    shop.make(table, Point)
    once(table, noting, (PUSHES[0], TEN[:4]), (PUSHES[1], TEN[4:]))
    assert [row[0] for row in shop.rows(table, "x")] == list(range(8))


def test_a_server_killed_between_pushes_stores_each_once(shop, noting, tmp_path):
    table = shop.table(tmp_path, Point)

    async def go():
        async with table.sink(noting, Point) as sink:
            await sink.push_once(TEN[:4], PUSHES[0])
            shop.restart(kill=True)
            for _ in range(2):
                try:
                    await sink.push_once(TEN[4:], PUSHES[1])
                except TemporaryError:
                    continue

    run(go())
    once(table, noting, (PUSHES[1], TEN[4:]))
    assert [row[0] for row in shop.rows(table, "x")] == list(range(8))


def test_without_a_folder_it_does_not_say_that_it_stores_once(shop, env, tmp_path):
    assert not isinstance(shop.table(tmp_path).sink(env, Point), IdempotentSink)


def test_a_sink_leaves_no_thread_and_no_channel_behind(shop, env, tmp_path):
    import threading

    table = shop.table(tmp_path, Point)
    pushed(table, POINTS, element=Point)
    left = [thread.name for thread in threading.enumerate() if thread.name == "bigquery sink"]
    for thread in threading.enumerate():
        if thread.name == "bigquery sink":
            thread.join(5)
    assert len(left) <= 2
    assert not [t for t in threading.enumerate() if t.name == "bigquery sink"]


def test_a_conversion_error_names_the_column(shop, env, tmp_path):
    table = shop.table(tmp_path, Point)
    with pytest.raises(PartialPushError) as caught:
        pushed(table, [Point(2**63, "x"), POINTS[0]], element=Point)
    assert isinstance(caught.value.failed[0], ConversionError)
    assert "'x'" in str(caught.value.failed[0])
    assert json.dumps(str(caught.value))


def test_a_dataset_and_a_table_are_named():
    table = BigQueryTable(BigQueryDataset("p", "d"), "t")
    assert (table.table_id, table.primitive_id, table.dataset.primitive_id) == (
        "p.d.t",
        "p.d.t",
        "p.d",
    )
