"""Recorded inputs through the code of this moment, beside what they gave when they were recorded.

A trial instance runs, nothing is written. What is compared is what a recording can hold: two
results are the same if they are the same as tagged JSON, with secrets masked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.primitive import Wire
from buildflow_nb.runtime.concurrency.calls import being_cancelled
from buildflow_nb.runtime.consumer.send import as_declared, run_value
from buildflow_nb.runtime.consumer.worker_pool import lone_worker
from buildflow_nb.runtime.observability.logs import LogRing
from buildflow_nb.runtime.observability.recording import Header, Row
from buildflow_nb.runtime.observability.redaction import Redaction, redaction_of
from buildflow_nb.runtime.observability.tagged_json import UnreadableError, tagged, untagged
from buildflow_nb.runtime.observability.tracebacks import cut, describe
from buildflow_nb.runtime.scopes import Supply
from buildflow_nb.runtime.trial import trial

__all__ = ("Replay", "Replayed", "replay_rows")

Run = Callable[[object], Awaitable[Sequence[object]]]


@dataclass(frozen=True, slots=True)
class Replayed:
    """One recorded input: what it gave then, what it gives now; `error` is this time's.

    `input`, `old` and `new` are plain values (a record is a dict of its fields); `new` is empty
    where there was an error, `old` where `old_error` says that there was one when it was recorded.
    `seconds` is how long the code took. Of a damaged line only its `error` is known.
    """

    number: int
    input: Any
    old: tuple[Any, ...]
    new: tuple[Any, ...]
    error: str
    same: bool
    seconds: float
    old_error: str = ""
    damaged: bool = False


class Replay(list[Replayed]):
    """What a replay found, in the order of the recording."""

    def __init__(self, processor_id: str, rows: Iterable[Replayed] = ()) -> None:
        super().__init__(rows)
        self.processor_id = processor_id

    @property
    def different(self) -> list[Replayed]:
        """Those that do not give what they gave."""
        return [row for row in self if not row.same]

    @property
    def summary(self) -> str:
        """One line: how many are the same, differ, and fail."""
        damaged = sum(row.damaged for row in self)
        failed = sum(bool(row.error) for row in self.different) - damaged
        same = len(self) - len(self.different)
        text = (
            f"{self.processor_id}: {len(self) - damaged:,} replayed, {same:,} same, "
            f"{len(self.different) - failed - damaged:,} different, {failed:,} failed"
        )
        return f"{text}, {damaged:,} unreadable" if damaged else text

    def __repr__(self) -> str:
        lines = [self.summary]
        for row in self.different:
            if row.damaged:
                lines.append(f"  {row.number}: unreadable: {row.error}")
                continue
            old = f"failed: {row.old_error}" if row.old_error else repr(row.old)
            new = f"failed: {row.error}" if row.error else repr(row.new)
            lines.append(f"  {row.number}: {row.input!r}: {old} -> {new}")
        return "\n".join(lines)


async def replay_rows(
    spec: ProcessorSpec, header: Header, rows: Sequence[Row], timeout_s: float, supply: Supply
) -> Replay:
    """Run recorded inputs, one after the other, for as long as there is time.

    Raises:
        Exception: the code cannot be set up.
    """
    replay, ring = Replay(spec.id), LogRing()
    redaction = redaction_of(spec)
    deadline = asyncio.get_running_loop().time() + timeout_s
    async with AsyncExitStack() as stack:
        async with asyncio.timeout_at(deadline):
            run = await stack.enter_async_context(_running(spec, header, ring, supply))
        for row in rows:
            replay.append(await _one(row, run, redaction, deadline))
    return replay


async def _one(row: Row, run: Run, redaction: Redaction, deadline: float) -> Replayed:
    if row.damage:
        return Replayed(row.number, None, (), (), row.damage, False, 0.0, damaged=True)
    began = time.perf_counter()
    new, error = await _given(row, run, redaction, deadline)
    same = error == row.error if error else list(new) == list(row.outputs)
    return Replayed(
        row.number,
        _readable(row.input),
        tuple(map(_readable, row.outputs)),
        tuple(map(_readable, new)),
        error,
        same and bool(error) == bool(row.error),
        time.perf_counter() - began,
        row.error,
    )


async def _given(
    row: Row, run: Run, redaction: Redaction, deadline: float
) -> tuple[tuple[Any, ...], str]:
    """What an input gives now, in tagged JSON, and the error if there was one."""
    try:
        async with asyncio.timeout_at(deadline):
            given = await run(untagged(row.input))
        return tuple(tagged(redaction.result(result)) for result in given), ""
    except TimeoutError as late:
        over = asyncio.get_running_loop().time() >= deadline
        return (), "not finished: the time was up" if over else describe(late)
    except asyncio.CancelledError as cancelled:
        if being_cancelled():
            raise
        return (), describe(cancelled)
    except UnreadableError as unreadable:
        return (), f"the input cannot be read back: {unreadable}"
    except Exception as failed:  # noqa: BLE001  (user code may raise anything)
        cut(failed)
        return (), redaction.text(describe(failed), _readable(row.input))


def _readable(value: Any) -> Any:
    """A recorded value for a person; what cannot be read back stays as it was written."""
    try:
        return untagged(value)
    except UnreadableError:
        return value.get("$repr", value) if isinstance(value, dict) else value


@asynccontextmanager
async def _running(
    spec: ProcessorSpec, header: Header, ring: LogRing, supply: Supply
) -> AsyncIterator[Run]:
    """A trial of what a recording holds: the wire form, where nothing in it had to be masked."""
    if not isinstance(spec, ConsumerSpec):
        async with trial(spec, "replay", supply, ring) as send:
            yield send
        return
    wire = Wire.OBJECT if header.shown else Wire(header.wire)
    decode = compile_decoder(spec.input_type, wire, f"consumer {spec.id!r}").one
    async with lone_worker(spec, "replay", ring, supply) as worker:

        async def run(value: object) -> Sequence[object]:
            element = as_declared(spec, value) if header.shown else decode(value)
            return await run_value(worker.code, worker.thread, element)

        yield run
