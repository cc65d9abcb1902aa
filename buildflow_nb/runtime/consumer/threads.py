"""A consumer's replicas as threads of this process, and how they are scaled.

Threads help code that waits. Code that computes in Python keeps one core busy, however many threads
there are, so no more are made while one core is busy: that is said instead, with what helps. Where
code computes outside of Python more than one core is busy as soon as there are two replicas, and
more of them help.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec
from buildflow_nb.core.options import ConsumerOptions
from buildflow_nb.runtime.autoscale.sample import Load, Meter, Sample, Totals
from buildflow_nb.runtime.autoscale.scaler import Bounds, scales
from buildflow_nb.runtime.consumer.feeding import Feeding
from buildflow_nb.runtime.consumer.intake import Intake
from buildflow_nb.runtime.consumer.worker_pool import WorkerPool
from buildflow_nb.runtime.liveness import Waits
from buildflow_nb.runtime.observability.ledger import Ledger

__all__ = ("MOST", "Threads")

# Threads that wait cost little, but each replica of a class has an instance of its own, and all
# of them share one lock: as many as Python's own pools of threads have at most.
MOST = min(32, 4 * (os.cpu_count() or 1))
ONE_CORE = (0.85, 1.2)  # cores that a process uses where Python's lock is what it waits for
HELD = (
    "one core is busy, so more threads would not help; processes would, where they can share the "
    "source (%buildflow run --engine ray)"
)


@dataclass(kw_only=True, slots=True)
class Threads:
    """The replicas of one consumer, to be scaled; used on the loop only.

    `backlog` gives what the source has left, as far as it can tell; `cpu_s` the CPU seconds that
    the process has used.
    """

    spec: Callable[[], ConsumerSpec]
    pool: WorkerPool
    feeding: Feeding
    intake: Intake
    waits: Waits
    ledger: Ledger
    backlog: Callable[[], int | None]
    cpu_s: Callable[[], float] = time.process_time
    wanted: int = field(init=False)
    _used_s: float = field(init=False, default=0.0)
    _looked_at: float = field(init=False, default=0.0)
    _meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.wanted = self.options.num_replicas
        self._meter = Meter(0.0)

    def follow(self, before: Threads) -> None:
        """Begin with as many as those that are replaced, where both scale."""
        options = self.options
        if scales(options, threads=True) and scales(before.options, threads=True):
            most = min(options.max_replicas, self.bounds.most)
            self.wanted = min(max(before.wanted, options.min_replicas, 1), most)

    def begin(self) -> None:
        """Count from now on."""
        self._used_s, self._looked_at = self.cpu_s(), self.ledger.clock.now()
        self._meter = Meter(self._looked_at, self.load().totals)

    @property
    def options(self) -> ConsumerOptions:
        """Of what it runs."""
        return self.spec().options

    @property
    def bounds(self) -> Bounds:
        """One replica at least, since it is they that the pulls are for."""
        return Bounds(max(MOST, self.options.num_replicas), least=1, own_pulls=False)

    @property
    def replicas(self) -> int:
        """Those that are there."""
        return self.pool.replicas

    def load(self) -> Load:
        """Up to this moment, with what is under way."""
        metrics = self.ledger.metrics
        busy_s, push_s = self.feeding.totals()
        self.intake.count_in()
        done = metrics.taken.total - self.intake.in_flight.count
        faults = metrics.failed + metrics.retried
        totals = Totals(busy_s, push_s, done, metrics.failed, faults)
        sink_waits = self.waits.shows("sink")
        return Load(totals, len(self.pool), self.intake.at_bound, sink_waits)

    async def sample(self) -> Sample | None:
        """What has happened since the last look."""
        now, used_s = self.ledger.clock.now(), self.cpu_s()
        span_s = max(now - self._looked_at, 1e-3)
        cores = (used_s - self._used_s) / span_s
        self._looked_at, self._used_s = now, used_s
        low, high = ONE_CORE
        return self._meter.sample(
            now,
            self.load(),
            replicas=self.pool.replicas,
            backlog=self.backlog(),
            held=HELD if low <= cores < high else "",
        )

    async def scale(self, replicas: int) -> None:
        """Have so many; each that comes works as soon as it is set up.

        Raises:
            Exception: the setup of one failed; those before it stay.
        """
        self.wanted = replicas
        try:
            await self.feeding.scale(replicas)
        finally:
            self.wanted = self.pool.replicas
            self.intake.work_for(len(self.pool))
