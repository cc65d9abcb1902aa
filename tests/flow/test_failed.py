"""Failures in a person's hands: looked at, edited, retried into the sink, debugged, discarded."""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
import weakref
from dataclasses import dataclass

import pytest

from buildflow_nb.core.errors import ConversionError, RunError, TemporaryError, UsageError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.observability.failures import EXCEPTIONS
from buildflow_nb.runtime.sinks import push
from tests.fakes import PATIENCE_S, FakeSink, FakeSource


def until(so, what: str = "it") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.002)


@dataclass
class Order:
    id: int
    qty: int


def lambda_named(name):
    def code(x: int) -> int:
        return x

    code.__name__ = name
    return code


def numbers(app, processor_id):
    p = app.snapshot().processor(processor_id)
    return p.elements_in, p.elements_out, p.dropped, p.failed, p.failures_kept


def picky_flow(app, sink, *, bad=(2,), batches=([1, 2, 3],), **options):
    """A consumer that refuses some numbers, at work."""
    refused = set(bad)

    @app.consumer(source=FakeSource(batches, endless=True), sink=sink, retries=0, **options)
    def picky(x: int) -> int:
        if x in refused:
            place = f"local of {x}"
            msg = f"no {x}, {place}"
            raise ValueError(msg)
        return 10 * x

    app.run(block=False)
    until(lambda: len(app.failures("picky")) == len(bad))
    return refused


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


def test_retrying_while_stopped_says_how_to_mend_it(app):
    sink = FakeSink()
    refused = picky_flow(app, sink)

    @app.consumer(source=FakeSource([], endless=True))
    def other(x: int) -> int:
        return x

    (failed,) = app.failures("picky")
    app.handle.stop("picky")
    with pytest.raises(UsageError, match=r"^consumer 'picky' is stopped; %buildflow start picky"):
        failed.retry()
    assert failed.tries == 1
    app.handle.start("picky")
    refused.clear()
    until(lambda: app.snapshot().processor("picky").state is State.RUNNING)
    assert failed.retry() == [20]
    with pytest.raises(UsageError, match="is retried already"):
        failed.retry()


def test_a_run_that_was_stopped_and_started_again_takes_the_old_failures(app):
    sink = FakeSink()
    refused = picky_flow(app, sink)
    (failed,) = app.failures("picky")
    app.handle.stop()
    with pytest.raises(UsageError, match=r"is stopped, and so is the run; %buildflow run"):
        failed.retry()
    refused.clear()
    app.run(block=False)
    until(lambda: app.snapshot().processor("picky").state is State.RUNNING)
    assert failed.retry() == [20]


def test_a_processor_that_waits_or_is_gone_says_so(app):
    missing = [TemporaryError("no queue")] * 1_000
    picky_flow(app, FakeSink())
    (failed,) = app.failures("picky")
    app.remove("picky")
    with pytest.raises(UsageError, match="'picky' is not part of the run any more; declare it"):
        failed.retry()
    assert missing


def test_a_consumer_that_is_done_opens_its_sink_for_a_retry(app):
    sink, refused = FakeSink(), {2}

    @app.consumer(source=FakeSource([[1, 2]]), sink=sink, retries=0)
    def picky(x: int) -> int:
        if x in refused:
            raise ValueError(x)
        return x

    app.run()
    assert app.handle.status() is State.DONE
    (failed,) = app.failures("picky")
    with pytest.raises(ValueError, match="2"):
        failed.retry()
    refused.clear()
    assert failed.retry() == [2]
    assert sink.tape.pushed == [1, 2]
    assert sink.tape.opened == sink.tape.closed == 3
    assert numbers(app, "picky") == (2, 2, 0, 0, 0)


def test_a_sink_that_takes_nothing_is_waited_for_in_vain_and_the_failure_stays(app, monkeypatch):
    monkeypatch.setattr(push, "RETRY_S", 0.05)
    sink = FakeSink()
    refused = picky_flow(app, sink, batches=([2],))
    refused.clear()
    sink.fails = [TemporaryError("down")] * 3
    (failed,) = app.failures("picky")
    with pytest.raises(TimeoutError, match=r"^the sink did not take it within 0\.05 s; it is"):
        failed.retry()
    assert app.failures("picky") == [failed]
    until(lambda: sink.tape.pushed == [20])  # at least once: it was queued
    assert failed.retry() == [20]
    assert sink.tape.pushed == [20, 20]


