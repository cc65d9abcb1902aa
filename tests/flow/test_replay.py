"""Recordings through the code of this moment."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from buildflow_nb import Flow
from buildflow_nb.cockpit.views.formats import NOTHING
from buildflow_nb.cockpit.views.replayed import SideBySide
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.primitive import Wire
from tests.fakes import PATIENCE_S, FakeSink
from tests.flow.fed import Fed, Order, Priced, price_flow, record_in_background, recorded, texts


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
