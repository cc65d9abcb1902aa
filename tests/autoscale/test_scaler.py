"""Who asks the policy: every five seconds, whatever happens to the processor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from buildflow_nb.core.options import ConsumerOptions, Options
from buildflow_nb.runtime.autoscale.policy import kept_s
from buildflow_nb.runtime.autoscale.sample import Load, Meter, Sample, Totals
from buildflow_nb.runtime.autoscale.scaler import Bounds, Scalable, Scaler, scales
from buildflow_nb.runtime.observability.logs import LogRing
from tests.fakes import FakeClock

BUSY = Sample(0.0, 2, backlog=9_000, out_per_s=10.0, busy=1.0)


class FakeProcessor:
    """Sees what it is told to; fails where it is told to."""

    def __init__(self, clock: FakeClock, seen: Sample | None = BUSY) -> None:
        self.options: Options = ConsumerOptions()
        self.bounds = Bounds(100)
        self.wanted = 2
        self.seen = seen
        self.scaled: list[int] = []
        self.fails: Callable[[], bool] = lambda: False
        self.looks = 0
        self._clock = clock

    async def sample(self) -> Sample | None:
        self.looks += 1
        if self.seen is None:
            return None
        return replace(self.seen, at_s=self._clock.now(), replicas=self.wanted)

    async def scale(self, replicas: int) -> None:
        self.scaled.append(replicas)
        if self.fails():
            msg = "no GPU"
            raise RuntimeError(msg)
        self.wanted = replicas


def runs(script: Callable[[FakeClock, FakeProcessor, Scaler, Callable], object]) -> None:
    async def main() -> None:
        clock = FakeClock()
        processor = FakeProcessor(clock)
        scaler = Scaler(processor, LogRing(), clock)
        task = asyncio.create_task(scaler.run())

        async def after(seconds: float) -> None:
            waiting = asyncio.create_task(clock.sleep(seconds))
            await clock.until(waiting.done)

        await script(clock, processor, scaler, after)
        assert not task.done()
        task.cancel()

    asyncio.run(main())


def lines(scaler: Scaler) -> list[str]:
    return [line.text for line in scaler._log.lines()]


def test_it_looks_every_five_seconds_and_scales_as_the_policy_says():
    async def script(clock, processor, scaler, after) -> None:
        await after(16)
        assert processor.looks == 3
        assert processor.scaled[0] == 4
        assert "2 → 4: backlog 9,000 would take 15 min" in lines(scaler)[0]

    runs(script)


def test_why_the_last_step_was_taken_is_shown_for_a_minute():
    async def script(clock, processor, scaler, after) -> None:
        processor.bounds = Bounds(4)
        await after(6)
        assert scaler.why == "2 → 4: backlog 9,000 would take 15 min"
        processor.seen = replace(BUSY, backlog=0, busy=0.7)
        await after(30)
        assert scaler.why == "2 → 4: backlog 9,000 would take 15 min"
        await after(40)
        assert scaler.why == ""

    runs(script)


def test_what_holds_it_is_shown_at_once():
    async def script(clock, processor, scaler, after) -> None:
        processor.seen = replace(BUSY, held="the cluster has no CPU free")
        await after(6)
        assert scaler.why == "the cluster has no CPU free"
        assert processor.scaled == []

    runs(script)


def test_a_step_that_fails_is_told_once_and_tried_again_after_a_minute():
    async def script(clock, processor, scaler, after) -> None:
        processor.fails = lambda: True
        await after(55)
        assert processor.scaled == [4]
        assert scaler.why == "it cannot be scaled: RuntimeError: no GPU"
        await after(60)
        assert processor.scaled == [4, 4]
        assert lines(scaler).count(scaler.why) == 1
        processor.fails = lambda: False
        await after(15)
        assert processor.wanted == 4
        assert scaler.why == "2 → 4: backlog 9,000 would take 15 min"

    runs(script)


def test_a_look_that_fails_ends_nothing():
    async def script(clock, processor, scaler, after) -> None:
        async def fails() -> Sample:
            msg = "not now"
            raise OSError(msg)

        good, processor.sample = processor.sample, fails
        await after(20)
        assert scaler.why == "it cannot be scaled: OSError: not now"
        processor.sample = good
        await after(80)
        assert processor.scaled

    runs(script)


def test_where_nothing_can_be_told_nothing_is_done():
    async def script(clock, processor, scaler, after) -> None:
        processor.seen = None
        await after(101)
        assert processor.looks == 20
        assert (processor.scaled, scaler.why) == ([], "")

    runs(script)


def test_what_it_remembers_is_bounded():
    async def script(clock, processor, scaler, after) -> None:
        processor.seen = replace(BUSY, backlog=0, busy=0.7)
        await after(3_000)
        assert len(scaler._history) <= kept_s(processor.options) / 5 + 1

    runs(script)


def test_threads_scale_only_where_they_are_told_to():
    assert scales(ConsumerOptions(), threads=False)
    assert not scales(ConsumerOptions(), threads=True)
    for threads in (True, False):
        assert scales(ConsumerOptions(enable_autoscaler=True), threads=threads)
        assert not scales(ConsumerOptions(enable_autoscaler=False), threads=threads)


def test_a_meter_gives_shares_and_rates_of_what_is_new():
    meter = Meter(100.0, Totals(busy_s=5.0, push_s=1.0, done=50, failed=1, faults=3))
    totals = Totals(busy_s=20.0, push_s=3.0, done=150, failed=11, faults=33)
    made = meter.sample(110.0, Load(totals, workers=4), replicas=2, backlog=7)
    assert made == Sample(110.0, 2, 7, out_per_s=10.0, busy=0.375, push=0.05, faults=30 / 120)
    again = meter.sample(120.0, Load(totals, workers=4), replicas=2, backlog=7)
    assert again == Sample(120.0, 2, 7)
    load = Load(replace(totals, busy_s=22.0), workers=4, at_bound=True, sink_waits=True)
    bound = meter.sample(130.0, load, replicas=2)
    assert (bound.busy, bound.push, bound.sink_waits) == (0.05, 0.95, True)


def test_where_totals_went_down_nothing_has_happened():
    meter = Meter(100.0, Totals(busy_s=50.0, push_s=10.0, done=500, failed=1, faults=3))
    made = meter.sample(105.0, Load(Totals(busy_s=1.0, done=10)), replicas=1)
    assert made == Sample(105.0, 1)


def test_what_the_fake_does_is_what_the_contract_asks_for():
    made: Scalable = FakeProcessor(FakeClock())
    assert made.wanted == 2
