"""Keeps the units of one run: starts, swaps, stops and restarts them, and says how they are.

Runs on the loop thread. Commands that change units take turns, so that two cells that register
the same processor at once cannot interleave. What happens to one unit never ends another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence

from buildflow_nb.core.declaring.flow_spec import ProcessorSpec
from buildflow_nb.core.declaring.registry import Changes
from buildflow_nb.core.errors import BuildFlowError, RunError, UsageError
from buildflow_nb.core.events import Event, StateChanged
from buildflow_nb.core.primitive import label_of
from buildflow_nb.core.status.snapshot import FlowSnapshot, State
from buildflow_nb.runtime.concurrency.calls import is_cancel
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.engine import Engine
from buildflow_nb.runtime.lifespan import Lifespan
from buildflow_nb.runtime.observability.failures import RetryInput, RetryResult
from buildflow_nb.runtime.observability.ledger import Ledger, Retrier
from buildflow_nb.runtime.observability.metrics import Activity
from buildflow_nb.runtime.observability.tracebacks import describe
from buildflow_nb.runtime.plan import RunPlan
from buildflow_nb.runtime.unit import Unit, not_ready

__all__ = ("Supervisor",)

ANSWERS_S = 5.0  # for requests under way, where a run ends by itself
START_GRACE_S = 1.0  # most setups are done by then, and what is shown first is then true


class Supervisor:
    """The units of a run, by processor id; `run` retries what failed."""

    def __init__(
        self,
        plan: RunPlan,
        engine: Engine,
        clock: Clock,
        emit: Callable[[Event], None],
        run: Retrier | None = None,
    ) -> None:
        self.plan = plan
        self.units: dict[str, Unit] = {}
        self.ledgers: dict[str, Ledger] = {}
        self.started_at = self._since = clock.time()
        self.ended = asyncio.Event()
        self._engine = engine
        self._clock = clock
        self._emit = emit
        self._run = run
        self._activity = Activity()
        self._read_before = dict(plan.read_before)
        self._notes: list[str] = []
        self._starts: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self._stopping = False
        self._lifespan = Lifespan(plan.hooks)
        self._finishing: asyncio.Task[None] | None = None
        self._coming_up = self.startup_s > 0  # what comes before it is not done yet

    @property
    def startup_s(self) -> float:
        """Seconds that the engine, and code of the flow, may take before the run."""
        return self._lifespan.startup_s + self._engine.open_s

    @property
    def address(self) -> str | None:
        """Where routes are served, if any are."""
        return self._engine.address

    async def start(self, specs: Sequence[ProcessorSpec]) -> None:
        """Start every processor; one whose own setup fails is FAILED and the others go on.

        Returns when all are up, or soon: a setup that takes its time goes on behind.

        Raises:
            ServeError: a port cannot be had; nothing is left running.
            RunError: what comes before the run failed.
        """
        async with self._turn:
            await self._lifespan.begin()
            await self._engine.open(specs)
            await self._start(specs)
            self._coming_up = False
        self._look_whether_ended()

    async def apply(self, changes: Changes, specs: Mapping[str, ProcessorSpec]) -> None:
        """Bring the units in line with what was declared since.

        Raises:
            RunError: new code could not be set up, so the old one goes on; all else is in line.
        """
        if self._finishing:
            return
        async with self._turn:
            if self._stopping or self.ended.is_set():
                return
            for processor_id in changes.removed:
                await self._remove(processor_id)
            said = [await self._refresh()] if changes.hooks else []
            said += [await self._replace(specs[processor_id]) for processor_id in changes.replaced]
            await self._start([specs[processor_id] for processor_id in changes.added])
        self._look_whether_ended()
        if any(said):
            raise RunError("; ".join(filter(None, said)))

    async def stop(self, processor_ids: Sequence[str], *, drain: bool, timeout_s: float) -> None:
        """Stop some processors; the run ends with its last one."""
        async with self._turn:
            units = [self._unit(processor_id) for processor_id in processor_ids]
            await self._stop(units, drain=drain, timeout_s=timeout_s)
        self._look_whether_ended()

    async def restart(self, specs: Sequence[ProcessorSpec]) -> None:
        """Start processors that have stopped.

        Raises:
            UsageError: the run is ending.
        """
        if self._finishing:
            msg = "the run is at its end; app.run() starts it again"
            raise UsageError(msg)
        async with self._turn:
            await self._start([spec for spec in specs if self._has_ended(spec.id)])
        self._look_whether_ended()

    async def stop_all(self, *, drain: bool, timeout_s: float) -> None:
        """End the run; what the units leave of the time is for answers and what comes after it."""
        self._stopping, self._since = True, self._clock.time()
        if drain:
            await self._engine.ending()
        deadline = self._clock.now() + timeout_s
        async with self._turn:
            await self._stop(list(self.units.values()), drain=drain, timeout_s=timeout_s)
            left = deadline - self._clock.now() if drain else 0.0
            await self._engine.close(max(left, 0.0))
            await self._lifespan.end(deadline - self._clock.now())
        self._end()

    def ledger(self, processor_id: str) -> Ledger:
        """The book of a processor, made when first asked for."""
        if processor_id not in self.ledgers:
            self.ledgers[processor_id] = Ledger(
                processor_id, self._clock, self._emit, self._activity, self._run,
                trace_sampling=self.plan.trace_sampling,
            )  # fmt: skip
        return self.ledgers[processor_id]

    def snapshot(self) -> FlowSnapshot:
        """The run at this moment."""
        return FlowSnapshot(
            flow_id=self.plan.flow_id,
            stack=self.plan.env.stack,
            cloud=self.plan.env.cloud,
            state=self.state(),
            at=self._clock.time(),
            started_at=self.started_at,
            address=self.address,
            processors=tuple(unit.snapshot() for unit in self.units.values()),
            run_id=self.plan.run_id,
            drained=self.drained(),
            since=self._since,
        )

    def drained(self) -> bool:
        """Whether nothing is left to do, also for sources that never end."""
        units = self.units.values()
        return not self._coming_up and all(u.drained or u.ledger.state.ended for u in units)

    def state(self) -> State:
        """The run as a whole."""
        states = {unit.ledger.state for unit in self.units.values()}
        if not self.ended.is_set():
            going = State.STARTING if self._coming_up else State.RUNNING
            return State.DRAINING if self._stopping else going
        if State.FAILED in states:
            return State.FAILED
        return State.STOPPED if self._stopping or State.STOPPED in states else State.DONE

    async def send(self, processor_id: str, element: object) -> list[object]:
        """Run one element through a processor's live code, or a fresh instance if it has ended.

        Raises:
            UsageError: there is no such processor.
            Exception: whatever the code raised.
        """
        unit = self._unit(processor_id)
        if starting := self._starts.get(processor_id):
            await asyncio.wait([starting])
        if unit.ledger.state.ended:
            return await self._engine.send(unit.spec, element, unit.ledger)
        return await unit.send(element)

    async def retry(
        self, processor_id: str, wanted: RetryInput, spec: ProcessorSpec | None
    ) -> RetryResult:
        """Run one failed element through the real pipeline; `spec` is what is declared now.

        A consumer that is done has its sink opened for this one element.

        Raises:
            UsageError: the processor was removed, or does not work at this moment.
            TimeoutError: code or sink do not answer.
        """
        unit = self.units.get(processor_id)
        if unit is None or spec is None:
            msg = f"processor {processor_id!r} is not part of the run any more; declare it again"
            raise UsageError(msg)
        if starting := self._starts.get(processor_id):
            await asyncio.wait([starting], timeout=self._engine.swap_timeout_s)
        if unit.ledger.state is State.DONE and spec.kind == unit.spec.kind:
            return await self._engine.retry(spec, wanted, unit.ledger)
        if unit.ledger.state.ended and self.ended.is_set():
            msg = (
                f"{spec.kind} {processor_id!r} is {unit.ledger.state.value}, and so is the run; "
                "%buildflow run, or app.run(), starts it again, then retry; the failure is kept"
            )
            raise UsageError(msg)
        if unit.ledger.state.ended:
            raise not_ready(spec, unit.ledger)
        return await unit.retry(wanted)

    async def _start(self, specs: Sequence[ProcessorSpec]) -> None:
        await self._launch([await self._make(spec) for spec in specs])

    async def _launch(self, units: Sequence[Unit]) -> None:
        for unit in units:
            ended = self.units.get(unit.spec.id)
            if ended is not None:
                await ended.retire(0.0)  # a route whose sink broke is still mounted
            self._say_what_is_read_again(unit)
            self.units[unit.spec.id] = unit
            self._starts[unit.spec.id] = asyncio.create_task(self._bring_up(unit))
        if units:
            tasks = [self._starts[unit.spec.id] for unit in units]
            await asyncio.wait(tasks, timeout=START_GRACE_S + self._engine.start_s)

    def read_to_end(self) -> dict[str, object]:
        """What this run, or one before it, has read to its end, by processor."""
        sources = {name: unit.read_to_end for name, unit in self.units.items()}
        done = {name: source for name, source in sources.items() if source is not None}
        return {**self._read_before, **done}

    def notes(self) -> list[str]:
        """What a person has to know of the last starts, once."""
        found, self._notes = self._notes, []
        return found

    def _say_what_is_read_again(self, unit: Unit) -> None:
        text = _reading_again(self.read_to_end().get(unit.spec.id), unit.spec)
        if text:
            unit.ledger.open_with(text)
            self._notes.append(f"{unit.spec.id}: {text}")

    async def _bring_up(self, unit: Unit) -> None:
        try:
            await unit.start()
        except BaseException as error:  # the unit's boundary: user code and connections
            if is_cancel(error):
                raise
            unit.ledger.log.add("ERROR", f"could not start: {describe(error)}")
            unit.live.enter(State.FAILED, describe(error))
            self._look_whether_ended()

    async def _stop(self, units: Sequence[Unit], *, drain: bool, timeout_s: float) -> None:
        async def stop(unit: Unit) -> None:
            await self._end_start(unit.spec.id, timeout_s)
            await unit.stop(drain=drain, timeout_s=timeout_s)

        await asyncio.gather(*map(stop, units))

    async def _end_start(self, processor_id: str, timeout_s: float) -> None:
        starting = self._starts.pop(processor_id, None)
        if starting is not None and not starting.done():
            starting.cancel()
            await asyncio.wait([starting], timeout=timeout_s)

    def _has_ended(self, processor_id: str) -> bool:
        unit = self.units.get(processor_id)
        return unit is None or unit.ledger.state.ended

    async def _make(self, spec: ProcessorSpec) -> Unit:
        return await self._engine.unit(spec, self.ledger(spec.id), self._look_whether_ended)

    async def _replace(self, spec: ProcessorSpec) -> str:
        """Let new code take over; gives what to say of code that cannot."""
        old = self.units.get(spec.id)
        if old is None or old.ledger.state.ended:
            await self._start([spec])
            return ""
        unit: Unit | None = None
        try:
            if await old.swap(spec):
                old.ledger.remark("")
                return ""
            unit = await self._make(spec)
            await unit.prepare(old)
            await _to_its_end(self._put_in_place(old, unit))
        except BaseException as error:
            if unit is not None and self.units[spec.id] is old:
                await unit.stop(drain=False, timeout_s=0.0)
            if not isinstance(error, Exception):
                raise
            return self._stays(old, spec, error)
        return ""

    async def _refresh(self) -> str:
        """Take over code around requests; gives what to say of code that cannot be."""
        try:
            await self._engine.refresh()
        except BuildFlowError as error:
            return f"middleware stays as it was: {error}"
        return ""

    async def _put_in_place(self, old: Unit, unit: Unit) -> None:
        """Put a unit, of which more than the code differs, in the place of another."""
        old.live.end()
        await self._end_start(old.spec.id, self._engine.swap_timeout_s)
        await unit.take_over(old, self._engine.swap_timeout_s)
        self.units[old.spec.id] = unit
        unit.ledger.version += 1

    def _stays(self, old: Unit, spec: ProcessorSpec, error: Exception) -> str:
        """Note that the old unit stays at work, since the new one cannot."""
        text = f"the new code could not be set up, the old one keeps running: {describe(error)}"
        old.ledger.log.add("ERROR", text)
        old.ledger.remark(text)
        return f"{spec.kind} {spec.id!r}: {text}"

    async def _remove(self, processor_id: str) -> None:
        unit = self.units.pop(processor_id, None)
        if unit is not None:
            await self._stop([unit], drain=True, timeout_s=self._engine.swap_timeout_s)
            await unit.retire(0.0)  # a route that is stopped is known still
            del self.ledgers[processor_id]

    def _unit(self, processor_id: str) -> Unit:
        if processor_id not in self.units:
            msg = f"processor {processor_id!r} is not part of the run"
            raise UsageError(msg)
        return self.units[processor_id]

    def _look_whether_ended(self) -> None:
        """A run without routes ends with its last consumer.

        Not while a command changes units: what ends then may be replaced, and the command looks
        when it is done.
        """
        if self._turn.locked():
            return
        if self.units and all(unit.ledger.state.ended for unit in self.units.values()):
            self._finish()

    def _finish(self) -> None:
        """End, once nothing of the engine is left, and after what comes after a run."""
        if not self._lifespan.has_end and not self._engine.is_open:
            self._end()
        elif self._finishing is None:
            self._finishing = asyncio.create_task(self._end_well())

    async def _end_well(self) -> None:
        async with self._turn:
            await self._engine.close(ANSWERS_S)
            await self._lifespan.end()
        self._end()

    def _end(self) -> None:
        if not self.ended.is_set():
            self.ended.set()
            self._since = self._clock.time()
            self._emit(StateChanged(self._clock.time(), None, self.state(), ""))


async def _to_its_end(work: Coroutine[object, object, None]) -> None:
    """Await work that must not be left half done: a cancellation comes after it."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})  # which has a deadline of its own
        raise


def _reading_again(before: object | None, spec: ProcessorSpec) -> str:
    """What to say where a source that was read to its end is about to be read again; or "".

    Reading again writes again, and nothing in a table shows which rows stand there twice. So it is
    said before it happens, with what avoids it.
    """
    source = getattr(spec, "source", None)
    resumes = getattr(source, "resume", None)
    if before is None or source != before or resumes:
        return ""
    cure = "; with resume=True it goes on where it ended" if resumes is not None else ""
    said = f"{label_of(source)} was read to its end before, and is read again from its start"
    return f"{said}{cure}"
