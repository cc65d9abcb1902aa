"""Drained is known, not guessed: an endless source says that it is empty, after all was settled."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from buildflow_nb.core.primitive import Batch, Wire
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime import handle
from tests.fakes import PATIENCE_S, FakeSink, FakeSource

TOO_SHORT_S = 0.7  # longer than the silence that once was taken for emptiness


class Queue:
    """An endless source and a sink; `answers` may be held up, `hidden` is what others lease."""

    source_wire = sink_wire = Wire.OBJECT
    max_pullers = 1
    max_push = 10
    linger_s = 0.0

    def __init__(self, name: str, items=(), *, tells_backlog: bool = False) -> None:
        self.primitive_id = name
        self.items = deque(items)
        self.hidden = 0
        self.answers = threading.Event()
        self.answers.set()
        self.tells_backlog = tells_backlog

    @asynccontextmanager
    async def source(self, env):
        yield self

    @asynccontextmanager
    async def sink(self, env, element):
        yield self

    async def pull(self):
        if not self.answers.is_set():
            await asyncio.to_thread(self.answers.wait, PATIENCE_S)
        return Batch([self.items.popleft()]) if self.items else Batch(())

    async def push(self, items):
        self.items.extend(items)

    async def settle(self, receipts, *, ok):
        pass

    async def backlog(self):
        return len(self.items) + self.hidden if self.tells_backlog else None


def drained(app, timeout: float = PATIENCE_S):
    return app.handle.wait_until(drained=True, timeout=timeout)


@pytest.mark.parametrize("tells_backlog", [True, False])
def test_a_slow_first_answer_is_not_taken_for_an_empty_queue(app, tells_backlog):
    queue, sink = Queue("slow", range(5), tells_backlog=tells_backlog), FakeSink()
    queue.answers.clear()

    @app.consumer(source=queue, sink=sink)
    def same(x: int) -> int:
        return x

    app.run(block=False)
    with pytest.raises(TimeoutError):
        drained(app, TOO_SHORT_S)
    queue.answers.set()
    drained(app)
    assert sink.tape.pushed == list(range(5))
    assert app.handle.status() is State.RUNNING


def test_what_is_being_worked_on_is_not_drained(app):
    gate, sink = threading.Event(), FakeSink()

    @app.consumer(source=Queue("one", [1]), sink=sink)
    def same(x: int) -> int:
        gate.wait(PATIENCE_S)
        return x

    app.run(block=False)
    with pytest.raises(TimeoutError):
        drained(app, TOO_SHORT_S)
    gate.set()
    drained(app)
    assert sink.tape.pushed == [1]


class Late(Queue):
    """Looks first and answers later, one answer for each permit."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.looks = threading.Semaphore(0)
        self.permits = threading.Semaphore(0)

    async def pull(self):
        found = Batch([self.items.popleft()]) if self.items else Batch(())
        self.looks.release()
        await asyncio.to_thread(self.permits.acquire, timeout=PATIENCE_S)
        return found


def test_an_empty_answer_that_is_older_than_the_last_element_says_nothing(app):
    late, gate, sink = Late("late"), threading.Event(), FakeSink()

    @app.consumer(source=FakeSource([[1]]), sink=late)
    def begin(x: int) -> int:
        gate.wait(PATIENCE_S)
        return x

    @app.consumer(source=late, sink=sink)
    def end(x: int) -> int:
        return x

    handle = app.run(block=False)
    assert late.looks.acquire(timeout=PATIENCE_S)
    gate.set()
    handle.wait_until(count=1, timeout=PATIENCE_S)
    late.permits.release()
    assert late.looks.acquire(timeout=PATIENCE_S)
    with pytest.raises(TimeoutError):
        drained(app, TOO_SHORT_S)
    late.permits.release(100)
    drained(app)
    assert sink.tape.pushed == [1]


def test_what_is_hidden_by_others_counts(app):
    queue, sink = Queue("leased", [1], tells_backlog=True), FakeSink()
    queue.hidden = 1

    @app.consumer(source=queue, sink=sink)
    def same(x: int) -> int:
        return x

    app.run(block=False)
    with pytest.raises(TimeoutError):
        drained(app, TOO_SHORT_S)
    queue.items.append(2)
    queue.hidden = 0
    drained(app)
    assert sink.tape.pushed == [1, 2]


def test_a_pull_that_began_before_all_was_settled_says_nothing(app):
    """The last processor of a chain is empty until the first one has written."""
    first, second, sink = Queue("first", range(20)), Queue("second"), FakeSink()
    gate = threading.Event()

    @app.consumer(source=first, sink=second)
    def begin(x: int) -> int:
        gate.wait(PATIENCE_S)
        return x

    @app.consumer(source=second, sink=sink)
    def end(x: int) -> int:
        return x

    app.run(block=False)
    with pytest.raises(TimeoutError):
        drained(app, TOO_SHORT_S)
    gate.set()
    drained(app)
    assert sorted(sink.tape.pushed) == list(range(20))


def test_a_source_that_never_answers_is_never_drained(app):
    queue = Queue("silent")
    queue.answers.clear()

    @app.consumer(source=queue, sink=FakeSink())
    def same(x: int) -> int:
        return x

    app.run(block=False)
    with pytest.raises(TimeoutError):
        drained(app, TOO_SHORT_S)
    queue.answers.set()


def test_a_look_that_takes_long_is_taken_seldom(app, monkeypatch):
    @app.consumer(source=Queue("one", [1]), sink=FakeSink())
    def same(x: int) -> int:
        return x

    run = app.run(block=False)
    ticks, pauses = iter([0.0, 0.1, 0.3, 1.0, 1.0]), []

    class Ended:
        def wait(self, seconds):
            pauses.append(seconds)
            return len(pauses) == 3

    monkeypatch.setattr(run, "_ended", Ended())
    monkeypatch.setattr(handle, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    run.wait_until(count=1_000)
    monkeypatch.undo()
    run.stop()
    assert pauses == pytest.approx([handle.LOOK_EVERY_S, 0.8, handle.LOOK_EVERY_S])
