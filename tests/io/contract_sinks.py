"""What every sink keeps, whatever it writes to."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import lzma
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from buildflow_nb.core.errors import PartialPushError, PermanentError
from buildflow_nb.core.exactly_once import stores_once
from buildflow_nb.core.findings import Health
from buildflow_nb.core.optional_abilities import TracingSink
from buildflow_nb.core.primitive import Env, PushId, Wire, Writable
from buildflow_nb.core.resource_look import Standing
from buildflow_nb.core.trace_context import TraceContext
from tests.io.contract_config import ConfigContract
from tests.io.driving import checked, glanced, lying_there, pushed, run

# Traces that the first and the third of the samples take along.
CONTEXTS = {
    i: TraceContext(f"4bf92f3577b34da6a3ce929d0e0e473{i}", "00f067aa0ba902b7", state="vendor=1")
    for i in (0, 2)
}

# Files of others, none of which ends with a line feed.
FOREIGN = {
    "UTF-16": "x,name\n1,one".encode("utf-16"),
    "UTF-16 without its mark": "x,name\n1,one".encode("utf-16-le"),
    "UTF-32": "x,name\n1,one".encode("utf-32"),
    "Latin-1": "x,name\n1,caf\xe9".encode("latin-1"),
    "gzip": gzip.compress(b"x,name\n1,one\n"),
    "bzip2": bz2.compress(b"x,name\n1,one\n"),
    "xz": lzma.compress(b"x,name\n1,one\n"),
    "zip": b"PK\x03\x04\x14\x00\x00\x00\x08\x00",
    "Parquet": b"PAR1\x15\x04\x15\x10PAR1",
    "SQLite": b"SQLite format 3\x00\x10\x00\x01\x01",
    "bytes": b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00",
    "a letter": b"Dear Sir,\n\nI write to you",
}


class SinkContract(ConfigContract):
    """What every sink keeps. `read` is an independent reader of what was written.

    `element` is the declared type of `samples`, at least three; `bad` is an element that cannot be
    written, where there is one. `writes_to` is the name of the file that it writes, if it is one.
    """

    writes_to: ClassVar[str] = ""
    carries_traces: ClassVar[bool] = False
    """Whether elements take their trace along; `read_traces` then gives traceparents as written."""

    read_traces: Callable[[Path], list[str | None]]

    element: ClassVar[object] = None
    samples: ClassVar[list[object]] = []
    bad: ClassVar[object] = None
    read: Callable[[Path], list[object]]

    def env(self, folder: Path) -> Env:
        """Where a sink is opened that keeps what it has pushed."""
        return Env(positions=folder / ".buildflow" / "positions" / "p")

    def expect(self, items: Sequence[object]) -> list[object]:
        """What `read` gives for these items."""
        return list(items)

    def write(self, primitive: Writable, *pushes: Sequence[object]) -> None:
        """Push into a sink of its own."""
        pushed(primitive, *pushes, element=self.element)

    def test_is_writable(self, tmp_path):
        primitive = self.make(tmp_path)
        assert isinstance(primitive, Writable)
        assert isinstance(primitive.sink_wire, Wire)
        assert primitive.max_push >= 1
        assert primitive.linger_s >= 0

    def test_what_is_written_can_be_read(self, tmp_path):
        self.write(self.make(tmp_path), self.samples)
        assert self.read(tmp_path) == self.expect(self.samples)

    def test_checking_makes_and_writes_nothing(self, tmp_path):
        primitive = self.make(tmp_path)
        before = lying_there(tmp_path)
        assert [f for f in checked(primitive, "sink") if f.health is not Health.OK] == []
        assert lying_there(tmp_path) == before
        self.write(primitive, self.samples)
        before = lying_there(tmp_path)
        assert [f for f in checked(primitive, "sink") if f.health is not Health.OK] == []
        assert lying_there(tmp_path) == before
        assert self.read(tmp_path) == self.expect(self.samples)

    def test_a_look_before_anything_was_written_makes_nothing(self, tmp_path):
        primitive = self.make(tmp_path)
        before = lying_there(tmp_path)
        look = glanced(primitive)
        if look is not None:
            assert look.standing in (Standing.THERE, Standing.ABSENT), look
            assert look.there or (look.said and look.cure), look
            assert lying_there(tmp_path) == before

    def test_a_look_shows_what_was_written_and_leaves_it(self, tmp_path):
        primitive = self.make(tmp_path)
        self.write(primitive, self.samples)
        look = glanced(primitive)
        if look is not None:
            assert look.there, look
            if look.held is not None and look.held.noun != "objects":
                assert look.held.count == len(self.samples)
            assert glanced(primitive).contents == look.contents
            assert self.read(tmp_path) == self.expect(self.samples)

    def test_traces_go_along_or_end_here(self, tmp_path):
        primitive = self.make(tmp_path)

        async def go():
            async with primitive.sink(Env(), self.element) as sink:
                assert isinstance(sink, TracingSink) is self.carries_traces
                if self.carries_traces:
                    await sink.push_traced(self.samples, CONTEXTS)

        run(go())
        if self.carries_traces:
            wanted = {CONTEXTS[i].traceparent for i in CONTEXTS}
            found = self.read_traces(tmp_path)
            assert {each for each in found if each is not None} == wanted
            assert len(found) == len(self.samples)
            assert self.read(tmp_path) == self.expect(self.samples)

    def test_pushes_keep_their_order(self, tmp_path):
        self.write(self.make(tmp_path), *[[item] for item in self.samples])
        assert self.read(tmp_path) == self.expect(self.samples)

    def test_opened_again_it_continues(self, tmp_path):
        primitive = self.make(tmp_path)
        self.write(primitive, self.samples[:1])
        self.write(primitive, self.samples[1:])
        assert self.read(tmp_path) == self.expect(self.samples)

    def test_an_empty_push_writes_nothing(self, tmp_path):
        self.write(self.make(tmp_path), [], self.samples, [])
        assert self.read(tmp_path) == self.expect(self.samples)

    def test_a_push_is_visible_when_it_returns(self, tmp_path):
        primitive = self.make(tmp_path)

        async def go():
            async with primitive.sink(Env(), self.element) as sink:
                await sink.push(self.samples[:2])
                first = await asyncio.to_thread(self.read, tmp_path)
                await sink.push(self.samples[2:])
                return first

        assert run(go()) == self.expect(self.samples[:2])
        assert self.read(tmp_path) == self.expect(self.samples)

    def test_concurrent_pushes_stay_whole(self, tmp_path):
        primitive = self.make(tmp_path)
        rounds = 5

        async def go():
            async with (
                primitive.sink(Env(), self.element) as one,
                primitive.sink(Env(), self.element) as two,
            ):
                pushes = [sink.push(self.samples) for sink in (one, two) for _ in range(rounds)]
                await asyncio.gather(*pushes)

        run(go())
        assert self.read(tmp_path) == self.expect(self.samples) * (2 * rounds)

    def test_a_cancelled_push_is_whole_or_absent(self, tmp_path):
        primitive = self.make(tmp_path)

        async def go():
            async with primitive.sink(Env(), self.element) as sink:
                task = asyncio.ensure_future(sink.push(self.samples))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await sink.push(self.samples)

        run(go())
        whole = self.expect(self.samples)
        assert self.read(tmp_path) in (whole, whole + whole)

    def test_a_bad_element_fails_alone(self, tmp_path):
        if self.bad is None:
            return
        items = [self.samples[0], self.bad, *self.samples[1:]]
        with pytest.raises(PartialPushError) as caught:
            self.write(self.make(tmp_path), items)
        assert list(caught.value.failed) == [1]
        assert str(caught.value.failed[1])
        assert self.read(tmp_path) == self.expect(self.samples)

    def test_a_push_of_nothing_but_bad_elements_writes_nothing(self, tmp_path):
        if self.bad is None:
            return
        primitive = self.make(tmp_path)
        self.write(primitive, self.samples)
        with pytest.raises(PartialPushError) as caught:
            self.write(primitive, [self.bad, self.bad])
        assert list(caught.value.failed) == [0, 1]
        assert self.read(tmp_path) == self.expect(self.samples)

    def test_the_last_pushes_are_stored_once_whoever_repeats_them(self, tmp_path):
        if not stores_once(self.make(tmp_path)):
            return
        primitive, env = self.make(tmp_path), self.env(tmp_path)
        pushes = [(item, PushId("flow-once", at, 1)) for at, item in enumerate(self.samples)]

        async def go(some):
            async with primitive.sink(env, self.element) as sink:
                for item, push in some:
                    await sink.push_once([item], push)

        run(go(pushes[:2]))
        run(go(pushes[:2]))  # of a run that was cut off before it could note that they are done
        run(go(pushes[1:]))
        assert self.read(tmp_path) == self.expect(self.samples)

    def test_a_push_that_is_repeated_tells_its_elements_at_fault_again(self, tmp_path):
        if self.bad is None or not stores_once(self.make(tmp_path)):
            return
        primitive, env = self.make(tmp_path), self.env(tmp_path)
        self.write(primitive, [])
        half = [self.samples[0], self.bad, self.samples[1]], PushId("flow-faults", 0, 3)
        rest = [*self.samples[2:], self.bad], PushId("flow-faults", 3, len(self.samples) - 1)

        async def go(*pushes):
            async with primitive.sink(env, self.element) as sink:
                for items, push in pushes:
                    with pytest.raises(PartialPushError) as caught:
                        await sink.push_once(items, push)
                    assert list(caught.value.failed) == [
                        at for at, item in enumerate(items) if item is self.bad
                    ]
                    assert all(map(str, caught.value.failed.values()))

        run(go(half, half))
        run(go(half, rest))
        run(go(half, rest))  # the last few may be repeated
        assert self.read(tmp_path) == self.expect(self.samples)

    @pytest.mark.parametrize("kind", FOREIGN)
    def test_a_file_that_is_not_ours_is_refused_and_stays_as_it_is(self, tmp_path, kind):
        if not self.writes_to:
            return
        (tmp_path / self.writes_to).write_bytes(FOREIGN[kind])
        before = lying_there(tmp_path)
        with pytest.raises((PermanentError, PartialPushError)) as caught:
            self.write(self.make(tmp_path), self.samples)
        assert self.writes_to in str(caught.value) or isinstance(caught.value, PartialPushError)
        assert lying_there(tmp_path) == before
