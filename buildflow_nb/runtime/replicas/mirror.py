"""The run's ledger, kept by what looks at replicas bring: whatever shows it needs no word of them.

Each replica counts its lines and failures by itself, so a mirror is of one processor in one of
them. What it brings names the replica where there may be several.
"""

from __future__ import annotations

from typing import Any

from buildflow_nb.core.status.snapshot import Passage
from buildflow_nb.runtime.observability.failures import Fault
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.visits import Visit, keepable
from buildflow_nb.runtime.replicas.messages import Asked, FailureSeen, UnitLook
from buildflow_nb.runtime.replicas.traced import visit_of
from buildflow_nb.runtime.shipping import unpack

__all__ = ("Mirror",)


class Mirror:
    """Takes looks at one processor in one replica; used on the loop."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self._ledger = ledger
        self._name = name  # "" where there is but one
        self._lines = self._failures = self._failed = 0

    def asked(self) -> Asked:
        """What the next look is to bring."""
        ledger = self._ledger
        recorder = ledger.recorder
        wanted = 0 if recorder is None or recorder.full.is_set() else recorder.wanted
        passages = ledger.passages.maxlen or 0
        return Asked(passages, self._lines, self._failures, wanted)

    def take(self, look: UnitLook) -> None:
        """Write down what is new."""
        ledger = self._ledger
        prefix = f"{self._name}: " if self._name else ""
        ledger.log.take((at, level, prefix + text) for at, level, text in look.lines)
        self._lines = look.lines_at
        for seen in look.passages:
            pair: Any = unpack(seen.shown)  # as looks.py packs it
            element, results = pair
            ledger.passages.append(Passage(seen.at, element, results, seen.seconds))
        visits = self._visits(look)
        for failure in look.failures:
            fault = self._fault(failure, visits.get(failure.number))
            ledger.adopt(fault, failure.at, failure.fate)
        self._failures = look.failures_at
        unseen = look.shot.failed - self._failed - len(look.failures)
        ledger.metrics.failed += unseen
        ledger.metrics.failures += max(unseen, 0)
        ledger.metrics.latency.add_fresh(look.fresh, look.fresh_s)
        ledger.metrics.parts.take(ledger.clock.now(), look.parts)
        self._failed = look.shot.failed
        if ledger.recorder is not None:
            ledger.recorder.take_lines(look.recorded)

    def _visits(self, look: UnitLook) -> dict[int, Visit]:
        """Keep what was traced there; gives those that ended as failures, by their number there."""
        traces, found = self._ledger.traces, {}
        for seen in look.visits:
            visit = visit_of(seen, self._ledger, self._name)
            if seen.failed_in is not None:
                traces.fail(visit)
            else:
                traces.add(visit)
            if seen.failure is not None:
                found[seen.failure] = visit
        return found

    def _fault(self, seen: FailureSeen, visit: Visit | None) -> Fault:
        found = unpack(seen.packed)
        assert isinstance(found, Fault)  # noqa: S101  (looks.py packs it)
        if visit is not None:
            visit.value = keepable(self._ledger.redaction.raw(found.element))
        origin = ", ".join(filter(None, (found.origin, self._name)))
        return Fault(
            found.element,
            found.error,
            found.tries,
            origin or None,
            found.call,
            told=(seen.error, seen.traceback),
            visit=visit,
        )
