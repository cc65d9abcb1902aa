"""Delivery: what the consumer's module docstring promises, sentence by sentence."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass

import pytest

from buildflow_nb.core.declare import consumer_spec
from buildflow_nb.core.errors import PartialPushError, PermanentError, TemporaryError
from buildflow_nb.core.primitive import Malformed, Wire
from buildflow_nb.core.snapshot import State
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
    source = FakeSource([[1], TemporaryError("away"), OSError("away"), [2]])
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
    monkeypatch.setattr("buildflow_nb.runtime.consumer.CLOSE_S", 0.05)
    monkeypatch.setattr("buildflow_nb.runtime.lanes.CLOSE_S", 0.05)

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


def test_none_drops_lists_and_generators_give_many_and_tuples_with_names_stay_whole():
    from collections import namedtuple

    point = namedtuple("point", "x y")

    async def fan(x: int):
        return {0: None, 1: [1, 1], 2: (n for n in (2, 2, 2)), 3: 3, 4: point(4, 4), 5: []}[x]

    sink = FakeSink()
    source = FakeSource([[0, 1, 2, 3, 4, 5]])
    bench = run_to_end(fan, source, sink)
    assert sink.tape.pushed == [1, 1, 2, 2, 2, 3, point(4, 4)]
    assert sorted(source.tape.acked) == [0, 1, 2, 3, 4, 5]
    assert bench.consumer.snapshot().dropped == 2


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_generators_give_many_and_fail_alone(kind):
    def twice(x: int):
        yield x
        if x == 2:
            msg = "half way"
            raise ValueError(msg)
        yield x

    async def twice_async(x: int):
        for y in twice(x):
            yield y

    sink = FakeSink()
    code = twice if kind == "sync" else twice_async
    bench = run_to_end(code, FakeSource([[1, 2, 3]]), sink, retries=0)
    assert sink.tape.pushed == [1, 1, 3, 3]
    assert bench.ledger.failures[0].error == "ValueError: half way"


@dataclass
class Priced:
    name: str
    price: float


def test_a_wrong_type_returned_fails_that_element_with_both_names():
    async def price(x: int) -> Priced:
        return Priced("a", 1.0) if x != 2 else 7  # type: ignore[return-value]

    sink = FakeSink(sink_wire=Wire.RECORD)
    bench = run_to_end(price, FakeSource([[1, 2, 3]]), sink)
    assert sink.tape.pushed == [{"name": "a", "price": 1.0}] * 2
    (failure,) = bench.ledger.failures
    assert failure.error == "ConversionError: consumer 'price' returned int, not Priced"
    assert failure.tries == 1


def test_elements_that_cannot_be_converted_fail_alone_without_a_retry():
    calls: list[object] = []

    def take(p: Priced) -> Priced:
        calls.append(p)
        return p

    good = '{"name": "a", "price": 2}'
    source = FakeSource(
        [[good, "not json", '{"name": 3, "price": 1}', good]], source_wire=Wire.TEXT
    )
    sink = FakeSink()
    bench = run_to_end(take, source, sink)
    assert sink.tape.pushed == [Priced("a", 2.0)] * 2
    assert len(calls) == 2
    errors = [failure.error for failure in bench.ledger.failures]
    assert errors[0].startswith("ConversionError: JSON is malformed") or "malformed" in errors[0]
    assert errors[1] == "ConversionError: name: expected str, got int"


def test_malformed_elements_of_a_source_fail_with_its_reason():
    source = FakeSource([[1, Malformed("x,y", "3 columns, not 2"), 3]])
    sink = FakeSink()
    bench = run_to_end(same, source, sink)
    assert sink.tape.pushed == [1, 3]
    assert bench.ledger.failures[0].error == "ConversionError: 3 columns, not 2"


def test_hooks_of_a_class_are_really_called():
    happened: list[str] = []

    class Counter:
        async def setup(self) -> None:
            self.count = 0
            happened.append("setup")

        def process(self, x: int) -> int:
            self.count += x
            return self.count

        def teardown(self) -> None:
            happened.append(f"teardown at {self.count}")

    sink = FakeSink()
    run_to_end(Counter, FakeSource([[1, 2], [3]]), sink)
    assert sink.tape.pushed == [1, 3, 6]
    assert happened == ["setup", "teardown at 6"]


def test_replicas_have_an_instance_each():
    made: list[object] = []

    class Each:
        def setup(self) -> None:
            made.append(self)

        async def process(self, x: int) -> int:
            return x

    sink = FakeSink()
    run_to_end(Each, FakeSource([[1], [2], [3]]), sink, num_replicas=3, num_concurrency=2)
    assert len(set(map(id, made))) == 3
    assert sorted(sink.tape.pushed) == [1, 2, 3]


def test_num_concurrency_is_how_many_elements_are_in_flight():
    running, most = 0, 0

    async def main() -> None:
        gate = asyncio.Event()

        async def slow(x: int) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            if most == 4:
                gate.set()
            await gate.wait()
            running -= 1
            return x

        bench = Bench(slow, FakeSource([list(range(20))]), FakeSink(), num_concurrency=4)
        await bench.to_end()
        assert sorted(bench.sink.tape.pushed) == list(range(20))

    asyncio.run(main())
    assert most == 4


def test_two_hundred_swaps_under_load_lose_nothing_and_run_nothing_twice():
    async def main() -> None:
        enough = False
        source, sink = FakeSource([]), FakeSink()
        source.batches = _Counting(lambda: enough)

        def version(n: int):
            async def code(x: int) -> list:
                if x % 10 == 0:
                    await asyncio.sleep(0)
                return [(x, n)]

            return code

        bench = Bench(version(0), source, sink)
        await bench.consumer.start()
        await bench.until(lambda: bench.state is State.RUNNING)
        for n in range(1, 201):
            assert await bench.consumer.swap(consumer_spec(version(n), source, sink, {}))
            await bench.until(lambda n=n: sink.tape.pushed and sink.tape.pushed[-1][1] == n)
        enough = True
        await bench.until(lambda: bench.state is State.DONE)
        assert [x for x, _ in sink.tape.pushed] == list(range(source.tape.pulled))
        assert sorted({n for _, n in sink.tape.pushed} - {0}) == list(range(1, 201))
        assert source.tape.opened == sink.tape.opened == 1
        assert bench.ledger.version == 201

    asyncio.run(main())


class _Counting:
    """Batches of seven numbers, until told that it is enough."""

    def __init__(self, enough) -> None:
        self._enough = enough
        self._next = 0

    def __iter__(self):
        return self

    def __next__(self) -> list[int]:
        if self._enough():
            raise StopIteration
        self._next += 7
        return list(range(self._next - 7, self._next))


def test_a_swap_whose_setup_fails_leaves_the_old_code_running():
    class Broken:
        def setup(self) -> None:
            msg = "no model file"
            raise OSError(msg)

        def process(self, x: int) -> int:
            return -x

    async def main() -> None:
        source, sink = FakeSource([[1]], endless=True), FakeSink()
        bench = Bench(same, source, sink)
        await bench.consumer.start()
        await bench.until(lambda: sink.tape.pushed == [1])
        with pytest.raises(OSError, match="no model file"):
            await bench.consumer.swap(consumer_spec(Broken, source, sink, {}))
        assert bench.state is State.RUNNING
        assert await bench.consumer.send(5) == [5]
        await bench.stop()

    asyncio.run(main())


def test_send_converts_plain_values_and_writes_nothing():
    async def main() -> None:
        def name(p: Priced) -> str:
            return p.name

        source, sink = FakeSource([], endless=True), FakeSink()
        bench = Bench(name, source, sink)
        await bench.consumer.start()
        await bench.until(lambda: bench.state is State.RUNNING)
        assert await bench.consumer.send({"name": "tea", "price": 1}) == ["tea"]
        assert await bench.consumer.send(Priced("milk", 2.0)) == ["milk"]
        assert await bench.consumer.send('{"name": "egg", "price": 1}') == ["egg"]
        assert sink.tape.pushed == []
        await bench.stop()

    asyncio.run(main())


def test_peek_keeps_the_last_elements_with_their_results(batches):
    bench = run_to_end(same, FakeSource(batches), FakeSink())
    passed = list(bench.ledger.passages)
    assert [p.element for p in passed] == list(range(80, 100))
    assert passed[-1].results == (99,)


def test_what_a_processor_prints_and_logs_can_be_kept_from_the_output(capsys):
    import logging

    from buildflow_nb.runtime.logs import captured

    def chatty(x: int) -> int:
        print("got", x)  # noqa: T201
        logging.getLogger("mine").warning("odd %d", x)
        return x

    with captured():
        bench = run_to_end(chatty, FakeSource([[1]]), FakeSink())
        print("outside")  # noqa: T201
    texts = [(line.level, line.text) for line in bench.ledger.log.lines()]
    assert texts == [("PRINT", "got 1"), ("WARNING", "odd 1")]
    assert capsys.readouterr().out == "outside\n"
