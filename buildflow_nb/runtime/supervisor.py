"""Keeps the units of one run: starts, swaps, stops and restarts them, and says how they are.

Runs on the loop thread. Commands that change units take turns, so that two cells that register
the same processor at once cannot interleave. What happens to one unit never ends another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.declaring.registry import Changes
from buildflow_nb.core.errors import RunError, UsageError
from buildflow_nb.core.events import Event, StateChanged
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.status.snapshot import FlowSnapshot, State
from buildflow_nb.runtime.activity import Activity
from buildflow_nb.runtime.concurrency.calls import is_cancel
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.consumer.consumer import Consumer
from buildflow_nb.runtime.consumer.manual_retry import Redone, not_ready, redo_alone
from buildflow_nb.runtime.http.serving import Serving
from buildflow_nb.runtime.observability.kept import Again
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.tracebacks import describe
from buildflow_nb.runtime.reading_again import reading_again
from buildflow_nb.runtime.runtime_server import RuntimeServerPlan
from buildflow_nb.runtime.trial import send_alone
from buildflow_nb.runtime.unit import Unit

if TYPE_CHECKING:
    from buildflow_nb.runtime.http.runtime_server import RuntimeServer

__all__ = ("RunPlan", "Supervisor")

START_GRACE_S = 1.0  # most setups are done by then, and what is shown first is then true
SWAP_TIMEOUT_S = 30.0  # for the old processor to finish what is in flight


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run needs to know besides the processors."""

    flow_id: str
    env: Env
    host: str = "127.0.0.1"
    port: int = 8000
    control: RuntimeServerPlan | None = None
    run_id: str = ""
    read_before: Mapping[str, object] = field(default_factory=dict)
    """What earlier runs have read to its end, by processor."""
    body_bytes: int | None = None
    """What all requests may hold together; the server's own bound where it is None."""


