"""Failures in a person's hands: looked at, edited, retried into the sink, discarded."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import pytest

from buildflow_nb.core.errors import ConversionError, UsageError
from buildflow_nb.core.primitive import Wire
from tests.fakes import PATIENCE_S, FakeSink, FakeSource
from tests.flow.failing import Order, numbers, picky_flow, until


def test_a_failure_says_everything_about_itself(app):
    picky_flow(app, FakeSink())
    (failed,) = app.failures("picky")
    assert (failed.number, failed.processor_id, failed.tries) == (1, "picky", 1)
    assert failed.input == failed.element == failed.original == 2
    assert failed.error == "ValueError: no 2, local of 2"
    assert failed.fate == "given back"
    assert failed.origin is None
    assert abs(failed.at - time.time()) < PATIENCE_S
    assert isinstance(failed.exception, ValueError)
    assert "in picky" in failed.traceback
    assert "buildflow_nb" not in failed.traceback
    assert repr(failed) == "<failure 1 of 'picky': ValueError: no 2, local of 2; input 2>"
    assert app.failures("picky")[0] == failed


def test_a_misspelt_edit_is_an_error_and_not_lost(app):
    picky_flow(app, FakeSink())
    (failed,) = app.failures("picky")
    with pytest.raises(AttributeError):
        failed.inptu = 7


@pytest.mark.parametrize("fact", ["error", "fate", "number", "tries", "exception"])
def test_what_happened_cannot_be_assigned(app, fact):
    picky_flow(app, FakeSink())
    (failed,) = app.failures("picky")
    before = getattr(failed, fact)
    with pytest.raises(AttributeError, match=rf"'{fact}' of a failure cannot be assigned"):
        setattr(failed, fact, "")
    assert getattr(failed, fact) is before


def test_a_failure_offers_what_a_person_has_use_for(app):
    picky_flow(app, FakeSink())
    (failed,) = app.failures("picky")
    assert set(dir(failed)) == {
        *("at", "discard", "element", "error", "exception", "fate", "input", "number", "origin"),
        *("original", "processor_id", "reraise", "retry", "trace_id", "traceback"),
        "tries",
    }


def test_a_retry_writes_to_the_sink_and_leaves_the_list(app):
    sink = FakeSink()
    refused = picky_flow(app, sink)
    (failed,) = app.failures("picky")
    assert numbers(app, "picky") == (3, 2, 0, 1, 1)
    refused.clear()
    assert failed.retry() == [20]
    assert sorted(sink.tape.pushed) == [10, 20, 30]
    assert app.failures("picky") == []
    assert failed.fate == "retried"
    assert numbers(app, "picky") == (3, 3, 0, 0, 0)
    assert app.snapshot().processor("picky").in_flight == 0
    with pytest.raises(UsageError, match=r"^failure 1 of 'picky' is retried already; app.failures"):
        failed.retry()
    assert sorted(sink.tape.pushed) == [10, 20, 30]


def test_a_retry_that_fails_again_raises_and_renews_the_failure(app):
    sink = FakeSink()
    picky_flow(app, sink, bad=(2, 3))
    failed = app.failures("picky")[0]
    first = failed.exception
    with pytest.raises(ValueError, match=r"^no 3, local of 3$"):
        failed.retry(3)
    assert failed.tries == 2
    assert failed.error == "ValueError: no 3, local of 3"
    assert failed.exception is not first
    assert failed.input == 3
    assert failed.original == 2  # nothing is lost by a wrong edit
    assert len(app.failures("picky")) == 2
    assert sink.tape.pushed == [10]
    assert numbers(app, "picky") == (3, 1, 0, 2, 2)


def test_an_edit_can_be_assigned_and_is_the_same_object_for_everybody(app):
    sink = FakeSink()
    picky_flow(app, sink)
    app.failures("picky")[0].input = 7
    assert app.failures("picky")[0].input == 7
    assert app.failures("picky")[0].retry() == [70]
    assert sink.tape.pushed[-1] == 70


def test_a_retry_runs_the_code_of_this_moment(app):
    source, sink = FakeSource([[1, 2]], endless=True), FakeSink()

    def declare(factor):
        @app.consumer(source=source, sink=sink, retries=0)
        def price(x: int) -> int:
            if factor == 0:
                msg = "zero"
                raise ValueError(msg)
            return factor * x

    declare(0)
    app.run(block=False)
    until(lambda: len(app.failures("price")) == 2)
    declare(5)
    assert [f.retry() for f in app.failures("price")] == [[5], [10]]
    assert sink.tape.pushed == [5, 10]


@pytest.mark.parametrize(
    "edited",
    [{"id": 1, "qty": 5}, '{"id": 1, "qty": 5}', b'{"id": 1, "qty": 5}', Order(1, 5)],
    ids=["dict", "text", "bytes", "object"],
)
@pytest.mark.parametrize("wire", [Wire.TEXT, Wire.BYTES, Wire.RECORD, Wire.OBJECT])
def test_wire_elements_and_edits_of_any_form_become_the_declared_type(app, wire, edited):
    raw: object = {"id": 1, "qty": "many"}
    if wire in (Wire.TEXT, Wire.BYTES):
        raw = json.dumps(raw)
    if wire is Wire.BYTES:
        raw = raw.encode()
    sink = FakeSink()

    @app.consumer(source=FakeSource([[raw]], endless=True, source_wire=wire), sink=sink, retries=0)
    def price(order: Order) -> int:
        return order.qty

    app.run(block=False)
    until(lambda: app.failures("price"))
    (failed,) = app.failures("price")
    assert failed.input == raw
    with pytest.raises(ConversionError, match="qty"):
        failed.retry()
    assert failed.tries == 2
    assert failed.retry(edited) == [5]
    assert sink.tape.pushed == [5]


def test_a_class_that_was_defined_anew_takes_elements_of_the_old_one(app):
    source = FakeSource([[Order(1, 0)]], endless=True)

    @app.consumer(source=source, retries=0)
    def price(order: Order) -> int:
        return 1 // order.qty

    app.run(block=False)
    until(lambda: app.failures("price"))

    @dataclass
    class Newer:
        id: int
        qty: int

    Newer.__name__ = "Order"

    def price2(order) -> int:
        assert type(order) is Newer
        return order.qty + 1

    price2.__name__ = "price"
    price2.__annotations__ = {"order": Newer, "return": int}
    app.consumer(source=source, retries=0)(price2)
    failed = app.failures("price")[0]
    failed.input = failed.input
    assert failed.retry() == [1]


def test_a_retry_that_drops_or_gives_many_is_counted_as_that(app):
    sink, fails = FakeSink(), [True]

    @app.consumer(source=FakeSource([[1, 2]], endless=True), sink=sink, retries=0)
    def split(x: int) -> list[int] | None:
        if fails:
            msg = "not yet"
            raise OSError(msg)
        return [x, x] if x == 1 else None

    app.run(block=False)
    until(lambda: len(app.failures("split")) == 2)
    fails.clear()
    assert [f.retry() for f in app.failures("split")] == [[1, 1], []]
    assert numbers(app, "split") == (2, 2, 1, 0, 0)
    assert [p.results for p in app.peek("split")] == [(1, 1), ()]


def test_async_code_and_class_instances_retry_too(app):
    sink = FakeSink()

    @app.consumer(source=FakeSource([[1]], endless=True), sink=sink, retries=0)
    class Later:
        def setup(self) -> None:
            self.calls = 0

        async def process(self, x: int) -> int:
            self.calls += 1
            if self.calls == 1:
                msg = "first"
                raise LookupError(msg)
            return self.calls

    app.run(block=False)
    until(lambda: app.failures("Later"))
    assert app.failures("Later")[0].retry() == [2]  # the live instance
    assert sink.tape.pushed == [2]


def test_a_sink_that_refuses_keeps_the_failure(app):
    sink = FakeSink(refuse=lambda item: item == 20)
    refused = picky_flow(app, sink)
    refused.clear()
    failed = app.failures("picky")[0]
    with pytest.raises(ValueError, match=r"^refused$"):
        failed.retry()
    assert failed.error == "ValueError: refused"
    assert failed.retry(4) == [40]


def test_discarding_forgets_and_keeps_the_count(app):
    picky_flow(app, FakeSink())
    (failed,) = app.failures("picky")
    failed.discard()
    assert app.failures("picky") == []
    assert failed.fate == "discarded"
    assert numbers(app, "picky") == (3, 2, 0, 1, 0)
    with pytest.raises(UsageError, match="is discarded already"):
        failed.discard()
