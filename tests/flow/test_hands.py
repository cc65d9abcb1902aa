"""Elements in a person's hands: tapped as a table, recorded, replayed."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import stat
import sys
import threading
import uuid
from dataclasses import dataclass
from typing import Annotated, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest

from buildflow_nb import Flow
from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.primitive import Batch, Wire
from buildflow_nb.notebook.formats import NOTHING
from buildflow_nb.notebook.replayed import SideBySide
from buildflow_nb.runtime.observability.ledger import PASSAGES
from buildflow_nb.runtime.observability.tagged_json import UnreadableError, tagged, untagged
from tests.fakes import PATIENCE_S, FakeSink, FakeSource
from tests.flow.test_failed import until


class Fed(FakeSource):
    """A source that a test feeds while the flow runs."""

    def __init__(self, wire=Wire.OBJECT):
        super().__init__([], source_wire=wire)
        self.lock = threading.Condition()
        self.waiting: list[object] = []

    def feed(self, *items):
        with self.lock:
            self.waiting += items
            self.lock.notify_all()

    def source(self, env):
        made = super().source(env)
        fed = self

        class Opened:
            async def __aenter__(self):
                connection = await made.__aenter__()

                async def pull():
                    import asyncio

                    while not fed.waiting:  # noqa: ASYNC110  (fed from another thread)
                        await asyncio.sleep(0.001)
                    with fed.lock:
                        items, fed.waiting = fed.waiting, []
                    return Batch(items)

                connection.pull = pull
                return connection

            async def __aexit__(self, *error):
                return await made.__aexit__(*error)

        return Opened()


@dataclass
class Order:
    id: int
    qty: int


class Priced(pydantic.BaseModel):
    id: int
    total: float


class Row(TypedDict):
    id: int


class Pair(NamedTuple):
    a: int
    b: str


class Packed(msgspec.Struct):
    x: int


# -- tap ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "columns", "first"),
    [
        (Order(1, 2), ["at", "id", "qty"], [1, 2]),
        (Priced(id=1, total=2.5), ["at", "id", "total"], [1, 2.5]),
        ({"id": 7}, ["at", "id"], [7]),
        (Pair(1, "b"), ["at", "a", "b"], [1, "b"]),
        (Packed(x=4), ["at", "x"], [4]),
        (5, ["at", "value"], [5]),
        ({"at": 1, "b": 2}, ["passed_at", "at", "b"], [1, 2]),
    ],
)
def test_tap_makes_columns_of_fields(app, value, columns, first):
    def same(x):
        return x

    app.consumer(source=FakeSource([[value] * 3]))(same)
    app.run()
    frame = app.tap("same", 10, timeout=0)
    assert list(frame.columns) == columns
    assert list(frame.iloc[0])[1:] == first
    assert len(frame) == 3
    assert str(frame[columns[0]].dt.tz) == "UTC"


def test_tap_has_two_edges_and_results_may_be_many_or_none(app):
    @app.consumer(source=FakeSource([[1, 2, 3]]))
    def split(x: int) -> list[int]:
        return [x] * (x - 1)

    app.run()
    assert list(app.tap("split", edge="in", timeout=0)["value"]) == [1, 2, 3]
    assert list(app.tap("split", timeout=0)["value"]) == [2, 3, 3]
    assert list(app.tap("split", 1, timeout=0)["value"]) == [3]


def test_tap_enlarges_the_ring_for_what_comes_and_a_swap_keeps_it(app):
    source = Fed()

    def declare(factor):
        @app.consumer(source=source)
        def times(x: int) -> int:
            return factor * x

    declare(1)
    app.run(block=False)
    source.feed(*range(100))
    until(lambda: app.snapshot().processor("times").elements_out == 100)
    assert len(app.peek("times", 1_000)) == PASSAGES
    assert len(app.tap("times", 500, timeout=0)) == PASSAGES
    source.feed(*range(300))
    until(lambda: app.snapshot().processor("times").elements_out == 400)
    declare(2)
    source.feed(1_000)
    frame = app.tap("times", 321, timeout=PATIENCE_S)  # comes back as soon as they are there
    assert list(frame["value"][-2:]) == [299, 2_000]
    assert len(frame) == 321


def test_tap_waits_for_rows_while_it_runs(app):
    source = Fed()

    @app.consumer(source=source)
    def same(x: int) -> int:
        return x

    app.run(block=False)
    app.tap("same", 5, timeout=0)
    timer = threading.Thread(target=lambda: source.feed(1, 2, 3, 4, 5))
    timer.start()
    assert list(app.tap("same", 5, timeout=PATIENCE_S)["value"]) == [1, 2, 3, 4, 5]
    timer.join()


def test_tap_before_a_run_gives_the_declared_columns(app):
    @app.consumer(source=FakeSource([]))
    def price(order: Order) -> Priced:
        return Priced(id=order.id, total=1)

    assert list(app.tap("price").columns) == ["at", "id", "total"]
    assert list(app.tap("price", edge="in").columns) == ["at", "id", "qty"]
    assert len(app.tap("price")) == 0


def test_tap_says_what_is_wrong(app, monkeypatch):
    @app.consumer(source=FakeSource([]))
    def price(order: Order) -> int:
        return 1

    with pytest.raises(UsageError, match=r"^no processor 'prize'; did you mean 'price'\?"):
        app.tap("prize")
    with pytest.raises(UsageError, match=r"^tap: edge must be 'in' or 'out', got 'up'$"):
        app.tap("price", edge="up")
    with pytest.raises(UsageError, match=r"^tap: count must be from 1 to 100,000, got 100001$"):
        app.tap("price", 100_001)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        UsageError, match=r"^tap needs pandas; pip install 'buildflow_nb\[tables\]'$"
    ):
        app.tap("price")


def test_routes_are_tapped_and_counted_at_their_edges(app):
    @app.endpoint(route="/half", method="GET")
    def half(n: int) -> float:
        if n == 0:
            msg = "no half of nothing"
            raise ValueError(msg)
        return n / 2

    app.run(block=False, serve_port=0)
    client = app.client()
    assert client.half(5) == 2.5
    with pytest.raises(Exception, match="500"):
        client.half(0)
    until(lambda: len(app.peek("half")) == 1)
    assert list(app.tap("half", timeout=0)["value"]) == [2.5]
    assert list(app.tap("half", edge="in", timeout=0)["value"]) == [5]
    p = app.snapshot().processor("half")
    assert (p.elements_in, p.elements_out, p.dropped, p.failed, p.failures_kept) == (2, 1, 0, 1, 1)


# -- plain values in a file --------------------------------------------------------------------

VALUES = [
    None,
    True,
    2**70,
    1.5,
    math.inf,
    "ä\ud800",
    b"\x00\xff",
    dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
    dt.datetime(2024, 1, 2),
    dt.date(2024, 1, 2),
    dt.time(1, 2, 3),
    dt.timedelta(days=-1, seconds=3, microseconds=5),
    decimal.Decimal("1.10"),
    uuid.UUID(int=5),
    (1, "a"),
    {1, 2},
    {"a": [1, {"b": b"x"}]},
    {1: "one", (2, 3): "pair"},
    {"$bytes": "a key that looks like a tag"},
    {},
    [],
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_survive_a_file(value):
    found = untagged(json.loads(json.dumps(tagged(value))))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Order(1, 2), {"id": 1, "qty": 2}),
        (Priced(id=1, total=2), {"id": 1, "total": 2.0}),
        (Pair(1, "b"), {"a": 1, "b": "b"}),
        (Packed(x=1), {"x": 1}),
        ([Secret("x")], ["****"]),
        (pydantic.SecretStr("x"), "****"),
    ],
    ids=repr,
)
def test_records_come_back_as_their_fields_and_secrets_never(value, plain):
    assert untagged(json.loads(json.dumps(tagged(value)))) == plain


@pytest.mark.parametrize(
    "bad",
    [
        {"$repr": "<object>"},
        {"$bytes": "not base64!"},
        {"$unknown": 1},
        {"$bytes": "", "more": 1},
        {"$datetime": 5},
        {"$record": 5},
        {"$set": [[1]]},
        {"$float": "1"},
        {"$timedelta": "x"},
    ],
    ids=repr,
)
def test_damaged_values_are_refused(bad):
    with pytest.raises(UnreadableError):
        untagged(bad)


# -- record ------------------------------------------------------------------------------------


def record_in_background(app, *args, **words):
    """Start a recording and give it back once it listens."""
    found: list[object] = []

    def work():
        try:
            found.append(app.record(*args, **words))
        except Exception as error:  # noqa: BLE001
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    ledger = app.handle._supervisor.ledgers[args[0]]
    until(lambda: ledger.recorder is not None or found)
    return thread, found


def price_flow(app, source, factor=10):
    @app.consumer(source=source, sink=FakeSink(), retries=0)
    def price(order: Order) -> Priced | None:
        if order.qty == 0:
            msg = f"order {order.id} has no quantity"
            raise ValueError(msg)
        return Priced(id=order.id, total=factor * order.qty) if order.qty > 0 else None


def texts(*quantities):
    return [json.dumps({"id": i, "qty": q}) for i, q in enumerate(quantities)]


def recorded(app, *quantities, factor=10, **words):
    source = Fed(Wire.TEXT)
    price_flow(app, source, factor)
    app.run(block=False)
    thread, found = record_in_background(app, "price", len(quantities), **words)
    source.feed(*texts(*quantities))
    thread.join(PATIENCE_S)
    (path,) = found
    return path


def test_a_recording_holds_real_inputs_with_their_outputs(app, tmp_path):
    path = recorded(app, 1, 0, -1)
    assert path.parent == tmp_path / ".buildflow" / "recordings"
    assert path.name.startswith("price-")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    head, *lines = map(json.loads, path.read_text().splitlines())
    assert (head["processor"], head["type"], head["wire"]) == ("price", "Order", "text")
    assert (head["inputs"], head["version"], head["shown"]) == (3, 1, False)
    assert lines[0]["input"] == '{"id": 0, "qty": 1}'
    assert lines[0]["outputs"] == [{"$record": ["Priced", {"id": 0, "total": 10.0}]}]
    assert lines[1]["error"] == "ValueError: order 1 has no quantity"
    assert lines[2]["outputs"] == []
    assert list(path.parent.iterdir()) == [path]  # nothing half-written is left
    assert app.snapshot().processor("price").elements_in == 3  # it went on live


def test_a_recording_ends_in_time_with_what_came(app):
    source = Fed(Wire.TEXT)
    price_flow(app, source)
    app.run(block=False)
    with pytest.raises(UsageError, match=r"^nothing came to 'price' within 0\.05 s; nothing was"):
        app.record("price", 5, timeout=0.05)
    thread, found = record_in_background(app, "price", 5, timeout=0.3)
    source.feed(*texts(1, 2))
    thread.join(PATIENCE_S)
    assert len(found[0].read_text().splitlines()) == 3


def test_an_interrupt_keeps_what_came(app, monkeypatch):
    source = Fed(Wire.TEXT)
    price_flow(app, source)
    app.run(block=False)
    real = app.handle.record

    def interrupted(processor_id, recorder, timeout):
        wait = recorder.full.wait

        def press(seconds):
            if len(recorder.lines) == 2:
                raise KeyboardInterrupt
            return wait(0.002)

        recorder.full.wait = press
        source.feed(*texts(1, 2))
        real(processor_id, recorder, timeout)

    monkeypatch.setattr(app.handle, "record", interrupted)
    path = app.record("price", 5)
    assert len(path.read_text().splitlines()) == 3
    assert app.handle._supervisor.ledgers["price"].recorder is None


def test_recording_says_what_is_wrong(app, tmp_path):
    source = Fed(Wire.TEXT)
    price_flow(app, source)
    with pytest.raises(UsageError, match=r"^record: 'price' does not run; app\.run\(\) starts it"):
        app.record("price")
    app.run(block=False)
    with pytest.raises(UsageError, match=r"^record: count must be from 1 to 100,000, got 0$"):
        app.record("price", 0)
    mine = tmp_path / "main.py"
    mine.write_text("print()")
    with pytest.raises(UsageError, match=r"main\.py is there and no recording; name another file"):
        app.record("price", to=mine)
    assert mine.read_text() == "print()"
    with pytest.raises(UsageError, match="is a folder"):
        app.record("price", to=tmp_path)
    with pytest.raises(UsageError, match=r"^record: .*main\.py cannot be written: File exists$"):
        app.record("price", to=mine / "x.jsonl")
    thread, found = record_in_background(app, "price", 1, to=tmp_path / "no" / "file.jsonl")
    with pytest.raises(UsageError, match="'price' is being recorded; wait"):
        app.record("price", 1)
    (tmp_path / "no").rmdir()
    (tmp_path / "no").write_text("a file where a folder should be")
    source.feed(*texts(1))
    thread.join(PATIENCE_S)
    assert isinstance(found[0], UsageError)
    assert "cannot be written to" in str(found[0])


def test_what_is_tried_again_is_recorded_once_with_its_end(app):
    source, tries = Fed(), []

    @app.consumer(source=source, retries=2)
    def flaky(x: int) -> int:
        tries.append(x)
        if x == 1 or tries.count(x) < 2:
            msg = "not yet"
            raise ValueError(msg)
        return x

    app.run(block=False)
    thread, found = record_in_background(app, "flaky", 2)
    source.feed(1, 2)
    thread.join(PATIENCE_S)
    _, *lines = map(json.loads, found[0].read_text().splitlines())
    assert sorted(lines, key=lambda line: line["input"]) == [
        {"input": 1, "error": "ValueError: not yet"},
        {"input": 2, "outputs": [2]},
    ]
    assert tries.count(1) == 3


def test_secrets_are_not_recorded(app):
    @dataclass
    class Login:
        user: str
        password: Annotated[str, Secret]

    source = Fed(Wire.TEXT)

    def check(login) -> str:
        return login.user

    check.__annotations__["login"] = Login
    app.consumer(source=source)(check)
    app.run(block=False)
    thread, found = record_in_background(app, "check", 2)
    source.feed('{"user": "ann", "password": "hunter2"}', '{"password": "hunter2"}')
    thread.join(PATIENCE_S)
    assert "hunter2" not in found[0].read_text()
    replay = app.replay("check")
    assert [row.same for row in replay] == [True, False]
    assert replay[0].input == {"user": "ann", "password": "****"}
    assert replay[0].new == ("ann",)


# -- replay ------------------------------------------------------------------------------------


def test_a_replay_says_what_is_different_now_and_writes_nothing(app):
    path = recorded(app, 1, 0, -1, 2)
    sink = app.processors["price"].sink
    written = list(sink.tape.pushed)
    again = app.replay("price")
    assert [row.same for row in again] == [True, True, True, True]
    assert again.summary == "price: 4 replayed, 4 same, 0 different, 0 failed"

    source = app.processors["price"].source

    @app.consumer(source=source, sink=sink, retries=0)
    def price(order: Order) -> Priced | None:
        if order.qty == 2:
            msg = "two"
            raise LookupError(msg)
        return Priced(id=order.id, total=10) if order.qty < 2 else None

    replay = app.replay("price", path)
    assert [(row.number, row.same, row.error) for row in replay] == [
        (1, True, ""),
        (2, False, ""),
        (3, False, ""),
        (4, False, "LookupError: two"),
    ]
    assert replay[1].old_error == "ValueError: order 1 has no quantity"
    assert replay[1].new == ({"id": 1, "total": 10.0},)
    assert replay[3].old == ({"id": 3, "total": 20.0},)
    assert replay[0].input == '{"id": 0, "qty": 1}'
    assert replay.summary == "price: 4 replayed, 1 same, 2 different, 1 failed"
    assert "  4: " in repr(replay)
    assert sink.tape.pushed == written
    assert app.snapshot().processor("price").elements_in == 4


def test_a_replay_needs_no_run_and_takes_the_latest(app):
    first = recorded(app, 1)
    app.handle.stop()
    source = Fed(Wire.TEXT)
    price_flow(app, source)
    app.run(block=False)
    thread, _ = record_in_background(app, "price", 2)
    source.feed(*texts(5, 6))
    thread.join(PATIENCE_S)
    app.handle.stop()
    assert len(app.recordings("price")) == 2
    assert app.recordings("price")[0] == first
    fresh = Flow("test")
    price_flow(fresh, Fed(Wire.TEXT), factor=1)
    replay = fresh.replay("price")
    assert [row.new[0]["total"] for row in replay] == [5.0, 6.0]
    assert len(fresh.replay("price", first)) == 1


def test_damaged_files_and_wrong_processors_are_one_line(app, tmp_path):
    price_flow(app, Fed(Wire.TEXT))
    with pytest.raises(UsageError, match=r"^there is no recording of 'price' in .*; app\.record"):
        app.replay("price")
    with pytest.raises(UsageError, match=r"cannot be read: No such file"):
        app.replay("price", tmp_path / "none.jsonl")
    other = tmp_path / "other.jsonl"
    for content in ("", "{}", "[1]", "null", '{"format": "x"}', "\x00\xff" * 100, "[" * 100_000):
        other.write_text(content)
        with pytest.raises(UsageError, match=r"is no recording \(its first line"):
            app.replay("price", other)
    path = recorded(app, 1, 2)
    head, one, two = path.read_text().splitlines()
    other.write_text("\n".join([head.replace('"price"', '"tax"'), one]))
    with pytest.raises(UsageError, match="is a recording of 'tax', not of 'price'"):
        app.replay("price", other)
    other.write_text(head.replace('"version": 1', '"version": 9'))
    with pytest.raises(UsageError, match="is a recording of version 9"):
        app.replay("price", other)
    broken = ["{", "[]", '{"outputs": []}', '{"input": {"$repr": "x"}}', '{"input": {"id": []}}']
    other.write_text("\n".join([head, one, *broken, two[: len(two) // 2]]))
    replay = app.replay("price", other)
    assert [row.same for row in replay] == [True] + [False] * 6
    assert all(row.error for row in replay[1:])
    assert replay[1].error.startswith("line 3 of the file is damaged")
    assert [row.damaged for row in replay] == [False, True, True, True, False, False, True]
    assert replay.summary.startswith("price: 3 replayed, 1 same, 0 different, 2 failed, 4 unread")
    assert "  2: unreadable: line 3 of the file is damaged" in repr(replay)
    shown = {record.number: SideBySide(replay).row(record) for record in replay}
    number, verdict, took, why, *outcomes = shown[2]
    assert (number, verdict, took, outcomes) == ("2", "? unreadable", NOTHING, [NOTHING, NOTHING])
    assert why.startswith("line 3 of the file is damaged")
    assert "? unreadable" in SideBySide(replay)._repr_html_()


def test_a_type_that_has_changed_is_an_error_a_row(app):
    recorded(app, 1, 2)

    @dataclass
    class Wider:
        id: int
        qty: int
        colour: str

    def price(order) -> int:
        return 1

    price.__annotations__["order"] = Wider
    app.consumer(source=app.processors["price"].source)(price)
    replay = app.replay("price")
    assert [row.error for row in replay] == [
        "ConversionError: object missing required field colour"
    ] * 2


def test_code_that_hangs_costs_the_deadline_and_no_more(app):
    recorded(app, 1, 2, 3)
    never = threading.Event()

    @app.consumer(source=app.processors["price"].source)
    def price(order: Order) -> int:
        if order.qty == 2:
            never.wait(PATIENCE_S)
        return order.qty

    replay = app.replay("price", timeout=0.3)
    never.set()
    assert [bool(row.error) for row in replay] == [False, True, True]
    assert replay[1].error == "not finished: the time was up"


def test_routes_are_recorded_and_replayed(app):
    @app.collector(route="/in", sink=FakeSink())
    def take(order: Order, factor: int = 1) -> int:
        return factor * order.qty // (1 if order.id else 0)

    app.run(block=False, serve_port=0)
    thread, found = record_in_background(app, "take", 2)
    client = app.client()
    client.take(Order(1, 5), factor=2)
    with pytest.raises(Exception, match="500"):
        client.take({"id": 0, "qty": 1})
    thread.join(PATIENCE_S)
    assert found[0].name.startswith("take-")
    replay = app.replay("take")
    assert [(row.same, row.old, row.error) for row in replay] == [
        (True, (10,), ""),
        (True, (), "ZeroDivisionError: integer division or modulo by zero"),
    ]