def test_a_stop_without_a_drain_ends_a_retry(app):
    sink = FakeSink()
    refused = picky_flow(app, sink, batches=([2],))
    refused.clear()
    sink.fails = [TemporaryError("down")] * 1_000
    (failed,) = app.failures("picky")
    found: list[object] = []

    def retry() -> None:
        try:
            failed.retry()
        except Exception as error:  # noqa: BLE001
            found.append(error)

    thread = threading.Thread(target=retry)
    thread.start()
    until(lambda: app.snapshot().processor("picky").state is State.WAITING)
    app.handle.stop(drain=False)
    thread.join(PATIENCE_S)
    assert len(found) == 1
    assert isinstance(found[0], Exception)
    assert app.failures("picky") == [failed]
    failed.discard()  # which is refused while it is being retried
    assert app.failures("picky") == []


def test_an_error_of_a_sink_keeps_nothing_of_what_was_pushed(app):
    things = [Thing() for _ in range(300)]
    watched = [weakref.ref(thing) for thing in things]
    worst = things[17]
    sink = FakeSink(refuse=lambda item: item is worst)

    @app.consumer(source=FakeSource([things], receipts=False), sink=sink, retries=0)
    def same(x: Thing) -> Thing:
        return x

    app.consumer(source=FakeSource([], endless=True))(lambda_named("other"))
    app.run(block=False)
    until(lambda: app.failures("same"))
    (failed,) = app.failures("same")
    assert "ValueError: refused" in failed.traceback
    assert "in push" in failed.traceback
    until(lambda: app.snapshot().processor("same").state is State.DONE)
    things.clear()
    sink.tape.pushed.clear()
    sink.tape.pushes.clear()
    sink.tape.events.clear()
    gc.collect()
    assert sum(ref() is not None for ref in watched) <= 1 + 20
    with pytest.raises(ValueError, match="refused"):
        failed.reraise()


def test_starting_again_what_was_stopped(app):
    picky_flow(app, FakeSink())

    @app.consumer(source=FakeSource([], endless=True))
    def other(x: int) -> int:
        return x

    app.handle.stop("picky")
    app.start("picky")
    until(lambda: app.snapshot().processor("picky").state is State.RUNNING)
    with pytest.raises(UsageError, match="no processor 'pickt'; did you mean 'picky'"):
        app.start("pickt")
    app.handle.stop()
    with pytest.raises(UsageError, match=r"^flow 'test' does not run; app\.run\(\) starts it$"):
        app.start()
    with pytest.raises(UsageError, match=r"has ended; app\.run\(\) starts it again$"):
        app.handle.start()


def test_a_drain_waits_for_a_retry_and_two_at_once_are_refused(app):
    inside, go = threading.Event(), threading.Event()
    fails = [True]
    sink = FakeSink()

    @app.consumer(source=FakeSource([[1]], endless=True), sink=sink, retries=0)
    def slow(x: int) -> int:
        if fails:
            msg = "first"
            raise ValueError(msg)
        inside.set()
        assert go.wait(PATIENCE_S)
        return x

    app.run(block=False)
    until(lambda: app.failures("slow"))
    fails.clear()
    (failed,) = app.failures("slow")
    found: list[object] = []
    one = threading.Thread(target=lambda: found.append(failed.retry()))
    one.start()
    assert inside.wait(PATIENCE_S)
    with pytest.raises(UsageError, match="is being retried at this moment"):
        failed.retry()
    two = threading.Thread(target=app.handle.stop)
    two.start()
    until(lambda: app.snapshot().processor("slow").state is State.DRAINING)
    go.set()
    one.join(PATIENCE_S)
    two.join(PATIENCE_S)
    assert found == [[1]]
    assert sink.tape.pushed == [1]
    assert app.snapshot().processor("slow").state is State.STOPPED


def test_an_exit_of_the_users_code_ends_neither_loop_nor_kernel(app):
    @app.consumer(source=FakeSource([[1]], endless=True), retries=0)
    def leaves(x: int) -> int:
        sys.exit(3)

    app.run(block=False)
    until(lambda: app.failures("leaves"))
    (failed,) = app.failures("leaves")
    with pytest.raises(RuntimeError, match=r"^SystemExit: 3$"):
        failed.retry()
    with pytest.raises(RuntimeError, match=r"^SystemExit: 3$"):
        failed.reraise()
    with pytest.raises(RuntimeError, match=r"^SystemExit: 3$"):
        app.send("leaves", 1)
    assert app.handle.status() is State.RUNNING


class Thing:
    """An element that can be watched."""


