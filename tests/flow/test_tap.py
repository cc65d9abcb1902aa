"""Elements tapped as a table."""

from __future__ import annotations

import sys
import threading

import pytest

from buildflow_nb.core.errors import UsageError
from buildflow_nb.runtime.observability.ledger import PASSAGES
from tests.fakes import PATIENCE_S, FakeSource
from tests.flow.failing import until
from tests.flow.fed import Fed, Order, Packed, Pair, Priced


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
