"""Sources and sinks over blocking code: one call at a time, nothing lost, nothing cut short."""

import asyncio
import threading

import pytest

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.primitive import Batch
from buildflow_nb.io.blocking import BlockingSink, BlockingSource
from tests.io.contract import run
from tests.io.contract_sources import FAULTS


class GatedReader:
    """Reads 0, 1, 2; each read waits for the gate."""

    def __init__(self):
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.calls = []
        self.numbers = iter(range(3))

    def open(self):
        self.calls.append("open")

    def read(self):
        self.entered.set()
        assert self.gate.wait(10)
        number = next(self.numbers, None)
        self.calls.append(number)
        return None if number is None else Batch([number])

    def left(self):
        return 7

    def close(self):
        self.calls.append("close")


class GatedWriter:
    """Notes what it writes; each write waits for the gate."""

    def __init__(self, *faults):
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.calls = []
        self.faults = list(faults)

    def open(self):
        self.calls.append("open")
        if self.faults:
            raise self.faults.pop(0)

    def write(self, items):
        self.entered.set()
        assert self.gate.wait(10)
        self.calls.append(list(items))

    def close(self):
        self.calls.append("close")


async def entered(event):
    assert await asyncio.to_thread(event.wait, 10)


def test_what_a_cancelled_pull_has_read_comes_next():
    reader = GatedReader()

    async def go():
        async with BlockingSource(reader) as source:
            pull = asyncio.ensure_future(source.pull())
            await entered(reader.entered)
            pull.cancel()
            pull.cancel()
            reader.gate.set()
            (found,) = await asyncio.gather(pull, return_exceptions=True)
            assert isinstance(found, asyncio.CancelledError)
            return [(await source.pull()).items for _ in range(3)], await source.pull()

    assert run(go()) == ([[0], [1], [2]], None)


def test_closing_waits_for_the_read_under_way():
    reader = GatedReader()

    async def go():
        async with BlockingSource(reader) as source:
            pull = asyncio.ensure_future(source.pull())
            await entered(reader.entered)
            pull.cancel()
            asyncio.get_running_loop().call_later(0, reader.gate.set)
        await asyncio.gather(pull, return_exceptions=True)

    run(go())
    assert reader.calls == ["open", 0, "close"]


def test_pushes_go_one_after_another():
    writer = GatedWriter()
    writer.gate.set()

    async def go():
        async with BlockingSink(writer) as sink:
            await asyncio.gather(*(sink.push([i]) for i in range(5)))

    run(go())
    assert writer.calls == ["open", [0], [1], [2], [3], [4], "close"]


def test_a_cancelled_push_is_finished_before_the_next():
    writer = GatedWriter()

    async def go():
        async with BlockingSink(writer) as sink:
            first = asyncio.ensure_future(sink.push(["first"]))
            await entered(writer.entered)
            first.cancel()
            second = asyncio.ensure_future(sink.push(["second"]))
            writer.gate.set()
            await asyncio.gather(first, second, return_exceptions=True)

    run(go())
    assert writer.calls == ["open", ["first"], ["second"], "close"]


def test_a_temporary_fault_of_opening_is_left_to_the_push():
    writer = GatedWriter(TemporaryError("later"), TemporaryError("later still"))
    writer.gate.set()

    async def go():
        async with BlockingSink(writer) as sink:
            with pytest.raises(TemporaryError, match="later still"):
                await sink.push([1])
            await sink.push([1])

    run(go())
    assert writer.calls == ["open", "open", "open", [1], "close"]


def test_a_permanent_fault_of_opening_is_told_at_once():
    writer = GatedWriter(PermanentError("never"))

    async def go():
        async with BlockingSink(writer):
            raise AssertionError

    with pytest.raises(PermanentError, match="never"):
        run(go())
    assert writer.calls == ["open", "close"]


def test_backlog_is_the_readers_until_the_end():
    reader = GatedReader()
    reader.gate.set()

    async def go():
        async with BlockingSource(reader) as source:
            first = await source.backlog()
            while await source.pull() is not None:
                pass
            return first, await source.backlog()

    assert run(go()) == (7, 0)


