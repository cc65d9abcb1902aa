"""What every source keeps, whatever it reads from."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import pytest

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.findings import Health
from buildflow_nb.core.primitive import Batch, Env, Readable, Wire
from tests.io.contract_config import ConfigContract
from tests.io.contract_runs import RunContract
from tests.io.contract_sharing import SharingContract
from tests.io.driving import checked, drain, glanced, lying_there, pulled, run

PATIENCE = 3  # pulls that have failed, after which a source is taken to have failed for good
TEMPORARY = (TemporaryError, ConnectionError, TimeoutError)


class OwnError(Exception):
    """Somebody's own error, which cannot even be told."""

    def __str__(self):
        return self.never_set


FAULTS = (
    TemporaryError("later"),
    ConnectionError("gone"),
    TimeoutError("slow"),
    OSError("bad disk"),
    PermanentError("never"),
    ValueError("no value"),
    KeyError("z"),
    RecursionError("too deep"),
    OwnError(),
    StopIteration("over"),
    StopAsyncIteration("over"),
    GeneratorExit("closed"),
    SystemExit(3),
    KeyboardInterrupt("stop"),
)


class Reading:
    """Counts the calls of a function, and lets one of them fail."""

    def __init__(self, owner, name, monkeypatch):
        self.calls = 0
        self._fails_at, self._fault = -1, None
        self._call = getattr(owner, name)
        reading = self

        def counted(*args, **kwargs):
            return reading.called(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    def fail(self, at, fault):
        """Raise at this call, the next one being 0."""
        self.calls, self._fails_at, self._fault = 0, at, fault

    def called(self, *args, **kwargs):
        self.calls += 1
        if self.calls - 1 == self._fails_at:
            raise self._fault
        return self._call(*args, **kwargs)


async def pulled_with_errors(primitive, most):
    """What a source gives up to its end, and what it raises; asked again after each fault."""
    found, errors = [], []
    async with primitive.source(Env()) as source:
        while len(errors) < PATIENCE and len(found) < most + 1:
            try:
                batch = await source.pull()
            except Exception as error:  # noqa: BLE001
                errors.append(error)
                continue
            if batch is None:
                break
            found += batch.items
            if batch.receipts is not None:
                await source.settle(batch.receipts, ok=True)
    return found, errors


class SourceContract(RunContract, SharingContract, ConfigContract):
    """What every source keeps. `prepare` fills what the primitive reads with `expected`.

    `consumes` says that what is settled is gone, as with a queue. `reads` is what its source calls
    to read: an object and the name of an attribute that is called.
    """

    reads: ClassVar[tuple[Any, str] | None] = None
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

    def test_a_look_takes_nothing(self, tmp_path):
        primitive = self.prepare(tmp_path)
        look = glanced(primitive, rows=3)
        if look is None:
            return
        assert look.there, look
        again = glanced(primitive, rows=3)
        assert (again.held, again.contents) == (look.held, look.contents)
        if look.held is not None and look.held.noun != "objects":
            assert look.held.count == len(self.expected)
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

    @pytest.mark.parametrize("at", [0.0, 0.5, 1.0], ids=["first", "middle", "last"])
    @pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
    def test_a_fault_of_reading_is_never_an_end(self, tmp_path, monkeypatch, fault, at):
        if self.reads is None:
            return
        primitive = self.prepare(tmp_path)
        reading = Reading(*self.reads, monkeypatch)
        assert pulled(primitive, len(self.expected)) == self.expected
        if self.consumes:
            primitive = self.prepare(tmp_path)
        reading.fail(round(at * (reading.calls - 1)), fault)
        found, errors = run(pulled_with_errors(primitive, len(self.expected)))
        assert errors
        if all(isinstance(error, TEMPORARY) for error in errors):
            assert found == self.expected
        else:
            assert len(errors) == PATIENCE
            assert all(isinstance(error, PermanentError) for error in errors), errors
            assert found == self.expected[: len(found)]
