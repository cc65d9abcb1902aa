"""Changing source, sink or options of a running processor: never an end, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from buildflow_nb.core.errors import PermanentError, RunError, TemporaryError
from buildflow_nb.core.events import StateChanged
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.io.local import File, Pulse
from tests.fakes import PATIENCE_S, FakeSink, FakeSource
from tests.flow.test_swaps import Counting, Watched


def until(so) -> None:
    deadline = threading.Event()
    for _ in range(int(PATIENCE_S / 0.01)):
        if so():
            return
        deadline.wait(0.01)
    raise AssertionError


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def states_of(handle) -> list[State]:
    seen: list[State] = []
    handle.subscribe(
        lambda event: seen.append(event.state) if isinstance(event, StateChanged) else None
    )
    return seen


def test_a_flow_of_one_consumer_goes_on_through_changes_of_its_sink(app, tmp_path):
    source = Pulse([1, 2, 3], 0.001)

    def declare(name: str) -> Path:
        @app.consumer(source=source, sink=File(name))
        def work(x: int) -> dict:
            return {"x": x}

        return tmp_path / name

    first = declare("a.jsonl")
    handle = app.run(block=False)
    seen = states_of(handle)
    until(lambda: lines(first) > 3)
    for name in ("b.jsonl", "c.jsonl"):
        path = declare(name)
        until(lambda path=path: lines(path) > 3)
        assert handle.status() is State.RUNNING
    assert not {State.DONE, State.STOPPED, State.FAILED} & set(seen)
    handle.stop()
    assert handle.status() is State.STOPPED
    counts = [lines(tmp_path / name) for name in ("a.jsonl", "b.jsonl", "c.jsonl")]
    again = app.run(block=False)
    until(lambda: lines(tmp_path / "c.jsonl") > counts[2])
    again.stop()
    assert [lines(tmp_path / name) for name in ("a.jsonl", "b.jsonl")] == counts[:2]


def test_forty_replacements_under_load_pass_every_element_once(app):
    source, sinks = Counting(), [Watched(primitive_id=f"sink {i}") for i in range(40)]
    for i, sink in enumerate(sinks):

        @app.consumer(source=source, sink=sink, retries=i % 3)
        def work(x: int) -> int:
            return x

        if i == 0:
            app.run(block=False)
        source.allow(100)
    source.allow(100, last=True)
    assert app.handle.wait(PATIENCE_S) is State.DONE
    stored = sorted(x for sink in sinks for x in sink.stored)
    assert stored == list(range(100 * 41))
    assert source.opened == 1
    assert app.snapshot().processor("work").version == 40


@pytest.mark.parametrize("receipts", [True, False])
def test_what_the_old_sink_did_not_take_goes_to_the_new_one(app, receipts):
    source = FakeSource([list(range(50)), list(range(50, 100))], receipts=receipts)
    stuck, new = FakeSink(fails=[TemporaryError("full")] * 10_000), FakeSink()

    @app.consumer(source=source, sink=stuck)
    def work(x: int) -> int:
        return x

    handle = app.run(block=False)
    until(lambda: handle.snapshot().processor("work").state is State.WAITING)

    @app.consumer(source=source, sink=new)
    def work(x: int) -> int:  # noqa: F811
        return x

    assert handle.wait(PATIENCE_S) is State.DONE
    assert sorted(new.tape.pushed) == list(range(100))
    assert source.tape.opened == 1
    assert handle.failures() == []


def test_a_bounded_source_at_its_end_is_not_read_again_by_a_replacement(app):
    gate = threading.Event()
    source, old, new = FakeSource([[1], [2]]), FakeSink(), FakeSink()

    @app.consumer(source=source, sink=old)
    def work(x: int) -> int:
        gate.wait(PATIENCE_S)
        return x

    app.run(block=False)
    until(lambda: source.tape.pulled == 2)
    threading.Timer(0.05, gate.set).start()

    @app.consumer(source=source, sink=new)
    def work(x: int) -> int:  # noqa: F811
        return x

    assert app.handle.wait(PATIENCE_S) is State.DONE
    assert sorted(old.tape.pushed + new.tape.pushed) == [1, 2]
    assert source.tape.opened == 1


def test_another_source_takes_over_from_one_that_never_ends(app):
    sink = FakeSink()

    @app.consumer(source=FakeSource([[1]], endless=True), sink=sink)
    def work(x: int) -> int:
        return x

    handle = app.run(block=False)
    until(lambda: sink.tape.pushed == [1])

    @app.consumer(source=FakeSource([[2]], endless=True, primitive_id="other"), sink=sink)
    def work(x: int) -> int:  # noqa: F811
        return x

    until(lambda: sink.tape.pushed == [1, 2])
    assert handle.status() is State.RUNNING


@dataclass(frozen=True)
class Item:
    x: int


class Refusing(FakeSink):
    @asynccontextmanager
    async def sink(self, env, element):
        msg = "no table of that name"
        raise PermanentError(msg)
        yield


def broken_setup():
    class work:
        def setup(self):
            msg = "no model"
            raise OSError(msg)

        def process(self, item: Item) -> int:
            return item.x

    return work


def test_a_new_sink_that_cannot_be_opened_leaves_the_old_consumer_at_work(app):
    source, sink = Counting(), Watched()

    @app.consumer(source=source, sink=sink)
    def work(x: int) -> int:
        return x

    handle = app.run(block=False)
    source.allow(10)
    sink.wait(10)
    with pytest.raises(RunError, match="no table of that name"):
        app.consumer(source=source, sink=Refusing())(work)
    with pytest.raises(RunError, match="no model"):
        app.consumer(source=source, sink=FakeSink())(broken_setup())
    source.allow(10)
    sink.wait(20)
    assert handle.status() is State.RUNNING
    assert "keeps running" in handle.snapshot().processor("work").reason


def test_a_change_of_the_kind_of_a_processor_takes_over_too(app):
    sink = FakeSink()

    @app.consumer(source=FakeSource([[1]], endless=True), sink=sink)
    def work(x: int) -> int:
        return x

    handle = app.run(block=False, serve_port=0)
    until(lambda: sink.tape.pushed == [1])

    @app.collector("/work", method="POST", sink=sink)
    def work(item: Item) -> int:  # noqa: F811
        return item.x

    assert post(handle.address + "/work", 2) == 200

    @app.consumer(source=FakeSource([[3]], endless=True), sink=sink)
    def work(x: int) -> int:  # noqa: F811
        return x

    until(lambda: sink.tape.pushed == [1, 2, 3])
    assert post(handle.address + "/work", 4) == 404


def post(address: str, value: int) -> int:
    request = urllib.request.Request(address, json.dumps({"x": value}).encode())  # noqa: S310  (our own)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code if error.code != 503 or error.headers["Retry-After"] else -1


def test_a_collector_whose_sink_is_replaced_answers_every_request(app):
    sinks = [Watched(primitive_id=f"sink {i}") for i in range(20)]

    def declare(sink: Watched) -> None:
        @app.collector("/take", method="POST", sink=sink)
        def take(item: Item) -> int:
            return item.x

    declare(sinks[0])
    address = app.run(block=False, serve_port=0).address + "/take"
    codes: list[tuple[int, int]] = []
    over = threading.Event()

    def client(first: int) -> None:
        for i in range(first, 10**9, 6):
            if over.is_set():
                return
            codes.append((i, post(address, i)))

    clients = [threading.Thread(target=client, args=(i,)) for i in range(6)]
    for each in clients:
        each.start()
    for sink in sinks[1:]:
        declare(sink)
        sink.wait(1)
    over.set()
    for each in clients:
        each.join(PATIENCE_S)
    assert {code for _, code in codes} <= {200, 503}
    stored = sorted(x for sink in sinks for x in sink.stored)
    assert stored == sorted(i for i, code in codes if code == 200)


def test_a_collector_whose_new_code_cannot_start_goes_on_with_the_old(app):
    sink = FakeSink()

    @app.collector("/take", method="POST", sink=sink)
    def work(item: Item) -> int:
        return item.x

    handle = app.run(block=False, serve_port=0)
    for declare in (
        lambda: app.collector("/take", method="POST", sink=FakeSink())(broken_setup()),
        lambda: app.collector("/take", method="POST", sink=Refusing())(work),
    ):
        with pytest.raises(RunError, match="keeps running"):
            declare()
        assert post(handle.address + "/take", 1) == 200
    assert sink.tape.pushed == [1, 1]


def test_a_collector_answers_once_run_has_returned_and_waits_for_its_sink(app):
    opened = threading.Event()

    class Slow(FakeSink):
        @asynccontextmanager
        async def sink(self, env, element):
            await asyncio.to_thread(opened.wait, PATIENCE_S)
            yield self

    sink = Slow()

    @app.collector("/take", method="POST", sink=sink)
    def take(item: Item) -> int:
        return item.x

    handle = app.run(block=False, serve_port=0)
    assert post(handle.address + "/take", 1) == 503
    threading.Timer(0.05, opened.set).start()
    assert post(handle.address + "/take", 2) == 200
    assert sink.tape.pushed == [2]


def test_the_last_living_processor_may_take_another_name(app):
    done, sink = FakeSink(), FakeSink()

    @app.consumer(source=FakeSource([[0]]), sink=done)
    def first(x: int) -> int:
        return x

    @app.consumer(source=FakeSource([[1]], endless=True), sink=sink)
    def second(x: int) -> int:
        return x

    handle = app.run(block=False)
    until(lambda: handle.snapshot().processor("first").state is State.DONE)
    app.registry.hold()
    app.remove("second")

    @app.consumer(source=FakeSource([[2]], endless=True), sink=sink)
    def third(x: int) -> int:
        return x

    app.registry.release()
    until(lambda: sink.tape.pushed == [1, 2])
    assert handle.status() is State.RUNNING


def test_a_route_is_replaced_while_it_starts(app):
    begun, go, sink = threading.Event(), threading.Event(), FakeSink()

    @app.collector("/take", method="POST", sink=FakeSink())
    class work:
        def setup(self):
            begun.set()
            go.wait(PATIENCE_S)

        def process(self, item: Item) -> int:
            return item.x

    handle = app.run(block=False, serve_port=0)
    seen = states_of(handle)
    assert begun.wait(PATIENCE_S)

    @app.collector("/take", method="POST", sink=sink)
    def work(item: Item) -> int:  # noqa: F811
        return item.x

    assert post(handle.address + "/take", 1) == 200
    assert not {State.DONE, State.STOPPED, State.FAILED} & set(seen)
    go.set()


def test_a_source_that_ends_while_its_successor_is_made_is_not_read_again(app):
    opening, go = threading.Event(), threading.Event()
    source, old = FakeSource([[1], [2]]), FakeSink()

    class Slow(FakeSink):
        @asynccontextmanager
        async def sink(self, env, element):
            opening.set()
            await asyncio.to_thread(go.wait, PATIENCE_S)
            yield self

    new = Slow()

    @app.consumer(source=source, sink=old)
    def work(x: int) -> int:
        if x == 2:
            opening.wait(PATIENCE_S)
        return x

    handle = app.run(block=False)
    until(lambda: source.tape.pulled == 2)

    def let_go() -> None:
        until(lambda: handle.snapshot().processor("work").elements_out == 2)
        go.set()

    threading.Thread(target=let_go, daemon=True).start()
    app.consumer(source=source, sink=new)(work)
    assert handle.wait(PATIENCE_S) is State.DONE
    assert sorted(old.tape.pushed + new.tape.pushed) == [1, 2]
    assert source.tape.opened == 1
