"""How busy a processor was between two looks at it, from totals that only grow.

Totals are plain sums, so those of several replicas are added before a meter sees them.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("LOOK_S", "Load", "Meter", "Sample", "Totals")

LOOK_S = 5.0  # seconds between two looks: rates are steady enough, and a burst is seen in time


@dataclass(frozen=True, slots=True)
class Sample:
    """One look; rates and shares (0..1) are of the time since the look before.

    `replicas` are at work. `backlog` is None where the source cannot tell. `out_per_s` counts what
    was done with, whatever it gave. `busy` is the share of workers' time in code, `push` that of
    waiting for the sink; `sink_waits` says that the sink cannot be written at all. `in_flight`
    counts requests, `faults` is the share of tries that failed. `held` is why more replicas would
    not help, or cannot be had, where whoever looks knows that.
    """

    at_s: float
    replicas: int
    backlog: int | None = None
    out_per_s: float = 0.0
    busy: float = 0.0
    push: float = 0.0
    sink_waits: bool = False
    in_flight: int = 0
    faults: float = 0.0
    held: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums since the start: seconds of workers in code and at the sink; elements; failed tries."""

    busy_s: float = 0.0
    push_s: float = 0.0
    done: int = 0
    failed: int = 0
    faults: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """What a unit has done until now, and how it stands.

    `at_bound` says that nothing is taken in until something is settled: then workers that are not
    in code wait for the sink, which `sink_waits` if it cannot be written at all.
    """

    totals: Totals = Totals()
    workers: int = 1
    at_bound: bool = False
    sink_waits: bool = False


class Meter:
    """Makes samples of totals.

    Where totals went down (replicas were lost), nothing is taken to have happened.
    """

    def __init__(self, at_s: float, totals: Totals | None = None) -> None:
        self._at_s = at_s
        self._before = totals or Totals()

    def sample(  # noqa: PLR0913  (a look has that much to tell)
        self,
        at_s: float,
        load: Load,
        *,
        replicas: int,
        backlog: int | None = None,
        in_flight: int = 0,
        held: str = "",
    ) -> Sample:
        """What happened since the sample before."""
        totals = load.totals
        before, span = self._before, max(at_s - self._at_s, 1e-3)
        self._before, self._at_s = totals, at_s
        time_s = span * max(load.workers, 1)
        busy = _share(totals.busy_s - before.busy_s, time_s)
        push = _share(totals.push_s - before.push_s, time_s)
        done = max(totals.done - before.done, 0)
        faults = max(totals.faults - before.faults, 0)
        good = max(done - max(totals.failed - before.failed, 0), 0)
        return Sample(
            at_s=at_s,
            replicas=replicas,
            backlog=backlog,
            out_per_s=done / span,
            busy=busy,
            push=1.0 - busy if load.at_bound else min(push, 1.0 - busy),
            sink_waits=load.sink_waits,
            in_flight=in_flight,
            faults=_share(faults, faults + good),
            held=held,
        )


def _share(part: float, whole: float) -> float:
    return min(max(part / whole, 0.0), 1.0) if whole else 0.0
