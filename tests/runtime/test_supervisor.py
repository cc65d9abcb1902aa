"""The supervisor beside an engine that is not ours: it asks units and engine, whatever they are."""

from __future__ import annotations

import asyncio

from buildflow_nb.core.declaring.declare import consumer_spec
from buildflow_nb.core.declaring.registry import Changes
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.liveness import Liveness
from buildflow_nb.runtime.observability.failures import RetryInput, RetryResult
from buildflow_nb.runtime.plan import RunPlan
from buildflow_nb.runtime.supervisor import Supervisor
from tests.fakes import FakeClock, FakeSource


class FakeUnit:
    """A unit that works nowhere; `finish` ends it as a source that has ended would."""

    def __init__(self, spec, ledger, on_end) -> None:
        self.spec, self.ledger = spec, ledger
        self.live = Liveness(ledger)
        self._on_end = on_end
        self.drained = False
        self.read_to_end: object | None = None

    async def start(self) -> None:
        self.live.begin()
        self.live.enter(State.RUNNING)

    async def prepare(self, old) -> None:
        pass

    async def take_over(self, old, timeout_s: float) -> None:
        await old.retire(timeout_s)
        await self.start()

    async def retire(self, timeout_s: float) -> None:
        self.live.end()

    async def swap(self, spec) -> bool:
        return False

    async def stop(self, *, drain: bool, timeout_s: float) -> None:
        self.live.enter(State.STOPPED)

    async def send(self, element: object) -> list[object]:
        return ["live", element]

    async def retry(self, wanted: RetryInput) -> RetryResult:
        return RetryResult(("live",))

    def snapshot(self):
        return self.ledger.snapshot(self.spec, None)

    def finish(self) -> None:
        self.read_to_end = self.spec.source
        self.live.enter(State.DONE)
        self._on_end()


class FakeEngine:
    """Notes what it is asked for."""

    swap_timeout_s = 1.0
    open_s = 0.0
    start_s = 0.0
    address = "http://elsewhere:1"
    is_open = False

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.grace_s = -1.0
        self.units: list[FakeUnit] = []

    async def open(self, specs) -> None:
        self.asked.append("open")

    async def unit(self, spec, ledger, on_end) -> FakeUnit:
        self.units.append(FakeUnit(spec, ledger, on_end))
        return self.units[-1]

    async def send(self, spec, element, ledger) -> list[object]:
        return ["alone", element]

    async def retry(self, spec, wanted, ledger) -> RetryResult:
        return RetryResult(("alone",))

    async def refresh(self):
        pass

    async def ending(self) -> None:
        self.asked.append("ending")

    async def close(self, grace_s: float) -> None:
        self.asked.append("close")
        self.grace_s = grace_s


def same(x: int) -> int:
    return x


def test_a_run_asks_its_engine_and_its_units_only():
    async def main() -> None:
        engine, clock = FakeEngine(), FakeClock()
        supervisor = Supervisor(RunPlan("flow", Env()), engine, clock, lambda _: None)
        source = FakeSource([[1]])
        spec, wanted = consumer_spec(same, source, None, {}), RetryInput(1, edited=False)
        await supervisor.start([spec])
        assert supervisor.address == "http://elsewhere:1"
        assert await supervisor.send("same", 1) == ["live", 1]
        assert (await supervisor.retry("same", wanted, spec)).results == ("live",)
        await supervisor.apply(Changes(replaced=("same",)), {"same": spec})
        second = engine.units[1]
        assert supervisor.units == {"same": second}
        assert supervisor.state() is State.RUNNING
        second.finish()
        assert supervisor.state() is State.DONE
        assert supervisor.read_to_end() == {"same": source}
        assert await supervisor.send("same", 1) == ["alone", 1]
        assert (await supervisor.retry("same", wanted, spec)).results == ("alone",)
        await supervisor.stop_all(drain=True, timeout_s=1.0)
        assert engine.asked == ["open", "ending", "close"]

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_run_that_ends_by_itself_closes_an_engine_that_is_open_before_it_is_over():
    async def main() -> None:
        engine, clock = FakeEngine(), FakeClock()
        engine.is_open = True
        supervisor = Supervisor(RunPlan("flow", Env()), engine, clock, lambda _: None)
        await supervisor.start([consumer_spec(same, FakeSource([[1]]), None, {})])
        engine.units[0].finish()
        assert not supervisor.ended.is_set()
        await supervisor.ended.wait()
        assert engine.asked == ["open", "close"]

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_stop_has_its_time_once_for_units_and_engine_together():
    async def main() -> None:
        engine, clock = FakeEngine(), FakeClock()
        supervisor = Supervisor(RunPlan("flow", Env()), engine, clock, lambda _: None)
        await supervisor.start([consumer_spec(same, FakeSource([[1]]), None, {})])

        async def slow(*, drain: bool, timeout_s: float) -> None:
            await clock.sleep(4.0)

        engine.units[0].stop = slow
        stopping = asyncio.create_task(supervisor.stop_all(drain=True, timeout_s=6.0))
        await clock.until(stopping.done)
        assert engine.grace_s == 2.0

    asyncio.run(asyncio.wait_for(main(), 20))