def test_kept_errors_do_not_keep_their_haul(app):
    things = [Thing() for _ in range(5_000)]
    watched, wanted = [weakref.ref(thing) for thing in things], things[4_000]

    @app.consumer(source=FakeSource([[Thing()], things, [Thing()]], receipts=False), retries=0)
    def picky(x: Thing) -> None:
        if x is wanted:
            msg = "this one"
            raise ValueError(msg)

    app.consumer(source=FakeSource([], endless=True))(lambda_named("other"))
    app.run(block=False)
    until(lambda: app.failures("picky"))
    (failed,) = app.failures("picky")
    until(lambda: app.snapshot().processor("picky").state is State.DONE)
    things.clear()
    gc.collect()
    alive = [ref for ref in watched if ref() is not None]
    assert len(alive) <= 1 + 20  # itself, and what peek shows
    assert failed.input is wanted
    frame = failed.exception.__traceback__.tb_frame
    assert frame.f_code.co_name == "picky"
    assert frame.f_locals["x"] is wanted


@pytest.mark.parametrize("form", ["sync", "async", "generator", "class"])
def test_kept_errors_hold_no_frame_of_ours_with_elements_in_it(app, form):
    app.consumer(source=FakeSource([list(range(50))], receipts=False), retries=0)(_forms()[form])
    app.run()
    (failed,) = app.failures()
    trace = failed.exception.__traceback__
    assert trace.tb_frame.f_globals["__name__"] == __name__
    frame, lists = trace.tb_frame.f_back, []
    while frame is not None:
        name = frame.f_globals["__name__"]
        if name.startswith("buildflow_nb.runtime.") and not name.endswith(
            (".worker_thread", ".loop")
        ):
            lists += [v for v in frame.f_locals.values() if isinstance(v, list) and len(v) > 1]
        frame = frame.f_back
    assert lists == []


def _forms():
    def fails(x: int) -> None:
        if x == 30:
            raise ValueError(x)

    async def fails_async(x: int) -> None:
        fails(x)

    def fails_many(x: int):
        yield x
        fails(x)

    class Fails:
        def process(self, x: int) -> None:
            fails(x)

    return {"sync": fails, "async": fails_async, "generator": fails_many, "class": Fails}


def test_only_the_newest_errors_are_kept(app):
    @app.consumer(source=FakeSource([list(range(30))]), retries=0)
    def never(x: int) -> int:
        raise ValueError(x)

    with pytest.raises(
        RunError, match="nothing worked: all 30 elements of consumer 'never' failed"
    ):
        app.run()
    found = app.failures("never")
    assert [f.exception is not None for f in found] == [False] * 10 + [True] * EXCEPTIONS
    assert "ValueError: 0" in found[0].traceback
    with pytest.raises(UsageError, match=r"exception of failure 1 of 'never' is not kept"):
        found[0].reraise()
    with pytest.raises(ValueError, match=r"^0$"):
        found[0].retry()
    assert found[0].exception is not None  # the newest again
    assert sum(f.exception is not None for f in found) == EXCEPTIONS


def test_reraise_lands_in_the_users_frame_with_its_locals(app):
    picky_flow(app, FakeSink())
    (failed,) = app.failures("picky")
    for _ in range(2):  # it does not grow
        with pytest.raises(ValueError, match="no 2") as caught:
            failed.reraise()
        frame = caught.traceback[-1].frame
        assert frame.code.name == "picky"
        assert frame.f_locals["place"] == "local of 2"
        assert len(caught.traceback) == 3  # the test, reraise, picky


def test_a_collector_retries_into_its_sink_and_an_endpoint_runs_again(app):
    sink, fails = FakeSink(), [True]

    @app.collector(route="/in", sink=sink)
    def take(order: Order, tag: str = "x") -> int:
        if fails:
            msg = "not yet"
            raise LookupError(msg)
        return order.qty

    @app.endpoint(route="/ask", method="POST")
    async def ask(body: dict) -> dict:
        if fails:
            msg = "nor this"
            raise LookupError(msg)
        return {"got": body}

    import urllib.error
    import urllib.request

    handle = app.run(block=False, serve_port=0)

    def post(path: str, value: object) -> None:
        request = urllib.request.Request(  # noqa: S310
            handle.address + path,
            json.dumps(value).encode(),
            {"Content-Type": "application/json"},
            method="POST",
        )
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=PATIENCE_S)  # noqa: S310
        caught.value.close()

    post("/in?tag=red", {"id": 1, "qty": 7})
    post("/ask", {"body": 5, "more": 6})
    (taken,), (asked,) = app.failures("take"), app.failures("ask")
    assert taken.input == {"order": Order(1, 7), "tag": "red"}
    with pytest.raises(LookupError, match="not yet"):
        taken.retry()
    assert taken.tries == 2
    fails.clear()
    assert taken.retry() == [7]
    assert sink.tape.pushed == [7]
    assert asked.retry() == [{"got": {"body": 5, "more": 6}}]
    assert app.failures() == []
    found = app.snapshot()
    assert [(p.elements_in, p.elements_out, p.failed) for p in found.processors] == [(1, 1, 0)] * 2
