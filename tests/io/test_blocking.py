"""Sources and sinks over blocking code: one call at a time, nothing lost, nothing cut short."""

import asyncio
import threading

import pytest

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.primitive import Batch
from buildflow_nb.io.blocking import BlockingSink, BlockingSource
from tests.io.contract import run


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
