"""How many replicas one processor is to have: what the scaler sees of it, and what it may ask for.

Where it has none, since nothing was to be done, the run asks the source itself whether there is
something again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.options import Options
from buildflow_nb.core.primitive import Env
from buildflow_nb.runtime.autoscale.sample import Load, Meter, Sample, Totals
from buildflow_nb.runtime.autoscale.scaler import Bounds, Scaler, scales
from buildflow_nb.runtime.concurrency.calls import contained
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.replicas.messages import UnitLook

__all__ = ("Scaling", "Spread")

ASK_SOURCE_S = 20.0


class Spread(Protocol):
    """A processor in its replicas, as it is scaled."""

    ledger: Ledger

    @property
    def spec(self) -> ProcessorSpec:
        """What it runs at this moment."""
        ...

    @property
    def looks(self) -> list[UnitLook]:
        """What its replicas looked like last."""
        ...

    @property
    def wanted(self) -> int:
        """How many replicas it asks for."""
        ...

    @property
    def waits_for(self) -> str:
        """Why a replica that is to start cannot."""
        ...

    def want(self, replicas: int) -> None:
        """Ask for so many from now on."""
        ...


class Scaling:
    """Scales one processor, if its options say so, from `begin` to `end`; used on the loop."""

    def __init__(self, of: Spread, env: Env) -> None:
        self._of = of
        self._env = env
        self._meter = Meter(of.ledger.clock.now())
        self._scaler = Scaler(self, of.ledger.log, of.ledger.clock)
        self._task: asyncio.Task[None] | None = None
        self.asleep_backlog: int | None = None
        """What there was to be done, when the source was asked last, while nobody works."""

    @property
    def why(self) -> str:
        """Why there are as many replicas as there are."""
        return self._scaler.why if self._task is not None else ""

    def begin(self) -> None:
        """Scale from now on, or no more, as the options of this moment say."""
        # A front answers thousands of requests a second, so it is told when one is not enough.
        if not scales(self.options, threads=not isinstance(self._of.spec, ConsumerSpec)):
            self.end()
        elif self._task is None:
            self._meter = Meter(self._of.ledger.clock.now(), self._load().totals)
            self._task = asyncio.create_task(self._scaler.run())

    def end(self) -> None:
        """Leave their number as it is."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    # -- for the scaler ------------------------------------------------------------------------

    @property
    def options(self) -> Options:
        """Of what it runs."""
        return self._of.spec.options

    @property
    def bounds(self) -> Bounds:
        """Nobody but the cluster bounds them; who answers requests cannot be woken by one."""
        return Bounds(self.options.max_replicas, int(not isinstance(self._of.spec, ConsumerSpec)))

    @property
    def wanted(self) -> int:
        """How many it asks for."""
        return self._of.wanted

    async def sample(self) -> Sample:
        """What has happened since the last look."""
        of, load = self._of, self._load()
        looks = of.looks
        self.asleep_backlog = None
        if looks or of.wanted:
            backlogs = [look.shot.backlog for look in looks if look.shot.backlog is not None]
            backlog = max(backlogs, default=None)
        else:
            backlog = self.asleep_backlog = await _backlog(of.spec, self._env)
        return self._meter.sample(
            of.ledger.clock.now(),
            load,
            replicas=len(looks),
            backlog=backlog,
            in_flight=sum(look.shot.in_flight for look in looks),
            held=of.waits_for and f"another replica {of.waits_for}",
        )

    async def scale(self, replicas: int) -> None:
        """Ask for so many; they come, and go, by themselves."""
        self._of.want(replicas)

    def _load(self) -> Load:
        """All replicas together, with what those have done that are gone."""
        loads = [look.load for look in self._of.looks]
        gone = self._of.ledger.metrics
        return Load(
            Totals(
                gone.busy_s + _sum(loads, lambda totals: totals.busy_s),
                gone.push_s + _sum(loads, lambda totals: totals.push_s),
                gone.taken.total + int(_sum(loads, lambda totals: totals.done)),
                gone.failed,
                gone.failed + gone.retried + int(_sum(loads, lambda t: t.faults - t.failed)),
            ),
            sum(load.workers for load in loads),
            bool(loads) and all(load.at_bound for load in loads),
            bool(loads) and all(load.sink_waits for load in loads),
        )


def _sum(loads: Iterable[Load], of: Callable[[Totals], float]) -> float:
    return sum(of(load.totals) for load in loads)


async def _backlog(spec: ProcessorSpec, env: Env) -> int | None:
    """What the source has left.

    Raises:
        Exception: it cannot be asked.
    """
    assert isinstance(spec, ConsumerSpec)  # noqa: S101  (no other has no replica)
    readable: Any = spec.source

    async def ask() -> int | None:
        async with asyncio.timeout(ASK_SOURCE_S), readable.source(env) as source:
            found: int | None = await source.backlog()
            return found

    return await contained(ask())
