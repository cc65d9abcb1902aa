"""Many replicas of a processor as one: what adds up is summed, and nothing is made up.

Quantiles come from summed histograms, since those of replicas do not add up. Every replica sees the
whole queue, so the backlog is the largest that one of them saw. Histories end now, each by its own
machine's clock, so they are laid over each other at their ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from buildflow_nb.core.status.snapshot import HISTORY_S, ProcessorSnapshot, State
from buildflow_nb.runtime.observability.metrics import Counted, Metrics, quantiles_of
from buildflow_nb.runtime.replicas.messages import UnitLook

__all__ = ("ENDS", "absorb", "counted", "merged", "state_of")

_BEST_FIRST = (
    *(State.RUNNING, State.WAITING, State.STARTING, State.DRAINING, State.PENDING),
    *(State.FAILED, State.STOPPED, State.DONE),
)
ENDS = frozenset(state for state in State if state.ended)


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a processor that is the state of several replicas."""

    state: State
    reason: str


def state_of(looks: Sequence[UnitLook]) -> Standing:
    """That of the replica that does best; one that failed is told where no other works."""
    best = min(looks, key=lambda look: _BEST_FIRST.index(look.shot.state)).shot
    return Standing(best.state, best.reason)


def merged(own: ProcessorSnapshot, looks: Sequence[UnitLook]) -> ProcessorSnapshot:
    """A processor's snapshot: the run's own part, with what replicas that are gone have done."""
    if not looks:
        return replace(own, in_per_s=0.0, out_per_s=0.0)
    shots = [look.shot for look in looks]

    def total(name: str) -> Any:
        return sum(getattr(shot, name) for shot in shots)

    p50, p95, p99 = quantiles_of([look.counts for look in looks], 0.5, 0.95, 0.99)
    codes: dict[int, int] = dict(own.codes)
    for code, count in (pair for shot in shots for pair in shot.codes):
        codes[code] = codes.get(code, 0) + count
    rows = zip_longest(*(reversed(shot.history) for shot in shots), fillvalue=0)
    history = tuple(map(sum, rows))[:HISTORY_S]
    return replace(
        own,
        elements_in=own.elements_in + total("elements_in"),
        elements_out=own.elements_out + total("elements_out"),
        dropped=own.dropped + total("dropped"),
        retried=own.retried + total("retried"),
        in_flight=total("in_flight"),
        backlog=max((shot.backlog for shot in shots if shot.backlog is not None), default=None),
        in_per_s=total("in_per_s"),
        out_per_s=total("out_per_s"),
        p50_s=p50,
        p95_s=p95,
        p99_s=p99,
        codes=tuple(sorted(codes.items())),
        history=history[::-1],
        quiet_s=min((shot.quiet_s for shot in shots if shot.quiet_s is not None), default=None),
    )


def counted(own: Counted, looks: Sequence[UnitLook]) -> Counted:
    """What a processor has counted: the run's own part, with that of its replicas.

    What has failed is in the run's own, which keeps every failure.
    """
    if not looks:
        return own._replace(in_flight=0)
    shots = [look.shot for look in looks]
    backlogs = [shot.backlog for shot in shots if shot.backlog is not None]
    codes = dict(own.codes)
    for code, count in (pair for shot in shots for pair in shot.codes):
        codes[code] = codes.get(code, 0) + count
    return Counted(
        own.taken + sum(shot.elements_in for shot in shots),
        own.given + sum(shot.elements_out for shot in shots),
        own.failed,
        sum(shot.in_flight for shot in shots),
        max(backlogs, default=None),
        own.dropped + sum(shot.dropped for shot in shots),
        own.retried + sum(shot.retried for shot in shots),
        codes,
    )


def absorb(metrics: Metrics, look: UnitLook) -> None:
    """Keep what a replica that is gone has done, as far as its last look told."""
    shot = look.shot
    metrics.taken.total += shot.elements_in
    metrics.given.total += shot.elements_out
    metrics.dropped += shot.dropped
    metrics.retried += shot.retried
    metrics.busy_s += look.load.totals.busy_s
    metrics.push_s += look.load.totals.push_s
    for code, count in shot.codes:
        metrics.codes[code] = metrics.codes.get(code, 0) + count
