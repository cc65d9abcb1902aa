"""Replicas that come and go while elements pass: nothing is lost, nothing taken twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from buildflow_nb.core.declaring.declare import consumer_spec
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.consumer.inbox import PulledBatch
from buildflow_nb.runtime.sinks import push
from tests.fakes import FakeSink, FakeSource
from tests.runtime.conftest import Bench

SCALES = (4, 1, 7, 2, 2, 5, 1)


def numbers(many: int) -> list[list[int]]:
    return [list(range(i, i + 5)) for i in range(0, many, 5)]


def threads_of(name: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(name)]


async def passing(x: int) -> int:
    await asyncio.sleep(0)
    return x


def passing_sync(x: int) -> int:
    return x


class Setups:
    """What is set up and torn down, in order."""

    def __init__(self) -> None:
        self.up: list[int] = []
        self.down: list[int] = []

    def code(self, version: int = 1, fails: Callable[[], bool] = lambda: False) -> type:
        setups = self

        class Doubler:
            def setup(self) -> None:
                if fails():
                    msg = "no room"
                    raise RuntimeError(msg)
                setups.up.append(version)

            def process(self, x: int) -> int:
                return x

            def teardown(self) -> None:
                setups.down.append(version)

        return Doubler


@pytest.mark.parametrize("code", [passing, passing_sync])
def test_while_replicas_come_and_go_every_element_is_pushed_and_acked_once(code):
    scaled: list[int] = []

    def feed() -> Iterator[list[int]]:
        for n in count(0, 5):
            if len(scaled) == len(SCALES):
                return
            yield list(range(n, n + 5))

    async def main() -> Bench:
        source, sink = FakeSource(feed()), FakeSink()
        bench = Bench(code, source, sink)
        await bench.consumer.start()
        for replicas in SCALES:
            pushed = len(sink.tape.pushed)
            await bench.until(lambda pushed=pushed: len(sink.tape.pushed) > pushed)
            scaling = asyncio.create_task(bench.consumer.scale(replicas))
            await bench.until(scaling.done)
            await scaling
            assert bench.consumer.snapshot().replicas == replicas
            scaled.append(replicas)
        await bench.until(lambda: bench.state.ended)
        return bench

    bench = asyncio.run(main())
    assert bench.state is State.DONE
    pulled = bench.source.tape.pulled
    assert pulled > 0
    assert sorted(bench.sink.tape.pushed) == list(range(pulled))
    assert sorted(bench.source.tape.acked) == list(range(pulled))


def test_a_replica_that_goes_finishes_what_it_is_at_and_takes_no_more():
    async def main() -> None:
        gates, inside = [asyncio.Event() for _ in range(3)], []

        async def slow(x: int) -> int:
            inside.append(x)
            await gates[x].wait()
            return x

        bench = Bench(slow, FakeSource([[0], [1], [2]], endless=True), FakeSink(), num_replicas=2)
        await bench.consumer.start()
        await bench.until(lambda: inside == [0, 1])
        scaling = asyncio.create_task(bench.consumer.scale(1))
        await bench.until(lambda: bench.consumer.snapshot().replicas == 1)
        assert not scaling.done()
        gates[1].set()  # the newer one is at it
        await bench.until(scaling.done)
        assert inside == [0, 1]
        gates[0].set()
        gates[2].set()
        await bench.until(lambda: len(bench.sink.tape.pushed) == 3)
        await bench.stop()
        assert sorted(bench.source.tape.acked) == [0, 1, 2]

    asyncio.run(main())


def test_more_replicas_have_more_waiting_for_them():
    async def main() -> None:
        gate = asyncio.Event()

        async def slow(x: int) -> int:
            await gate.wait()
            return x

        bench = Bench(slow, FakeSource([[i] for i in range(50)], endless=True), None)
        bench.consumer._inbox.put_pulled = lambda batch, _, now: bench.consumer._inbox.put(
            PulledBatch(batch.items, batch.receipts, batch.origin, now)  # not joined
        )
        await bench.consumer.start()
        await bench.until(lambda: bench.consumer.snapshot().in_flight == 3)  # one, and two more
        await bench.consumer.scale(4)
        await bench.until(lambda: bench.consumer.snapshot().in_flight == 12)
        gate.set()
        await bench.stop()

    asyncio.run(main())


def test_each_replica_has_an_instance_of_its_own_that_is_torn_down_with_it():
    async def main() -> None:
        setups = Setups()
        bench = Bench(setups.code(), FakeSource([], endless=True), None)
        await bench.consumer.start()
        await bench.until(lambda: bench.state is State.RUNNING)
        await bench.consumer.scale(4)
        assert (len(setups.up), len(setups.down)) == (4, 0)
        await bench.consumer.scale(2)
        assert (len(setups.up), len(setups.down)) == (4, 2)
        await bench.until(lambda: len(threads_of("Doubler")) == 2)
        await bench.stop()
        assert len(setups.down) == 4

    asyncio.run(main())


def test_no_fewer_than_one_is_left():
    async def main() -> None:
        bench = Bench(passing, FakeSource([], endless=True), None, num_replicas=3)
        await bench.consumer.start()
        await bench.until(lambda: bench.state is State.RUNNING)
        await bench.consumer.scale(0)
        assert bench.consumer.snapshot().replicas == 1
        await bench.stop()

    asyncio.run(main())


def test_a_setup_that_fails_adds_no_replica_and_ends_nothing():
    async def main() -> None:
        setups = Setups()
        code = setups.code(fails=lambda: len(setups.up) == 2)
        bench = Bench(code, FakeSource([[1, 2]], endless=True), FakeSink())
        await bench.consumer.start()
        await bench.until(lambda: len(bench.sink.tape.pushed) == 2)
        with pytest.raises(RuntimeError, match="no room"):
            await bench.consumer.scale(5)
        shot = bench.consumer.snapshot()
        assert (shot.replicas, shot.wanted, shot.state) == (2, 2, State.RUNNING)
        await bench.stop()

    asyncio.run(main())


def test_code_that_is_swapped_while_a_replica_is_set_up_is_what_that_replica_runs():
    async def main() -> None:
        setups, hold, begun = Setups(), threading.Event(), threading.Event()

        def wait() -> bool:
            if len(setups.up) == 1:
                begun.set()
                hold.wait(20)
            return False

        source, sink = FakeSource([], endless=True), FakeSink()
        bench = Bench(setups.code(1, wait), source, sink)
        await bench.consumer.start()
        await bench.until(lambda: bench.state is State.RUNNING)
        scaling = asyncio.create_task(bench.consumer.scale(2))
        await bench.until(begun.is_set)
        new = consumer_spec(setups.code(2), source, sink, {})
        assert await bench.consumer.swap(new)
        hold.set()
        await bench.until(scaling.done)
        await scaling
        codes = [worker.code.spec for worker in bench.consumer._pool]
        assert codes == [new, new]
        await bench.stop()
        assert sorted(setups.up) == sorted(setups.down) == [1, 1, 2, 2]

    asyncio.run(main())


def test_a_stop_while_a_replica_is_set_up_leaves_nothing_open():
    async def main() -> None:
        setups, hold, begun = Setups(), threading.Event(), threading.Event()

        def wait() -> bool:
            if len(setups.up) == 1:
                begun.set()
                hold.wait(20)
            return False

        bench = Bench(setups.code(1, wait), FakeSource([], endless=True), None)
        await bench.consumer.start()
        await bench.until(lambda: bench.state is State.RUNNING)
        scaling = asyncio.create_task(bench.consumer.scale(3))
        await bench.until(begun.is_set)
        await bench.stop()
        hold.set()
        await bench.until(scaling.done)
        await scaling
        assert sorted(setups.up) == sorted(setups.down) == [1, 1]
        assert bench.consumer.snapshot().replicas == 0

    asyncio.run(main())


def test_time_in_code_counts_while_it_is_spent():
    async def main() -> None:
        gate = asyncio.Event()

        async def slow(x: int) -> int:
            await gate.wait()
            return x

        bench = Bench(slow, FakeSource([[1]], endless=True), FakeSink(), num_concurrency=2)
        await bench.consumer.start()
        await bench.until(lambda: bench.consumer.snapshot().in_flight == 1)
        begun = bench.clock.now()
        await bench.until(lambda: bench.clock.now() >= begun + 3)
        totals = bench.consumer.load().totals
        assert (totals.busy_s, totals.push_s) == (pytest.approx(3, abs=1.01), 0)
        assert totals.done == 0
        gate.set()
        await bench.until(lambda: bench.consumer.load().totals.done == 1)
        totals = bench.consumer.load().totals
        assert totals.busy_s < 1  # what was really spent, by the machine's clock
        await bench.stop()

    asyncio.run(main())


def test_time_at_a_slow_sink_counts_apart(monkeypatch):
    monkeypatch.setattr(push, "WAITING_REQUESTS", 1)

    async def main() -> None:
        gate = asyncio.Event()
        sink = FakeSink(gate=lambda: gate, max_push=1)
        bench = Bench(passing, FakeSource(numbers(100), endless=True), sink)
        await bench.consumer.start()
        await bench.until(lambda: bench.consumer.snapshot().in_flight == 100)
        begun = bench.clock.now()
        await bench.until(lambda: bench.clock.now() >= begun + 3)
        totals = bench.consumer.load().totals
        assert totals.push_s == pytest.approx(3, abs=1.01)
        assert totals.busy_s < 1
        gate.set()
        await bench.until(lambda: len(sink.tape.pushed) == 100)
        assert bench.ledger.metrics.push_s == pytest.approx(3, abs=1.01)
        await bench.stop()

    asyncio.run(main())