class FaultyReader:
    """Reads 0, 1, 2 from a generator; where `faults` has an error, that is raised instead."""

    def __init__(self, faults, opening=()):
        self.faults = faults
        self.opening = list(opening)
        self.closed = 0
        self.asked = 0

    def open(self):
        if self.opening:
            raise self.opening.pop(0)
        self.batches = self.make()

    def make(self):
        for i in range(3):
            if i in self.faults:
                raise self.faults[i]
            yield Batch([i])

    def read(self):
        self.asked += 1
        return next(self.batches, None)

    def left(self):
        return None

    def close(self):
        self.closed += 1


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_generator_that_has_raised_is_not_taken_for_one_at_its_end(at, fault):
    reader = FaultyReader({at: fault})

    async def go():
        found, errors = [], []
        async with BlockingSource(reader, "File in.csv") as source:
            while len(errors) < 4:
                try:
                    batch = await source.pull()
                except Exception as error:  # noqa: BLE001
                    errors.append(error)
                else:
                    assert batch is not None, "the fault was taken for the end"
                    found += batch.items
        return found, errors

    found, errors = run(go())
    assert found == list(range(at))
    told = (
        errors[1:] if isinstance(fault, (TemporaryError, ConnectionError, TimeoutError)) else errors
    )
    assert all(error is told[0] for error in told)
    assert isinstance(told[0], PermanentError)
    assert "File in.csv" in str(told[0]) or told[0] is fault
    assert reader.asked <= at + 2
    assert reader.closed == 2


def test_a_reader_that_opens_late_at_its_end_says_so_first():
    reader = FaultyReader({}, [TemporaryError("not yet"), ConnectionError("not yet")])
    reader.make = lambda: iter(())

    async def go():
        async with BlockingSource(reader) as source:
            for kind in (TemporaryError, ConnectionError):
                with pytest.raises(kind, match="not yet"):
                    await source.pull()
            first = await source.pull()
            return list(first.items), await source.pull(), await source.pull()

    assert run(go()) == ([], None, None)


@pytest.mark.parametrize("fault", [SystemExit(3), KeyboardInterrupt(), StopIteration(), OSError()])
def test_a_writer_cannot_end_the_loop(fault):
    writer = GatedWriter(fault)

    async def go():
        async with BlockingSink(writer):
            raise AssertionError

    kind = OSError if isinstance(fault, OSError) else PermanentError
    with pytest.raises(kind, match=r"^(SystemExit: 3|KeyboardInterrupt|StopIteration|)$"):
        run(go())


class RestingWriter(GatedWriter):
    rest_s = 0.01

    def __init__(self):
        super().__init__()
        self.gate.set()
        self.rested = threading.Event()

    def rest(self):
        self.calls.append("rest")
        self.rested.set()


def test_a_writer_rests_once_when_nothing_comes():
    writer = RestingWriter()

    async def go():
        async with BlockingSink(writer) as sink:
            await entered(writer.rested)
            writer.rested.clear()
            await sink.push([1])
            await entered(writer.rested)

    run(go())
    assert writer.calls == ["open", "rest", [1], "rest", "close"]


def test_a_writer_does_not_rest_while_it_writes_nor_right_after():
    writer = RestingWriter()
    writer.rest_s = 0.1

    async def go():
        async with BlockingSink(writer) as sink:
            writer.gate.clear()
            push = asyncio.ensure_future(sink.push([1]))
            await entered(writer.entered)
            assert not await asyncio.to_thread(writer.rested.wait, 3 * writer.rest_s)
            writer.rest_s = 1_000
            writer.gate.set()
            await push
            assert not await asyncio.to_thread(writer.rested.wait, 0.05)

    run(go())
    assert writer.calls in (["open", [1], "close"], ["open", "rest", [1], "close"])


def test_what_resting_raises_is_left_to_the_next_push():
    writer = RestingWriter()

    def fail():
        writer.rested.set()
        raise OSError

    writer.rest = fail

    async def go():
        async with BlockingSink(writer) as sink:
            await entered(writer.rested)
            await sink.push([1])

    run(go())
    assert writer.calls == ["open", [1], "close"]