class Supervisor:
    """The units of a run, by processor id."""

    def __init__(self, plan: RunPlan, clock: Clock, emit: Callable[[Event], None]) -> None:
        self.plan = plan
        self.units: dict[str, Unit] = {}
        self.ledgers: dict[str, Ledger] = {}
        self.started_at = self._since = clock.time()
        self.ended = asyncio.Event()
        self._clock = clock
        self._emit = emit
        self._activity = Activity()
        self._read_before = dict(plan.read_before)
        self._notes: list[str] = []
        self._starts: dict[str, asyncio.Task[None]] = {}
        self._serving = Serving(plan.flow_id, plan.host, plan.port, plan.env, plan.body_bytes)
        self._control: RuntimeServer | None = None
        self._closing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._stopping = False

    @property
    def address(self) -> str | None:
        """Where routes are served, if any are."""
        return self._serving.address

    @property
    def control_address(self) -> str | None:
        """Where the runtime server listens, if there is one."""
        return None if self._control is None else self._control.address

    async def start(self, specs: Sequence[ProcessorSpec]) -> None:
        """Start every processor; one whose own setup fails is FAILED and the others go on.

        Returns when all are up, or soon: a setup that takes its time goes on behind.

        Raises:
            ServeError: a port cannot be had; nothing is left running.
        """
        async with self._turn:
            if self.plan.control is not None:
                from buildflow_nb.runtime.http.runtime_server import RuntimeServer

                control = RuntimeServer(self.plan.control, self)
                await control.start()
                self._control = control
            if any(not isinstance(spec, ConsumerSpec) for spec in specs):
                await self._serving.start()
            await self._start(specs)
        self._look_whether_ended()

    async def apply(self, changes: Changes, specs: Mapping[str, ProcessorSpec]) -> None:
        """Bring the units in line with what was declared since.

        Raises:
            RunError: new code could not be set up, so the old one goes on; all else is in line.
        """
        async with self._turn:
            if self._stopping or self.ended.is_set():
                return
            for processor_id in changes.removed:
                await self._remove(processor_id)
            said = [await self._replace(specs[processor_id]) for processor_id in changes.replaced]
            await self._start([specs[processor_id] for processor_id in changes.added])
        self._look_whether_ended()
        if any(said):
            raise RunError("; ".join(filter(None, said)))

    async def stop(self, processor_ids: Sequence[str], *, drain: bool, timeout_s: float) -> None:
        """Stop some processors; the run ends with its last one."""
        async with self._turn:
            units = [self._unit(processor_id) for processor_id in processor_ids]
            await asyncio.gather(
                *(self._stop(unit, drain=drain, timeout_s=timeout_s) for unit in units)
            )
        self._look_whether_ended()

    async def restart(self, specs: Sequence[ProcessorSpec]) -> None:
        """Start processors that have stopped."""
        async with self._turn:
            await self._start([spec for spec in specs if self._has_ended(spec.id)])
        self._look_whether_ended()

    async def stop_all(self, *, drain: bool, timeout_s: float) -> None:
        """End the run."""
        self._stopping, self._since = True, self._clock.time()
        async with self._turn:
            units = list(self.units.values())
            await asyncio.gather(
                *(self._stop(unit, drain=drain, timeout_s=timeout_s) for unit in units)
            )
            await self._serving.stop(timeout_s if drain else 0)
        self._end()

    def ledger(self, processor_id: str) -> Ledger:
        """The book of a processor, made when first asked for."""
        if processor_id not in self.ledgers:
            self.ledgers[processor_id] = Ledger(
                processor_id, self._clock, self._emit, self._activity
            )
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
        return all(unit.drained or unit.ledger.state.ended for unit in self.units.values())

    def state(self) -> State:
        """The run as a whole."""
        states = {unit.ledger.state for unit in self.units.values()}
        if not self.ended.is_set():
            return State.DRAINING if self._stopping else State.RUNNING
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
        starting = self._starts.get(processor_id)
        if starting is not None:
            await asyncio.wait([starting])
        if unit.ledger.state.ended:
            return await send_alone(unit.spec, element, unit.ledger.log)
        return await unit.send(element)

    async def redo(self, processor_id: str, again: Again, spec: ProcessorSpec | None) -> Redone:
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
        starting = self._starts.get(processor_id)
        if starting is not None:
            await asyncio.wait([starting], timeout=SWAP_TIMEOUT_S)
        if unit.ledger.state is State.DONE and isinstance(spec, ConsumerSpec):
            return await redo_alone(spec, again, self.plan.env, unit.ledger, self._clock)
        if unit.ledger.state.ended and self.ended.is_set():
            msg = (
                f"{spec.kind} {processor_id!r} is {unit.ledger.state.value}, and so is the run; "
                "%buildflow run, or app.run(), starts it again, then retry; the failure is kept"
            )
            raise UsageError(msg)
        if unit.ledger.state.ended:
            raise not_ready(spec, unit.ledger)
        return await unit.redo(again)

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
            await asyncio.wait(tasks, timeout=START_GRACE_S)

    def read_to_end(self) -> dict[str, object]:
        """What this run, or one before it, has read to its end, by processor."""
        done = {
            name: unit.spec.source
            for name, unit in self.units.items()
            if isinstance(unit.spec, ConsumerSpec) and unit.ledger.state is State.DONE
        }
        return {**self._read_before, **done}

    def notes(self) -> list[str]:
        """What a person has to know of the last starts, once."""
        found, self._notes = self._notes, []
        return found

    def _say_what_is_read_again(self, unit: Unit) -> None:
        text = reading_again(self.read_to_end().get(unit.spec.id), unit.spec)
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

    async def _stop(self, unit: Unit, *, drain: bool, timeout_s: float) -> None:
        await self._end_start(unit.spec.id, timeout_s)
        await unit.stop(drain=drain, timeout_s=timeout_s)

    async def _end_start(self, processor_id: str, timeout_s: float) -> None:
        starting = self._starts.pop(processor_id, None)
        if starting is not None and not starting.done():
            starting.cancel()
            await asyncio.wait([starting], timeout=timeout_s)

    def _has_ended(self, processor_id: str) -> bool:
        unit = self.units.get(processor_id)
        return unit is None or unit.ledger.state.ended

    async def _make(self, spec: ProcessorSpec) -> Unit:
        ledger = self.ledger(spec.id)
        if isinstance(spec, ConsumerSpec):
            unit = Consumer(spec, self._env_of(spec.id), ledger, self._clock)
            unit.on_end = self._look_whether_ended
            return unit
        return await self._serving.unit(spec, ledger)

    def _env_of(self, processor_id: str) -> Env:
        """The environment of one processor, with a folder for positions that is its own."""
        env = self.plan.env
        if env.positions is None:
            return env
        names = (quote(name, safe="") for name in (self.plan.flow_id, processor_id))
        return replace(env, positions=env.positions.joinpath(*names))

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
            return self._kept(old, spec, error)
        return ""

    async def _put_in_place(self, old: Unit, unit: Unit) -> None:
        """Put a unit, of which more than the code differs, in the place of another."""
        old.live.end()
        await self._end_start(old.spec.id, SWAP_TIMEOUT_S)
        await unit.take_over(old, SWAP_TIMEOUT_S)
        self.units[old.spec.id] = unit
        unit.ledger.version += 1

    def _kept(self, old: Unit, spec: ProcessorSpec, error: Exception) -> str:
        """Note that the old unit stays at work, since the new one cannot."""
        text = f"the new code could not be set up, the old one keeps running: {describe(error)}"
        old.ledger.log.add("ERROR", text)
        old.ledger.remark(text)
        return f"{spec.kind} {spec.id!r}: {text}"

    async def _remove(self, processor_id: str) -> None:
        unit = self.units.pop(processor_id, None)
        if unit is not None:
            await self._stop(unit, drain=True, timeout_s=SWAP_TIMEOUT_S)
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
            self._end()

    def _end(self) -> None:
        if not self.ended.is_set():
            self.ended.set()
            self._since = self._clock.time()
            if self._control is not None:
                self._closing = asyncio.create_task(self._control.stop())
            self._emit(StateChanged(self._clock.time(), None, self.state(), ""))


async def _to_its_end(work: Coroutine[object, object, None]) -> None:
    """Await work that must not be left half done: a cancellation comes after it."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})  # which has a deadline of its own
        raise
