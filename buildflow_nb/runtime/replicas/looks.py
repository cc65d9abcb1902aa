"""What is new of one processor in its replica since the last look; bounded in number and bytes."""

from __future__ import annotations

from itertools import islice

from buildflow_nb.core.status.snapshot import Passage
from buildflow_nb.runtime.observability.failures import FailureRecord
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.recording import Recorder
from buildflow_nb.runtime.replicas.messages import Asked, FailureSeen, PassageSeen, UnitLook
from buildflow_nb.runtime.replicas.traced import new_visits
from buildflow_nb.runtime.shipping import pack_shown
from buildflow_nb.runtime.unit import Unit

__all__ = ("News",)

PASSAGE_BYTES = 1 << 20  # of what is shown, in one look, unless somebody taps it
TAP_BYTES = 16 << 20
LINES = 2_000
FAILURES = 200
FAILURE_BYTES = 16 << 20  # of failures in one look; the next ones come with the next


class News:
    """Remembers what of one ledger was brought already; used on the loop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._last: Passage | None = None
        self._latency_s = 0.0
        self._second = 0  # from which on times were not brought yet

    def of(self, unit: Unit, asked: Asked) -> UnitLook:
        """The processor at this moment, with what is new."""
        ledger = self._ledger
        ledger.keep_last(asked.passages)
        recorded = self._recorded(asked.inputs)
        failures, number = self._failures(asked.failures)
        lines = ledger.log.lines(asked.lines)[-LINES:]
        known_s, self._latency_s = self._latency_s, ledger.metrics.latency.sum_s
        return UnitLook(
            shot=unit.snapshot(),
            counts=ledger.metrics.latency.counts(),
            drained=unit.drained,
            load=unit.load(),
            passages=self._passages(asked.passages),
            failures=failures,
            failures_at=number,
            lines=tuple((line.at, line.level, line.text) for line in lines),
            lines_at=lines[-1].number if lines else asked.lines,
            recorded=recorded,
            fresh=ledger.metrics.latency.take_fresh(),
            fresh_s=self._latency_s - known_s,
            parts=self._parts(),
            visits=new_visits(ledger) if ledger.traces.rate else (),
        )

    def _parts(self) -> tuple[float, ...]:
        ledger = self._ledger
        sums, self._second = ledger.metrics.parts.since(self._second, ledger.clock.now())
        return sums if sums.elements or sums.pushes else ()

    def _passages(self, most: int) -> tuple[PassageSeen, ...]:
        new: list[Passage] = []
        for passage in reversed(self._ledger.passages):
            if passage is self._last:
                break
            new.append(passage)
        if not new:
            return ()
        self._last = new[0]
        left = PASSAGE_BYTES if most <= FAILURES else TAP_BYTES
        found: list[PassageSeen] = []
        for passage in new:
            shown = pack_shown((passage.element, passage.results))
            left -= len(shown)
            if left < 0 and found:
                break  # older ones are let go, as they would be by newer ones
            found.append(PassageSeen(passage.at, passage.seconds, shown))
        return tuple(reversed(found))

    def _failures(self, after: int) -> tuple[tuple[FailureSeen, ...], int]:
        found: list[FailureSeen] = []
        left = FAILURE_BYTES
        for record in islice((r for r in self._ledger.failures if r.number > after), FAILURES):
            seen = _seen(record)
            left -= len(seen.packed)
            if left < 0 and found:
                break
            found.append(seen)
            after = record.number
        return tuple(found), after

    def _recorded(self, wanted: int) -> tuple[str, ...]:
        """The lines of a recording since the last look; one is begun, or ended, as it is wanted."""
        ledger = self._ledger
        recorder = ledger.recorder
        if not wanted:
            ledger.recorder = None
        elif recorder is None and not ledger.state.ended:
            ledger.recorder = Recorder(wanted)
        if recorder is None:
            return ()
        found, recorder.lines = recorder.lines, []
        return tuple(found)


def _seen(record: FailureRecord) -> FailureSeen:
    packed = pack_shown(record.fault())
    told = record.error, record.traceback
    return FailureSeen(record.at, record.fate, *told, packed, record.number)
