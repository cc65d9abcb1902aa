"""Delivery: what the consumer's module docstring promises, sentence by sentence."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from buildflow_nb.core.errors import PartialPushError, PermanentError, TemporaryError
from buildflow_nb.core.primitive import Wire
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.observability.tracebacks import MOST_LINE, MOST_TRACEBACK
from tests.fakes import FakeSink, FakeSource
from tests.runtime.conftest import Bench, run_to_end


def same(x: int) -> int:
    return x


async def same_async(x: int) -> int:
    return x


@pytest.mark.parametrize("code", [same, same_async])
def test_every_element_arrives_in_order_and_is_acked_after_its_push(code, batches):
    source, sink = FakeSource(batches), FakeSink()
    sink.tape = source.tape
    bench = run_to_end(code, source, sink)
    assert bench.state is State.DONE
    assert source.tape.pushed == list(range(100))
    assert sorted(source.tape.acked) == list(range(100))
    stored: set[object] = set()
    for what, items in source.tape.events:
        if what == "push":
            stored |= set(items)
        else:
            assert set(items) <= stored


def test_a_poison_element_is_retried_then_given_back_and_its_neighbours_pass(batches):
    calls: list[int] = []

    async def picky(x: int) -> int:
        calls.append(x)
        if x == 42:
            msg = "not this one"
            raise ValueError(msg)
        return x

    source, sink = FakeSource(batches), FakeSink()
    bench = run_to_end(picky, source, sink, retries=3)
    assert calls.count(42) == 4
    assert sorted(sink.tape.pushed) == [x for x in range(100) if x != 42]
    assert source.tape.given_back == [42]
    assert 42 not in source.tape.acked
    (failure,) = bench.ledger.failures
    assert failure.element == 42
    assert failure.error == "ValueError: not this one"
    assert failure.tries == 4
    assert failure.fate == "given back"
    assert "in picky" in failure.traceback
    assert bench.consumer.snapshot().retried == 3


def test_retries_back_off_exponentially(batches):
    async def never(x: int) -> int:
        msg = "no"
        raise ValueError(msg)

    bench = run_to_end(never, FakeSource([[1]]), None, retries=4)
    waits = [s for s in bench.clock.slept if s != 1.0]  # but for the look at the backlog
    assert len(waits) == 4
    for n, wait in enumerate(waits):
        assert 0.75 * 0.1 * 2**n <= wait <= 0.1 * 2**n


def test_an_element_that_passes_the_second_time_is_not_a_failure():
    seen: list[int] = []

    async def shaky(x: int) -> int:
        seen.append(x)
        if seen.count(x) == 1:
            msg = "at first"
            raise OSError(msg)
        return x

    source, sink = FakeSource([[1, 2, 3]]), FakeSink()
    bench = run_to_end(shaky, source, sink)
    assert sorted(sink.tape.pushed) == [1, 2, 3]
    assert sorted(source.tape.acked) == [1, 2, 3]
    assert not bench.ledger.failures


def test_a_poison_element_goes_to_the_dead_letter_sink_and_is_acked():
    async def picky(x: int) -> int:
        if x == 2:
            msg = "poison"
            raise ValueError(msg)
        return x

    source, sink, dead = FakeSource([[1, 2, 3]]), FakeSink(), FakeSink(sink_wire=Wire.RECORD)
    bench = run_to_end(picky, source, sink, retries=1, dead_letter=dead)
    (record,) = dead.tape.pushed
    assert record["processor_id"] == "picky"
    assert record["element"] == "2"
    assert record["error"] == "ValueError: poison"
    assert record["tries"] == 2
    assert "Traceback" in record["traceback"]
    assert sorted(source.tape.acked) == [1, 2, 3]
    assert bench.ledger.failures[0].fate == "dead-lettered"


def test_a_dead_letter_has_its_element_whole_and_of_a_huge_error_its_ends():
    def never(x: str) -> int:
        raise ValueError(x)

    element = "z" * 3_000_000
    source, dead = FakeSource([[element]]), FakeSink(sink_wire=Wire.RECORD)
    run_to_end(never, source, None, retries=0, dead_letter=dead)
    (record,) = dead.tape.pushed
    assert len(record["element"]) >= len(element)
    assert record["error"] == f"ValueError: {'z' * (MOST_LINE - 13)}…"
    assert record["traceback"].startswith("Traceback")
    assert len(record["traceback"]) <= MOST_TRACEBACK + 100


def test_a_dead_letter_sink_that_fails_loses_nothing():
    async def never(x: int) -> int:
        msg = "poison"
        raise ValueError(msg)

    source, dead = FakeSource([[1]]), FakeSink(fails=[OSError("full")])
    bench = run_to_end(never, source, None, retries=0, dead_letter=dead)
    assert source.tape.given_back == [1]
    assert bench.ledger.failures[0].fate == "given back"
    assert any("dead letter" in line.text for line in bench.ledger.log.lines())


@pytest.mark.parametrize("error", [RuntimeError, TemporaryError, ConnectionError])
def test_a_sink_that_fails_three_times_loses_nothing(error, batches):
    source, sink = FakeSource(batches), FakeSink(fails=[error("down") for _ in range(3)])
    bench = run_to_end(same_async, source, sink)
    assert sink.tape.pushed == list(range(100))
    assert sorted(source.tape.acked) == list(range(100))
    assert not bench.ledger.failures


def test_a_sink_that_is_down_shows_as_waiting():
    async def main() -> None:
        sink = FakeSink(fails=[TemporaryError("queue 'out' is away")] * 5)
        bench = Bench(same_async, FakeSource([[1]]), sink)
        await bench.consumer.start()
        await bench.until(lambda: bench.state is State.WAITING)
        assert bench.ledger.reason == "queue 'out' is away"
        await bench.until(lambda: bench.state is State.DONE)
        assert sink.tape.pushed == [1]

    asyncio.run(main())


def test_an_element_that_the_sink_refuses_fails_alone(batches):
    source, sink = FakeSource(batches), FakeSink(refuse=lambda item: item == 42)
    bench = run_to_end(same_async, source, sink)
    assert sorted(sink.tape.pushed) == [x for x in range(100) if x != 42]
    assert source.tape.given_back == [42]
    assert bench.ledger.failures[0].error == "ValueError: refused"


def test_a_partial_push_fails_only_what_it_names_and_pushes_throttled_ones_again():
    partial = PartialPushError("two", {0: ValueError("bad"), 2: TemporaryError("slow down")})
    source, sink = FakeSource([[1], [2], [3]]), FakeSink(fails=[partial])
    sink.gate = None

    async def all_at_once(x: int) -> list[int]:
        return [10, 20, 30]

    bench = run_to_end(all_at_once, FakeSource([[1]]), sink, retries=0)
    assert sink.tape.pushed == [30]  # 20 was written by the push that named the others
    assert bench.ledger.failures[0].error == "ValueError: bad"
    assert source.tape.pulled == 0


def test_a_permanent_fault_of_the_sink_fails_the_processor_and_gives_back():
    source, sink = FakeSource([[1, 2]]), FakeSink(fails=[PermanentError("no such column 'x'")])
    bench = run_to_end(same_async, source, sink)
    assert bench.state is State.FAILED
    assert bench.ledger.reason == "no such column 'x'"
    assert sorted(source.tape.given_back) == [1, 2]
    assert source.tape.acked == []


def test_a_failing_pull_backs_off_and_goes_on():
    source = FakeSource([[1], TemporaryError("away"), ConnectionError("away"), [2]])
    sink = FakeSink()
    bench = run_to_end(same_async, source, sink)
    assert sink.tape.pushed == [1, 2]
    waits = [s for s in bench.clock.slept if s != 1.0]
    assert len(waits) == 2
    assert waits[1] > waits[0]


def test_a_slow_sink_holds_the_source_back():
    async def main() -> None:
        gate = asyncio.Event()
        batches = [list(range(i, i + 100)) for i in range(0, 200_000, 100)]
        source = FakeSource(batches)
        sink = FakeSink(gate=lambda: gate)
        bench = Bench(same_async, source, sink)
        await bench.consumer.start()
        for _ in range(3_000):
            await asyncio.sleep(0)
        held = source.tape.pulled
        assert 0 < held <= 20_100
        gate.set()
        await bench.until(lambda: bench.state is State.DONE)
        assert len(sink.tape.pushed) == 200_000

    asyncio.run(main())


def test_drain_finishes_what_is_in_flight_and_pulls_no_more():
    async def main() -> None:
        gate = asyncio.Event()
        source, sink = FakeSource([[1, 2, 3]], endless=True), FakeSink(gate=lambda: gate)
        bench = Bench(same_async, source, sink)
        await bench.consumer.start()
        await bench.until(lambda: source.tape.pulled == 3)
        stopping = asyncio.create_task(bench.consumer.stop(drain=True, timeout_s=5))
        await bench.until(lambda: bench.state is State.DRAINING)
        gate.set()
        await bench.until(stopping.done)
        assert bench.state is State.STOPPED
        assert sorted(source.tape.acked) == [1, 2, 3]
        assert source.tape.closed == 1
        assert sink.tape.closed == 1

    asyncio.run(main())


def test_what_is_not_finished_in_time_is_given_back():
    async def main() -> None:
        async def stuck(x: int) -> int:
            await asyncio.Event().wait()
            return x

        source, sink = FakeSource([[1, 2, 3]], endless=True), FakeSink()
        bench = Bench(stuck, source, sink)
        await bench.consumer.start()
        await bench.until(lambda: source.tape.pulled == 3)
        await bench.stop(timeout_s=0.01)
        assert bench.state is State.STOPPED
        assert sorted(source.tape.given_back) == [1, 2, 3]
        assert source.tape.acked == []

    asyncio.run(main())


def test_code_that_sleeps_for_ever_cannot_hold_the_stop_up(monkeypatch):
    monkeypatch.setattr("buildflow_nb.runtime.consumer.consumer.CLOSE_S", 0.05)
    monkeypatch.setattr("buildflow_nb.runtime.consumer.worker_pool.CLOSE_S", 0.05)

    async def main() -> None:
        def asleep(x: int) -> int:
            time.sleep(3_600)
            return x

        source = FakeSource([[1, 2]], endless=True)
        bench = Bench(asleep, source, FakeSink())
        await bench.consumer.start()
        await bench.until(lambda: source.tape.pulled == 2)
        await bench.stop(timeout_s=0.05)
        assert bench.state is State.STOPPED
        assert sorted(source.tape.given_back) == [1, 2]

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_sys_exit_in_a_processor_fails_one_element(kind):
    def leave(x: int) -> int:
        if x == 2:
            sys.exit("enough")
        return x

    async def leave_async(x: int) -> int:
        return leave(x)

    sink = FakeSink()
    code = leave if kind == "sync" else leave_async
    bench = run_to_end(code, FakeSource([[1, 2, 3]]), sink, retries=0)
    assert sink.tape.pushed == [1, 3]
    assert bench.ledger.failures[0].error == "SystemExit: enough"
    assert bench.state is State.DONE


def test_an_exit_is_its_elements_failure_and_the_log_says_what_it_does_not_do():
    def leave(x: int) -> int:
        if x == 2:
            sys.exit(1)
        return x

    source, sink = FakeSource([[1, 2, 3]]), FakeSink()
    bench = run_to_end(leave, source, sink, retries=0)
    assert (sink.tape.pushed, source.tape.given_back) == ([1, 3], [2])
    assert bench.state is State.DONE
    assert [line.text for line in bench.ledger.log.lines() if "sys.exit()" in line.text]


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("dead", [True, False])
def test_an_error_that_cannot_be_told_fails_its_element_alone(sync, dead):
    class UntellableError(Exception):
        def __str__(self) -> str:
            return self.never_set

    def judge(x: int) -> int:
        if x == 2:
            raise UntellableError
        return x

    async def judge_async(x: int) -> int:
        return judge(x)

    letters = FakeSink(sink_wire=Wire.RECORD)
    more = {"dead_letter": letters} if dead else {}
    source, sink = FakeSource([[1, 2, 3]]), FakeSink()
    bench = run_to_end(judge if sync else judge_async, source, sink, retries=1, **more)
    assert (bench.state, sink.tape.pushed) == (State.DONE, [1, 3])
    (failure,) = bench.ledger.failures
    assert (failure.error, failure.tries) == ("UntellableError", 2)
    assert [record["error"] for record in letters.tape.pushed] == ["UntellableError"] * dead


def test_a_dead_letter_that_is_away_is_waited_for():
    def never(x: int) -> int:
        raise ValueError(x)

    source = FakeSource([[1]], receipts=False)
    dead = FakeSink(fails=[TemporaryError("away")] * 3, sink_wire=Wire.RECORD)
    bench = run_to_end(never, source, None, retries=0, dead_letter=dead)
    assert [record["element"] for record in dead.tape.pushed] == ["1"]
    assert bench.ledger.failures[0].fate == "dead-lettered"


def test_what_cannot_be_shown_does_not_end_its_processor():
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise KeyError

        __hash__ = None

        def __repr__(self) -> str:
            raise ZeroDivisionError

    def give(x: int) -> object:
        if x == 2:
            raise ValueError(Odd())
        return Odd()

    dead = FakeSink(sink_wire=Wire.RECORD)
    bench = run_to_end(give, FakeSource([[1, 2]]), None, retries=0, dead_letter=dead)
    assert bench.state is State.DONE
    assert len(bench.ledger.failures) == 1
    assert len(dead.tape.pushed) == 1
