"""A sink that is a dependency: at least once holds for it as for the processor's own."""

import asyncio
import threading

import pytest

from buildflow_nb.core.errors import DeclarationError, PermanentError, TemporaryError
from buildflow_nb.dependencies.sink import SinkDependencyBuilder
from buildflow_nb.io.local import Pulse
from tests.fakes import FakeSink, FakeSource
from tests.runtime.conftest import Bench
from tests.runtime.test_injection import in_loop

CODES = ["awaited", "not awaited", "sync", "in a task", "batch"]


def code_of(kind, side):
    """Code that pushes what it gets to a side sink, and gives it to its own."""
    out_type = SinkDependencyBuilder(side)

    async def awaited(element: int, out: out_type) -> int:
        await out.push(element)
        return element

    async def not_awaited(element: int, out: out_type) -> int:
        out.push(element)
        return element

    def sync(element: int, out: out_type) -> int:
        out.push(element)
        return element

    async def in_a_task(element: int, out: out_type) -> int:
        async def later():
            out.push(element)

        await asyncio.create_task(later())
        return element

    async def batch(element: int, out: out_type) -> int:
        await out.push_batch([element])
        return element

    codes = (awaited, not_awaited, sync, in_a_task, batch)
    return dict(zip(CODES, codes, strict=True))[kind]


@pytest.mark.parametrize("kind", CODES)
@in_loop
async def test_what_is_pushed_is_stored_before_its_element_is_settled(kind):
    gate = asyncio.Event()
    side, own = FakeSink(gate=lambda: gate), FakeSink()
    source = FakeSource([[1, 2]])
    bench = Bench(code_of(kind, side), source, own)
    await bench.consumer.start()
    for _ in range(50):
        await asyncio.sleep(0)
    assert not source.tape.acked
    gate.set()
    await bench.until(lambda: bench.ledger.state.ended)
    assert side.tape.pushed == own.tape.pushed == source.tape.acked == [1, 2]
    assert side.tape.closed == 1


@pytest.mark.parametrize("kind", CODES)
@in_loop
async def test_what_cannot_be_stored_there_fails_its_own_element(kind):
    side = FakeSink(refuse=lambda element: element == 2)
    own, dead = FakeSink(), FakeSink()
    source = FakeSource([[1, 2, 3]])
    bench = Bench(code_of(kind, side), source, own, retries=0, dead_letter=dead)
    await bench.to_end()
    assert side.tape.pushed == own.tape.pushed == [1, 3]
    assert len(dead.tape.pushed) == 1
    assert sorted(source.tape.acked) == [1, 2, 3]


@pytest.mark.parametrize("kind", CODES)
@in_loop
async def test_temporary_faults_are_waited_out(kind):
    side = FakeSink(fails=[ConnectionError("down"), ConnectionError("still")])
    own = FakeSink()
    bench = Bench(code_of(kind, side), FakeSource([[1]]), own)
    await bench.to_end()
    assert side.tape.pushed == own.tape.pushed == [1]


@in_loop
async def test_who_awaits_a_push_may_go_on_without_it():
    side = FakeSink(refuse=lambda _: True)
    out_type = SinkDependencyBuilder(side)

    async def code(element: int, out: out_type) -> int:
        try:
            await out.push(element)
        except Exception:  # noqa: BLE001
            return -element
        return element

    own = FakeSink()
    await Bench(code, FakeSource([[1]]), own, retries=0).to_end()
    assert own.tape.pushed == [-1]


@in_loop
async def test_a_sink_that_can_never_be_opened_fails_its_elements():
    class Broken(FakeSink):
        def sink(self, env, element):
            msg = "no such table"
            raise PermanentError(msg)

    bench = Bench(code_of("awaited", Broken()), FakeSource([[1]]), FakeSink(), retries=0)
    await bench.to_end()
    (failure,) = bench.ledger.failures
    assert "no such table" in failure.error


@pytest.mark.parametrize("kind", CODES)
@in_loop
async def test_what_is_only_tried_pushes_nowhere(kind):
    side, own = FakeSink(), FakeSink()
    bench = Bench(code_of(kind, side), FakeSource([[1]], endless=True), own)
    await bench.consumer.start()
    await bench.until(lambda: own.tape.pushed == [1])
    assert await bench.consumer.send(7) == [7]
    await bench.stop()
    assert side.tape.pushed == [1]


def test_what_cannot_be_written_is_refused_at_once():
    with pytest.raises(DeclarationError, match="can be written, got Pulse"):
        SinkDependencyBuilder(Pulse([1], 1))


@in_loop
async def test_whoever_gives_up_waiting_does_not_give_up_the_push():
    gate = asyncio.Event()
    side, own = FakeSink(gate=lambda: gate), FakeSink()
    out_type = SinkDependencyBuilder(side)

    async def code(element: int, out: out_type) -> int:
        try:
            await asyncio.wait_for(out.push(element), 0.001)
        except TimeoutError:
            gate.set()
        return element

    source = FakeSource([[1]])
    bench = Bench(code, source, own, retries=0)
    await bench.to_end()
    assert side.tape.pushed == own.tape.pushed == source.tape.acked == [1]
    assert not bench.ledger.failures


@in_loop
async def test_what_a_task_of_the_calls_pushed_in_vain_fails_the_call():
    side, own = FakeSink(refuse=lambda _: True), FakeSink()
    out_type = SinkDependencyBuilder(side)

    async def code(element: int, out: out_type) -> int:
        code.task = asyncio.ensure_future(_pushed(out, element))
        await asyncio.sleep(0)
        return element

    async def _pushed(out, element):
        await out.push(element)

    bench = Bench(code, FakeSource([[1]]), own, retries=0)
    await bench.to_end()
    assert not own.tape.pushed
    assert len(bench.ledger.failures) == 1
    code.task.exception()


@in_loop
async def test_a_push_of_nobodys_that_fails_is_told():
    side, own = FakeSink(refuse=lambda _: True), FakeSink()
    out_type = SinkDependencyBuilder(side)

    def code(element: int, out: out_type) -> int:
        thread = threading.Thread(target=lambda: out.push(element), daemon=True)
        thread.start()
        thread.join()
        return element

    bench = Bench(code, FakeSource([[1]], endless=True), own, retries=0)
    await bench.consumer.start()
    said = "a push from outside of a call was not stored"
    await bench.until(lambda: any(said in line.text for line in bench.ledger.log.lines()))
    await bench.stop()


@pytest.mark.parametrize("kind", CODES)
@in_loop
async def test_an_element_at_fault_is_tried_as_often_as_any_other(kind):
    class Counting(FakeSink):
        tries = 0

        async def push(self, items):
            type(self).tries += 1
            msg = "bad"
            raise ValueError(msg)

    side = Counting()
    bench = Bench(code_of(kind, side), FakeSource([[1]]), FakeSink(), retries=2)
    await bench.to_end()
    assert Counting.tries == 3
    assert bench.ledger.failures[0].tries == 3


@pytest.mark.parametrize("kind", CODES)
@in_loop
async def test_a_sink_that_cannot_be_opened_for_now_is_waited_for(kind):
    class Late(FakeSink):
        left = 3

        def sink(self, env, element):
            if self.left:
                self.left -= 1
                msg = "no such table yet"
                raise TemporaryError(msg)
            return super().sink(env, element)

    side, own = Late(), FakeSink()
    bench = Bench(code_of(kind, side), FakeSource([[1, 2]]), own, retries=0)
    await bench.to_end()
    assert side.tape.pushed == own.tape.pushed == [1, 2]
    assert not bench.ledger.failures
