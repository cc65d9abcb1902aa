"""What a replica can be asked by its run: the engine of one process, with units by name.

It is to a replica's process what the supervisor is to a run: it makes units, lets new code take
over, and looks at them. What is decided (which, how many, when) is decided by the run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress

from buildflow_nb.core.declaring.flow_spec import ProcessorSpec
from buildflow_nb.core.declaring.hooks import Hooks
from buildflow_nb.core.errors import UsageError
from buildflow_nb.runtime.concurrency.clock import SYSTEM
from buildflow_nb.runtime.http.listener import refuse_taken
from buildflow_nb.runtime.in_process import InProcess
from buildflow_nb.runtime.observability.failures import RetryInput, RetryResult
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.metrics import Activity
from buildflow_nb.runtime.plan import RunPlan
from buildflow_nb.runtime.replicas.looks import News
from buildflow_nb.runtime.replicas.messages import Look, LookRequest, Opening
from buildflow_nb.runtime.unit import Unit

__all__ = ("METHODS", "Work")

METHODS = frozenset(
    {
        *("open", "listen", "refresh", "start", "swap", "prepare", "take_over", "drop"),
        *("stop", "retire", "send", "retry", "look", "unready"),
    }
)


class Work:
    """The units of one replica, on its loop."""

    def __init__(self) -> None:
        self._engine: InProcess | None = None
        self._hooks: Hooks = {}
        self._units: dict[str, Unit] = {}
        self._coming: dict[str, Unit] = {}
        self._ledgers: dict[str, Ledger] = {}
        self._news: dict[str, News] = {}
        self._activity = Activity()
        self._seen = 0  # of the activity, at the last look
        self._known = -1  # the run's activity, as the last look told it

    async def open(self, opening: Opening) -> None:
        """Get ready for units, in the flow's folder if this machine has it.

        Code of a person's opens files by the names that they have there.

        Raises:
            ServeError: somebody else listens where routes are to be served.
        """
        with suppress(OSError):
            os.chdir(opening.env.folder)
        if opening.serves and opening.first:
            refuse_taken(opening.host, opening.port)
        self._hooks = opening.hooks
        plan = RunPlan(
            opening.flow_id,
            opening.env,
            opening.host,
            opening.port,
            run_id=opening.run_id,
            body_bytes=opening.body_bytes,
            hooks=lambda: self._hooks,
            port_is_shared=True,
            trace_sampling=opening.trace_sampling,
        )
        self._engine = InProcess(plan)

    async def listen(self, port: int | None = None) -> str:
        """Serve routes, now that they are there, where other replicas do; the address.

        Raises:
            ServeError: the port cannot be had.
        """
        await self._made.serve(port)
        return self._made.address or ""

    async def refresh(self, hooks: Hooks) -> None:
        """Take over the flow's code around requests.

        Raises:
            BuildFlowError: it cannot be used; what was there before stays.
        """
        before, self._hooks = self._hooks, hooks
        try:
            await self._made.refresh()
        except BaseException:
            self._hooks = before
            raise

    async def start(self, spec: ProcessorSpec) -> None:
        """Begin with a processor.

        Raises:
            Exception: its setup failed.
        """
        unit = await self._made.unit(spec, self._ledger(spec.id), lambda: None)
        before = self._units.get(spec.id)
        if before is not None:
            await before.retire(0.0)
        self._units[spec.id] = unit
        await unit.start()

    async def swap(self, spec: ProcessorSpec) -> bool:
        """Let new code take over without a gap; False where only a restart will do.

        Raises:
            Exception: its setup failed; the old code still runs.
        """
        return await self._unit(spec.id).swap(spec)

    async def prepare(self, spec: ProcessorSpec) -> None:
        """Set a successor up, unseen.

        Raises:
            Exception: its setup failed; what was there goes on.
        """
        unit = await self._made.unit(spec, self._ledger(spec.id), lambda: None)
        try:
            await unit.prepare(self._units.get(spec.id))
        except BaseException:
            await unit.stop(drain=False, timeout_s=0.0)
            raise
        self._coming[spec.id] = unit

    async def take_over(self, processor_id: str, timeout_s: float) -> None:
        """Let the successor be the processor."""
        unit = self._coming.pop(processor_id)
        before = self._units.get(processor_id)
        await unit.take_over(before, timeout_s)
        self._units[processor_id] = unit

    async def drop(self, processor_id: str) -> None:
        """Forget the successor: another replica could not set it up."""
        unit = self._coming.pop(processor_id, None)
        if unit is not None:
            await unit.stop(drain=False, timeout_s=0.0)

    async def stop(self, processor_ids: Sequence[str], drain: bool, timeout_s: float) -> None:
        """End processors."""
        units = [self._units[name] for name in processor_ids if name in self._units]
        await asyncio.gather(*(unit.stop(drain=drain, timeout_s=timeout_s) for unit in units))

    async def retire(self, processor_id: str, timeout_s: float) -> None:
        """End a processor that goes on elsewhere."""
        unit = self._units.pop(processor_id, None)
        if unit is not None:
            await unit.retire(timeout_s)

    async def send(self, processor_id: str, element: object) -> list[object]:
        """Run one element through the code.

        Raises:
            Exception: whatever it raised.
        """
        return await self._unit(processor_id).send(element)

    async def retry(self, processor_id: str, wanted: RetryInput) -> RetryResult:
        """Run one failed element through the code and into the sink.

        Raises:
            UsageError: it does not work at this moment.
            TimeoutError: the sink does not take it for now.
        """
        return await self._unit(processor_id).retry(wanted)

    async def look(self, request: LookRequest) -> Look:
        """All that is asked for, and what is new of it.

        What was found empty before the run moved has to be found empty again.
        """
        moved = self._activity.count != self._seen
        if request.activity != self._known:
            self._known = request.activity
            self._activity.stir()
        found = {
            name: self._news[name].of(self._units[name], asked)
            for name, asked in request.asked.items()
            if name in self._units
        }
        self._seen = self._activity.count
        return Look(request.activity, moved, found)

    async def unready(self) -> None:
        """Say to load balancers that no more requests are to come."""
        await self._made.unready()

    async def close(self, grace_s: float) -> None:
        """End everything."""
        await self.stop(tuple(self._units), True, grace_s)
        if self._engine is not None:
            await self._engine.close(1.0)

    @property
    def _made(self) -> InProcess:
        if self._engine is None:
            msg = "the replica was not opened"
            raise UsageError(msg)
        return self._engine

    def _unit(self, processor_id: str) -> Unit:
        unit = self._units.get(processor_id)
        if unit is None:
            msg = f"{processor_id!r} is not in this replica any more; try it again"
            raise UsageError(msg)
        return unit

    def _ledger(self, processor_id: str) -> Ledger:
        if processor_id not in self._ledgers:
            rate = self._made.trace_sampling
            ledger = Ledger(processor_id, SYSTEM, activity=self._activity, trace_sampling=rate)
            self._ledgers[processor_id] = ledger
            self._news[processor_id] = News(ledger)
        return self._ledgers[processor_id]
