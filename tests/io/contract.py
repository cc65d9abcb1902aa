"""What every primitive has to keep, as test classes to inherit from.

A test module for a primitive makes a class `Test…(SourceContract)` or `Test…(SinkContract)` and
says how to make the primitive; the rest is inherited.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Sequence
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any, ClassVar

import pytest

from buildflow_nb.core.errors import PartialPushError
from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.primitive import Batch, Checkable, Env, Readable, Source, Wire, Writable

DEADLINE_S = 20.0  # far more than any test needs; only a hang reaches it


def run(coroutine):
    """Run to the end, within the deadline."""

    async def within():
        return await asyncio.wait_for(coroutine, DEADLINE_S)

    return asyncio.run(within())


async def drain(source: Source, most: int = 1_000_000) -> list[object]:
    """Pull to the end, or until `most` elements have come, settling all."""
    found: list[object] = []
    while len(found) < most:
        batch = await source.pull()
        if batch is None:
            break
        found += batch.items
        if batch.receipts is not None:
            await source.settle(batch.receipts, ok=True)
    return found


def pulled(primitive: Readable, most: int = 1_000_000) -> list[object]:
    """All elements of a primitive, from a source of its own."""

    async def go():
        async with primitive.source(Env()) as source:
            return await drain(source, most)

    return run(go())


def pushed(primitive: Writable, *pushes: Sequence[object], element: object = None) -> None:
    """Push into a sink of its own."""

    async def go():
        async with primitive.sink(Env(), element) as sink:
            for items in pushes:
                await sink.push(items)

    run(go())


def checked(primitive: Any, role: str) -> list[Finding]:
    """What the check of a primitive finds for its use as a source or a sink, if it has one."""
    if not isinstance(primitive, Checkable):
        return []
    found = run(primitive.check(Env()))
    assert found
    assert all(finding.subject.startswith(type(primitive).__name__) for finding in found)
    return [finding for finding in found if finding.role in ("", role)]


def lying_there(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a folder, with when it was changed and what is in it."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


class ConfigContract:
    """A primitive is printable, comparable configuration."""

    hashable: ClassVar[bool] = True

    def make(self, folder: Path) -> Any:
        """A primitive; called twice it gives two that are equal."""
        raise NotImplementedError

    def test_is_equal_to_one_of_the_same_configuration(self, tmp_path):
        first, second = self.make(tmp_path), self.make(tmp_path)
        assert first == second
        assert first.primitive_id == second.primitive_id
        assert first.primitive_id

    def test_is_hashable(self, tmp_path):
        if self.hashable:
            assert hash(self.make(tmp_path)) == hash(self.make(tmp_path))

    def test_survives_pickling(self, tmp_path):
        primitive = self.make(tmp_path)
        again = pickle.loads(pickle.dumps(primitive))  # noqa: S301
        assert again == primitive
        assert again.primitive_id == primitive.primitive_id

    def test_is_frozen_and_shows_itself(self, tmp_path):
        primitive = self.make(tmp_path)
        assert repr(primitive).startswith(type(primitive).__name__ + "(")
        for field in fields(primitive):
            with pytest.raises(FrozenInstanceError):
                setattr(primitive, field.name, None)
        assert isinstance(primitive.label, str)
        assert "\n" not in primitive.label

    def test_making_one_touches_nothing(self, tmp_path):
        before = sorted(tmp_path.rglob("*"))
        self.make(tmp_path)
        assert sorted(tmp_path.rglob("*")) == before


class SourceContract(ConfigContract):
    """What every source keeps. `prepare` fills what the primitive reads with `expected`.

    `consumes` says that what is settled is gone, as with a queue.
    """

    bounded: ClassVar[bool] = True
    consumes: ClassVar[bool] = False
    expected: ClassVar[list[object]] = []

    def prepare(self, folder: Path) -> Any:
        """A primitive over data that is there."""
        return self.make(folder)

    def test_is_readable(self, tmp_path):
        primitive = self.make(tmp_path)
        assert isinstance(primitive, Readable)
        assert isinstance(primitive.source_wire, Wire)
        assert primitive.max_pullers >= 1

    def test_yields_all_in_order(self, tmp_path):
        primitive = self.prepare(tmp_path)
        assert pulled(primitive, len(self.expected)) == self.expected

    def test_can_be_opened_again(self, tmp_path):
        primitive = self.prepare(tmp_path)
        assert pulled(primitive, len(self.expected)) == self.expected
        if self.consumes:
            primitive = self.prepare(tmp_path)
        assert pulled(primitive, len(self.expected)) == self.expected

    def test_what_is_given_back_comes_again(self, tmp_path):
        if not self.consumes:
            return
        primitive = self.prepare(tmp_path)

        async def go():
            async with primitive.source(Env()) as source:
                batch = await source.pull()
                await source.settle(batch.receipts[:1], ok=False)
                await source.settle(batch.receipts[1:], ok=True)
                left = len(self.expected) - len(batch.items) + 1
                return [*batch.items[1:], *await drain(source, left)]

        left = list(self.expected)
        for item in run(go()):
            left.remove(item)
        assert left == []

    def test_what_was_never_settled_comes_again(self, tmp_path):
        if not self.consumes:
            return
        primitive = self.prepare(tmp_path)

        async def go():
            async with primitive.source(Env()) as source:
                await source.pull()

        run(go())
        assert pulled(primitive, len(self.expected)) == self.expected

    def test_two_sources_do_not_disturb_each_other(self, tmp_path):
        if self.consumes:
            return
        primitive = self.prepare(tmp_path)

        async def go():
            async with primitive.source(Env()) as one, primitive.source(Env()) as two:
                most = len(self.expected)
                return await asyncio.gather(drain(one, most), drain(two, most))

        assert run(go()) == [self.expected, self.expected]

    def test_can_be_closed_unread(self, tmp_path):
        primitive = self.prepare(tmp_path)

        async def go():
            async with primitive.source(Env()):
                pass
            async with primitive.source(Env()) as source:
                await source.pull()

        run(go())

    def test_stays_at_its_end(self, tmp_path):
        if not self.bounded:
            return
        primitive = self.prepare(tmp_path)

        async def go():
            async with primitive.source(Env()) as source:
                await drain(source)
                return [await source.pull(), await source.pull(), await source.backlog()]

        assert run(go())[:2] == [None, None]

    def test_a_batch_is_well_formed(self, tmp_path):
        primitive = self.prepare(tmp_path)

        async def go():
            async with primitive.source(Env()) as source:
                return await source.pull()

        batch = run(go())
        assert isinstance(batch, Batch)
        assert batch.receipts is None or len(batch.receipts) == len(batch.items)
        if batch.origin is not None:
            assert all(isinstance(batch.origin(i), str) for i in range(len(batch.items)))

    @pytest.mark.parametrize("turns", [0, 1, 2, 3, 5])
    def test_a_cancelled_pull_loses_nothing(self, tmp_path, turns):
        primitive = self.prepare(tmp_path)

        async def go():
            async with primitive.source(Env()) as source:
                task = asyncio.ensure_future(source.pull())
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                (found,) = await asyncio.gather(task, return_exceptions=True)
                first = list(found.items) if isinstance(found, Batch) else []
                return first + await drain(source, len(self.expected) - len(first))

        assert run(go()) == self.expected

    def test_backlog_is_a_count_or_unknown(self, tmp_path):
        primitive = self.prepare(tmp_path)

        async def go():
            async with primitive.source(Env()) as source:
                counts = [await source.backlog()]
                await source.pull()
                return [*counts, await source.backlog()]

        for count in run(go()):
            assert count is None or (isinstance(count, int) and count >= 0)

    def test_checking_finds_it_well_and_consumes_nothing(self, tmp_path):
        primitive = self.prepare(tmp_path)
        before = lying_there(tmp_path)
        for _ in range(2):
            for finding in checked(primitive, "source"):
                assert (finding.health, finding.cure) == (Health.OK, ""), finding
        assert lying_there(tmp_path) == before
        assert pulled(primitive, len(self.expected)) == self.expected

    def test_settling_nothing_is_harmless(self, tmp_path):
        primitive = self.prepare(tmp_path)

        async def go():
            async with primitive.source(Env()) as source:
                await source.settle([], ok=True)
                await source.settle([], ok=False)

        run(go())


class SinkContract(ConfigContract):
    """What every sink keeps. `read` is an independent reader of what was written.

    `element` is the declared type of `samples`, at least three; `bad` is an element that cannot be
    written, where there is one.
    """

    element: ClassVar[object] = None
    samples: ClassVar[list[object]] = []
    bad: ClassVar[object] = None
    read: Callable[[Path], list[object]]

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
