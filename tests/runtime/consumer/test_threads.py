"""A consumer that is told to scale does so in this process, where threads can help."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from buildflow_nb.core.declaring.declare import consumer_spec
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.consumer import code
from buildflow_nb.runtime.consumer.consumer import Consumer
from buildflow_nb.runtime.consumer.threads import HELD, MOST
from tests.fakes import FakeClock, FakeSink, FakeSource, supply
from tests.runtime.conftest import Bench


async def passing(x: int) -> int:
    return x


async def waited(bench: Bench, seconds: float) -> None:
    waiting = asyncio.create_task(bench.clock.sleep(seconds))
    await bench.until(waiting.done)


Benches = Callable[..., Bench]


@pytest.fixture
def slow_bench(monkeypatch) -> Benches:
    """Code that waits two seconds for each element, of which there are always more."""

    def made(**options) -> Bench:
        clocks: list[FakeClock] = []

        async def slow(x: int) -> int:
            await clocks[0].sleep(2)
            return x

        batches = ([i] for i in range(10**9))
        bench = Bench(slow, FakeSource(batches, endless=True), FakeSink(), **options)
        clocks.append(bench.clock)
        monkeypatch.setattr(code, "time", SimpleNamespace(perf_counter=bench.clock.now))
        bench.consumer._threads.cpu_s = lambda: 0.05 * bench.clock.now()
        return bench

    return made


def test_code_that_waits_gets_more_threads_and_they_bring_more(slow_bench):
    async def main() -> None:
        bench = slow_bench(enable_autoscaler=True, max_replicas=6)
        await bench.consumer.start()
        await waited(bench, 60)
        shot = bench.consumer.snapshot()
        assert shot.scaling.endswith("there are no more than 6 replicas to be had")
        assert (shot.replicas, shot.wanted) == (6, 6)
        pushed = len(bench.sink.tape.pushed)
        await waited(bench, 20)
        assert len(bench.sink.tape.pushed) - pushed == pytest.approx(60, abs=8)
        await bench.stop()

    asyncio.run(main())


@pytest.mark.parametrize("options", [{}, {"enable_autoscaler": False}, {"max_replicas": 6}])
def test_who_is_not_told_to_scale_keeps_what_is_declared_and_the_order(slow_bench, options):
    async def main() -> None:
        bench = slow_bench(**options)
        await bench.consumer.start()
        await waited(bench, 60)
        shot = bench.consumer.snapshot()
        assert (shot.replicas, shot.wanted, shot.scaling) == (1, 1, "")
        pushed = bench.sink.tape.pushed
        assert pushed == list(range(len(pushed)))
        await bench.stop()

    asyncio.run(main())


def test_while_one_core_is_busy_no_thread_is_added_and_what_helps_is_said(slow_bench):
    async def main() -> None:
        bench = slow_bench(enable_autoscaler=True)
        bench.consumer._threads.cpu_s = lambda: 0.98 * bench.clock.now()
        await bench.consumer.start()
        await waited(bench, 60)
        shot = bench.consumer.snapshot()
        assert (shot.replicas, shot.scaling) == (1, HELD)
        await bench.stop()

    asyncio.run(main())


def test_code_that_keeps_two_cores_busy_gets_more_threads(slow_bench):
    async def main() -> None:
        bench = slow_bench(enable_autoscaler=True, num_replicas=2)
        bench.consumer._threads.cpu_s = lambda: 1.9 * bench.clock.now()
        await bench.consumer.start()
        await waited(bench, 20)
        assert bench.consumer.snapshot().replicas > 2
        await bench.stop()

    asyncio.run(main())


def test_idle_threads_go_after_five_minutes_and_one_stays():
    async def main() -> None:
        options = {"enable_autoscaler": True, "num_replicas": 4, "min_replicas": 0}
        bench = Bench(passing, FakeSource([], endless=True), None, **options)
        bench.consumer._threads.backlog = lambda: 0
        await bench.consumer.start()
        await waited(bench, 200)
        assert bench.consumer.snapshot().replicas == 4
        await waited(bench, 150)
        shot = bench.consumer.snapshot()
        assert (shot.replicas, shot.wanted, shot.state) == (1, 1, State.RUNNING)
        assert len(bench.ledger.log.lines()) == 1  # of one step
        await bench.stop()

    asyncio.run(main())


def test_a_sink_that_is_away_has_no_threads_added(slow_bench):
    async def main() -> None:
        bench = slow_bench(enable_autoscaler=True)
        bench.sink.fails = [ConnectionError("away") for _ in range(50)]
        await bench.consumer.start()
        await waited(bench, 100)
        shot = bench.consumer.snapshot()
        assert shot.replicas == 1
        assert shot.scaling == "its sink cannot be written, so more replicas would not help"
        await bench.stop(drain=False)

    asyncio.run(main())


def test_there_are_no_more_than_machines_of_this_size_bear(slow_bench):
    bench = slow_bench(enable_autoscaler=True)
    assert bench.consumer._threads.bounds.most == MOST <= 32
    declared = slow_bench(num_replicas=100)
    assert declared.consumer._threads.bounds.most == 100


@pytest.mark.parametrize(
    ("before", "after", "replicas"),
    [
        ({"enable_autoscaler": True}, {"enable_autoscaler": True, "retries": 5}, 4),
        ({"enable_autoscaler": True}, {"enable_autoscaler": True, "max_replicas": 3}, 3),
        ({"enable_autoscaler": True}, {"num_replicas": 2}, 2),
        ({}, {"enable_autoscaler": True}, 1),
    ],
)
def test_who_takes_over_from_one_that_scaled_begins_with_as_many(before, after, replicas):
    async def main() -> None:
        bench = Bench(passing, FakeSource([], endless=True), None, **before)
        await bench.consumer.start()
        await bench.until(lambda: bench.state is State.RUNNING)
        await bench.consumer.scale(4)
        spec = consumer_spec(passing, bench.source, None, after)
        heir = Consumer(spec, supply(bench.ledger), bench.ledger)
        await heir.prepare(bench.consumer)
        await heir.take_over(bench.consumer, 5.0)
        shot = heir.snapshot()
        assert (shot.replicas, shot.wanted) == (replicas, replicas)
        bench.consumer = heir
        await bench.stop()

    asyncio.run(main())
