"""A reader's fault is never an end, whatever it raises and wherever it does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext, suppress

import pytest

from buildflow_nb.core.declaring.declare import consumer_spec
from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.primitive import Batch, Env
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.in_process import InProcess
from buildflow_nb.runtime.plan import RunPlan
from buildflow_nb.runtime.supervisor import Supervisor
from tests.fakes import PATIENCE_S, FakeClock, FakeSink, FakeSource
from tests.runtime.conftest import Bench, run_to_end

ELEMENTS = [0, 1, 2, 3, 4]


class OddError(BaseException):
    """No Exception, and it cannot be told."""

    def __str__(self) -> str:
        raise ZeroDivisionError


FAULTS = [
    ValueError("v"),
    KeyError("k"),
    OSError(5, "Input/output error"),
    RecursionError("deep"),
    MemoryError(),
    PermanentError("never"),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    StopAsyncIteration(),
    asyncio.CancelledError(),
    OddError(),
]
PASSING = [TemporaryError("away"), ConnectionError("cut"), TimeoutError("slow")]


class Generated(FakeSource):
    """A source over a generator that raises at one element, as user code would write it."""

    def __init__(self, at: int, fault: BaseException, *, receipts: bool) -> None:
        super().__init__([], receipts=receipts)
        self.at, self.fault = at, fault

    def source(self, env):
        self._left = self._generate()
        return super().source(env)

    def _generate(self):
        for element in ELEMENTS:
            if element == self.at:
                raise self.fault
            yield element

    @property
    def batches(self):
        return _Pulled(self)

    @batches.setter
    def batches(self, _value):
        pass


class _Pulled:
    """Asked for a batch, asks the generator, and takes StopIteration for the end."""

    def __init__(self, source: Generated) -> None:
        self.source = source

    def __iter__(self):
        return self

    def __next__(self):
        return [next(self.source._left)]


def same(x: int) -> int:
    return x


async def same_async(x: int) -> int:
    return x


@pytest.mark.parametrize("at", [ELEMENTS[0], ELEMENTS[2], ELEMENTS[-1]])
@pytest.mark.parametrize("fault", [*FAULTS, *PASSING], ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("receipts", [True, False])
def test_a_generator_that_raises_is_failed_and_what_it_gave_arrives(at, fault, receipts):
    source, sink = Generated(at, fault, receipts=receipts), FakeSink()
    bench = run_to_end(same_async, source, sink)
    assert bench.state is State.FAILED
    assert bench.ledger.reason
    assert sink.tape.pushed == ELEMENTS[:at]
    assert source.tape.acked == (ELEMENTS[:at] if receipts else [])


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: type(fault).__name__)
def test_a_source_that_goes_on_after_a_temporary_fault_is_done(fault):
    sink = FakeSink()
    bench = run_to_end(same, FakeSource([[1], fault, [2], fault, [], fault, []]), sink)
    assert (bench.state, sink.tape.pushed) == (State.DONE, [1, 2])


def test_the_reason_names_the_source_and_what_it_raised():
    bench = run_to_end(same, Generated(2, KeyError("qty"), receipts=False), FakeSink())
    assert bench.ledger.reason == "Generated fake source cannot be read on: KeyError: 'qty'"


def test_an_end_behind_a_fault_is_not_believed():
    bench = run_to_end(same, Generated(2, ConnectionError("cut"), receipts=False), FakeSink())
    assert "could not be read (cut) and then said that it has ended" in bench.ledger.reason


def test_a_source_that_failed_is_not_asked_again():
    asked: list[int] = []

    class Once(FakeSource):
        async def pull(self) -> Batch | None:
            asked.append(1)
            raise RuntimeError

        def source(self, env):
            return nullcontext(self)

        async def settle(self, receipts, *, ok):
            pass

        async def backlog(self):
            return None

    assert run_to_end(same, Once([]), FakeSink()).state is State.FAILED
    assert asked == [1]


def test_a_stop_does_not_turn_a_fault_into_an_end():
    async def main() -> None:
        gate = asyncio.Event()
        sink = FakeSink(gate=lambda: gate)
        bench = Bench(same_async, Generated(2, KeyError("k"), receipts=False), sink)
        await bench.consumer.start()
        await bench.until(lambda: "finished first" in bench.consumer.snapshot().reason)
        stopping = asyncio.create_task(bench.consumer.stop(drain=True, timeout_s=5.0))
        gate.set()
        await bench.until(stopping.done)
        assert bench.state is State.FAILED
        assert sink.tape.pushed == [0, 1]

    asyncio.run(main())


@pytest.mark.parametrize(
    "fault",
    [fault for fault in FAULTS if not isinstance(fault, PermanentError)],
    ids=lambda fault: type(fault).__name__,
)
def test_a_sink_may_raise_anything_and_the_loop_lives(fault):
    sink = FakeSink(fails=[fault] * 2)
    bench = run_to_end(same_async, FakeSource([[1, 2, 3]]), sink)
    assert bench.state is State.DONE
    assert sorted([*sink.tape.pushed, *(f.element for f in bench.ledger.failures)]) == [1, 2, 3]


@pytest.mark.parametrize("fault", [*FAULTS, *PASSING], ids=lambda fault: type(fault).__name__)
def test_settling_and_the_backlog_may_raise_anything(fault):
    class Stubborn(FakeSource):
        def source(self, env):
            outer = super().source(env)

            class Open:
                async def __aenter__(self):
                    found = await outer.__aenter__()

                    async def settle(receipts, *, ok):
                        raise fault

                    async def backlog():
                        raise fault

                    found.settle, found.backlog = settle, backlog
                    return found

                async def __aexit__(self, *args):
                    return await outer.__aexit__(*args)

            return Open()

    sink = FakeSink()
    bench = run_to_end(same_async, Stubborn([[1, 2], [3]]), sink)
    assert (bench.state, sink.tape.pushed) == (State.DONE, [1, 2, 3])
    assert any("could not acknowledge" in line.text for line in bench.ledger.log.lines())


class Leaving(FakeSink):
    """A sink whose context does something of its own on the way out."""

    def __init__(self, leave, **words) -> None:
        super().__init__(**words)
        self.leave = leave

    @asynccontextmanager
    async def sink(self, env, element):
        try:
            yield self
        finally:
            self.leave()


@pytest.mark.parametrize(
    "fault",
    [*FAULTS, *PASSING, BaseExceptionGroup("several", [SystemExit(1)])],
    ids=lambda fault: type(fault).__name__,
)
def test_a_sink_that_cannot_be_closed_is_not_done(fault):
    def leave() -> None:
        raise fault

    bench = run_to_end(same_async, FakeSource([[1, 2]]), Leaving(leave))
    assert bench.state is State.FAILED
    assert bench.ledger.reason


def test_a_context_that_swallows_what_ended_the_pushes_changes_nothing():
    class Swallowing(FakeSink):
        @asynccontextmanager
        async def sink(self, env, element):
            with suppress(Exception):
                yield self

    sink = Swallowing(fails=[PermanentError("the table is gone")])
    bench = run_to_end(same_async, FakeSource([[1, 2]]), sink)
    assert (bench.state, bench.ledger.reason) == (State.FAILED, "the table is gone")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("sync", [True, False])
def test_a_setup_may_raise_anything_and_does_not_hang(fault, sync):
    class Sync:
        def setup(self) -> None:
            raise fault

        def process(self, x: int) -> int:
            return x

    class Async(Sync):
        async def setup(self) -> None:
            raise fault

        async def process(self, x: int) -> int:
            return x

    async def main() -> None:
        plan = RunPlan("flow", Env())
        supervisor = Supervisor(plan, InProcess(plan), FakeClock(), lambda _: None)
        spec = consumer_spec(Sync if sync else Async, FakeSource([[1]]), FakeSink(), {})
        async with asyncio.timeout(PATIENCE_S):
            await supervisor.start([spec])
            await supervisor.ended.wait()
        assert supervisor.state() is State.FAILED

    asyncio.run(main())
