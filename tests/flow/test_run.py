"""A whole flow on the real loop thread: run, look, swap, stop, wait, and leave."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time

import pytest

from buildflow_nb.core.errors import PermanentError, RunError, TemporaryError, UsageError
from buildflow_nb.core.events import ElementFailed, StateChanged
from buildflow_nb.core.status.snapshot import State
from tests.fakes import PATIENCE_S, FakeSink, FakeSource


def until(so, what: str = "it") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.005)


def test_a_bounded_flow_blocks_until_everything_is_in_the_sink(app):
    source, sink = FakeSource([[1, 2], [3]]), FakeSink()

    @app.consumer(source=source, sink=sink)
    def double(x: int) -> int:
        return 2 * x

    handle = app.run()
    assert sink.tape.pushed == [2, 4, 6]
    assert not handle.running
    assert handle.status() is State.DONE
    assert handle.wait() is State.DONE
    assert handle.snapshot().processor("double").elements_out == 3
    assert "double  consumer  done  3 in  3 out" in repr(handle)
    assert sink.tape.closed == source.tape.closed == 1


def test_an_endless_flow_runs_beside_and_stops(app):
    source, sink = FakeSource([[1]], endless=True), FakeSink()

    @app.consumer(source=source, sink=sink)
    def same(x: int) -> int:
        return x

    handle = app.run(block=False)
    assert app.run(block=False) is handle
    until(lambda: sink.tape.pushed == [1])
    assert handle.status() is State.RUNNING
    assert handle.send("same", 7) == [7]
    assert [p.element for p in handle.peek("same")] == [1]  # what is sent leaves no trace
    with pytest.raises(TimeoutError, match=r"did not end within 0\.01 s; it goes on"):
        handle.wait(timeout=0.01)
    handle.stop()
    assert handle.status() is State.STOPPED
    assert handle.wait() is State.STOPPED
    handle.stop()  # again does no harm
    again = app.run(block=False)
    assert again is not handle
    until(lambda: sink.tape.pushed == [1, 1])


def test_the_handle_can_be_awaited(app):
    @app.consumer(source=FakeSource([[1]]), sink=FakeSink())
    def same(x: int) -> int:
        return x

    async def main() -> State:
        handle = app.run()  # inside a running loop it does not block
        return await handle

    assert asyncio.run(main()) is State.DONE


def test_waiting_for_a_flow_whose_processor_fails_raises(app):
    @app.consumer(source=FakeSource([PermanentError("no such table 't'")]))
    def broken(x: int) -> int:
        return x

    with pytest.raises(RunError, match=r"^consumer 'broken' failed: no such table 't'$"):
        app.run()
    assert app.handle.status() is State.FAILED


def test_a_setup_that_fails_fails_its_processor_alone(app):
    sink = FakeSink()

    @app.consumer(source=FakeSource([[1]], endless=True), sink=sink)
    def good(x: int) -> int:
        return x

    @app.consumer(source=FakeSource([[1]]))
    class Bad:
        def setup(self) -> None:
            msg = "no model"
            raise OSError(msg)

        def process(self, x: int) -> int:
            return x

    handle = app.run(block=False)
    until(lambda: sink.tape.pushed == [1])
    bad = handle.snapshot().processor("Bad")
    assert (bad.state, bad.reason) == (State.FAILED, "OSError: no model")
    with pytest.raises(RunError, match="Bad"):
        handle.wait_until(duration=5)


def test_run_before_the_source_exists_waits_and_starts_by_itself(app):
    missing = [TemporaryError("queue 'q' does not exist in stack 'local'")] * 2
    source, sink = FakeSource([*missing, [1]], endless=True), FakeSink()

    @app.consumer(source=source, sink=sink)
    def same(x: int) -> int:
        return x

    seen: list[tuple[State, str]] = []
    handle = app.run(
        block=False,
        event_subscriber=lambda e: isinstance(e, StateChanged) and seen.append((e.state, e.reason)),
    )
    until(lambda: sink.tape.pushed == [1])
    assert (State.WAITING, "queue 'q' does not exist in stack 'local'") in seen
    until(lambda: handle.snapshot().processor("same").state is State.RUNNING)


def test_registering_while_running_starts_replacing_swaps_and_removing_stops(app):
    first, sink = FakeSource([[1]], endless=True), FakeSink()

    @app.consumer(source=first, sink=sink)
    def one(x: int) -> int:
        return x

    handle = app.run(block=False)
    until(lambda: sink.tape.pushed == [1])
    second = FakeSource([[10]], endless=True)

    @app.consumer(source=second, sink=sink)
    def two(x: int) -> int:
        return x

    until(lambda: sink.tape.pushed == [1, 10])

    def negative(x: int) -> int:
        return -x

    negative.__name__ = "one"
    app.consumer(source=first, sink=sink)(negative)
    assert handle.send("one", 5) == [-5]
    assert first.tape.opened == 1
    assert handle.snapshot().processor("one").version == 2
    app.remove("two")
    assert second.tape.closed == 1
    assert handle.snapshot().processor("two") is None
    with pytest.raises(UsageError, match="no processor 'two'"):
        handle.send("two", 1)


def test_replacing_the_sink_keeps_the_open_source(app):
    source, old, new = FakeSource([[1]], endless=True), FakeSink(), FakeSink()

    def declare(sink: FakeSink) -> None:
        @app.consumer(source=source, sink=sink)
        def same(x: int) -> int:
            return x

    declare(old)
    app.run(block=False)
    until(lambda: old.tape.pushed == [1])
    declare(new)
    assert (source.tape.opened, source.tape.closed) == (1, 0)
    assert (old.tape.closed, new.tape.opened) == (1, 1) or not until(lambda: new.tape.opened)
    assert source.tape.acked == [1]


def test_one_processor_can_be_stopped_and_started_again(app):
    source, sink = FakeSource([[1]], endless=True), FakeSink()

    @app.consumer(source=source, sink=sink)
    def same(x: int) -> int:
        return x

    @app.consumer(source=FakeSource([], endless=True))
    def other(x: int) -> int:
        return x

    handle = app.run(block=False)
    until(lambda: sink.tape.pushed == [1])
    handle.stop("same")
    assert handle.snapshot().processor("same").state is State.STOPPED
    assert handle.running
    handle.start("same")
    until(lambda: sink.tape.pushed == [1, 1])
    with pytest.raises(UsageError, match=r"no processor 'sane'; did you mean 'same'\?"):
        handle.stop("sane")


def test_waiting_until_drained_a_count_or_a_time(app):
    source, sink = FakeSource([[1, 2, 3], *[[]] * 1_000], endless=True), FakeSink()

    @app.consumer(source=source, sink=sink)
    def same(x: int) -> int:
        return x

    handle = app.run(block=False)
    assert handle.wait_until(count=3).processor("same").elements_in == 3
    assert handle.wait_until(duration=0.01).state is State.RUNNING
    assert handle.wait_until(drained=True, timeout=PATIENCE_S).state is State.RUNNING
    with pytest.raises(TimeoutError, match=r"did not get there within 0\.1 s"):
        handle.wait_until(count=100, timeout=0.1)
    assert sink.tape.pushed == [1, 2, 3]


def test_what_waits_for_its_source_is_not_drained(app):
    missing = [TemporaryError("file 'orders.csv' does not exist")] * 10_000

    @app.consumer(source=FakeSource(missing), sink=FakeSink())
    def same(x: int) -> int:
        return x

    handle = app.run(block=False)
    until(lambda: handle.snapshot().processor("same").state is State.WAITING)
    with pytest.raises(TimeoutError, match="did not get there"):
        handle.wait_until(drained=True, timeout=0.5)


def test_failures_are_told_and_kept(app):
    @app.consumer(source=FakeSource([[1, 2]], receipts=False), retries=0)
    def picky(x: int) -> int:
        if x == 2:
            msg = "two"
            raise ValueError(msg)
        return x

    told = []
    app.run(event_subscriber=told.append)
    (failure,) = app.failures()
    assert (failure.element, failure.error, failure.fate) == (2, "ValueError: two", "dropped")
    (event,) = [e.failure for e in told if isinstance(e, ElementFailed)]
    assert (event.number, event.element, event.error) == (failure.number, 2, failure.error)
    assert app.failures("picky") == [failure]


def test_send_peek_and_logs_work_without_a_run(app):
    torn_down: list[bool] = []

    @app.consumer(source=FakeSource([]))
    class Adder:
        def setup(self) -> None:
            self.more = 10

        def process(self, x: int) -> int:
            return x + self.more

        def teardown(self) -> None:
            torn_down.append(True)

    assert app.send("Adder", 1) == [11]
    assert torn_down == [True]
    assert app.peek("Adder") == []
    assert app.logs("Adder") == []
    assert app.snapshot().processor("Adder").state is State.PENDING


def test_many_runs_leave_no_threads_behind(app):
    @app.consumer(source=FakeSource([[1]]), sink=FakeSink(), num_concurrency=4)
    def same(x: int) -> int:
        return x

    app.run()
    before = threading.active_count()
    for _ in range(10):
        app.run()
    until(lambda: threading.active_count() <= before, "the end of the threads")
    gc.collect()


def test_a_listener_that_fails_does_not_hurt_the_run(app):
    sink = FakeSink()

    @app.consumer(source=FakeSource([[1]]), sink=sink)
    def same(x: int) -> int:
        return x

    def listener(event: object) -> None:
        msg = "listener"
        raise ValueError(msg)

    app.run(event_subscriber=listener)
    assert sink.tape.pushed == [1]


def test_a_setup_that_never_returns_holds_up_neither_run_nor_stop(app):
    forever = threading.Event()

    @app.consumer(source=FakeSource([[1]]))
    class Stuck:
        def setup(self) -> None:
            forever.wait(PATIENCE_S)

        def process(self, x: int) -> int:
            return x

    sink = FakeSink()

    @app.consumer(source=FakeSource([[1]], endless=True), sink=sink)
    def good(x: int) -> int:
        return x

    handle = app.run(block=False)
    until(lambda: sink.tape.pushed == [1])
    assert handle.snapshot().processor("Stuck").state is State.STARTING
    handle.stop(timeout=0.1)
    assert handle.status() is State.STOPPED
    forever.set()


def test_what_is_declared_after_the_end_of_a_run_waits_for_the_next_one(app):
    @app.consumer(source=FakeSource([[1]]), sink=FakeSink())
    def first(x: int) -> int:
        return x

    app.run()

    @app.consumer(source=FakeSource([[1]]), sink=FakeSink())
    def second(x: int) -> int:
        return 10 * x

    assert app.snapshot().processor("first").state is State.DONE
    assert app.snapshot().processor("second").state is State.PENDING
    assert app.peek("second") == app.failures("second") == app.logs("second") == []
    assert app.send("second", 4) == [40]
    app.run()
    assert app.snapshot().processor("second").state is State.DONE


def test_an_interrupted_start_leaves_nothing_running(app, monkeypatch):
    monkeypatch.setattr("buildflow_nb.runtime.supervisor.START_GRACE_S", PATIENCE_S)
    source, forever = FakeSource([[1]], endless=True), threading.Event()

    @app.consumer(source=source)
    def good(x: int) -> int:
        return x

    @app.consumer(source=FakeSource([]))
    class Slow:
        def setup(self) -> None:
            forever.wait(PATIENCE_S)

        def process(self, x: int) -> int:
            return x

    def interrupt() -> None:
        until(lambda: source.tape.opened)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        app.run(block=False)
    assert app.handle is None
    until(lambda: source.tape.closed)
    forever.set()
