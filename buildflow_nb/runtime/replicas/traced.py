"""Visits of a replica as its run keeps them: by value, on the run's own clock.

The clocks of two processes have nothing in common but the time of day, so times travel as seconds
since the epoch. What was noted of a call comes as it is; elements come as they may be shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from buildflow_nb.core.status.traces import Part
from buildflow_nb.core.trace_context import TraceContext
from buildflow_nb.runtime.observability.call_notes import CallNotes, Written
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.visits import FAILED, LET_GO, Visit, Worked
from buildflow_nb.runtime.shipping import pack_shown, unpack

__all__ = ("VisitSeen", "new_visits", "visit_of")

VISITS = 60  # in one look; of more, the newest
VISIT_BYTES = 1 << 20
ONE_BYTES = 1 << 16  # of one element, with what it became


@dataclass(frozen=True, slots=True)
class VisitSeen:
    """A visit that is over; all times are seconds since the epoch. `shown` is packed.

    `failure` is the number that its failure has in the replica.
    """

    pulled: float
    tries: int
    trace_id: str
    span_id: str
    context: TraceContext | None
    sampled: bool
    worked: Worked | None
    call: tuple[float, float | None, Sequence[tuple[float, str, str]]] | None
    call_written: tuple[Written, ...]
    written: tuple[Written, ...]
    ended: float | None
    error: str
    failed_in: Part | None
    fate: str
    failure: int | None
    origin: str
    sink_id: str
    shown: bytes


def new_visits(ledger: Ledger) -> tuple[VisitSeen, ...]:
    """Those of a replica that are over and were not brought yet, oldest first."""
    over = [each for each in ledger.traces.visits() if not each.brought and _is_over(each)]
    epoch, left = _epoch(ledger), VISIT_BYTES
    found: list[VisitSeen] = []
    by_need = sorted(over, key=lambda each: (each.failure is not None, each.seen_at), reverse=True)
    for visit in by_need[:VISITS]:
        seen = _seen(visit, epoch)
        left -= len(seen.shown)
        if left < 0 and found:
            break
        found.append(seen)
    for visit in over:
        visit.brought = True  # also those that there was no room for
    return tuple(sorted(found, key=lambda seen: seen.pulled))


def visit_of(seen: VisitSeen, ledger: Ledger, name: str) -> Visit:
    """A visit of a replica of that name, as one of its run."""
    epoch = _epoch(ledger)
    made = Visit(seen.pulled - epoch)
    made.tries, made.context, made.sampled = seen.tries, seen.context, seen.sampled
    made.error, made.failed_in, made.said_fate = seen.error, seen.failed_in, seen.fate
    made.sink_id = seen.sink_id
    made.origin = ", ".join(filter(None, (seen.origin, name)))
    made.known(seen.trace_id, seen.span_id)
    pair: Any = unpack(seen.shown)
    made.value, made.result = pair
    made.ended = None if seen.ended is None else seen.ended - epoch
    made.worked = _moved_work(seen.worked, -epoch)
    made.written = list(_moved(seen.written, -epoch))
    if seen.call is not None:
        made.notes = notes = CallNotes(ledger.log, seen.call[0])
        notes.took_s, notes.kept = seen.call[1], seen.call[2]
        notes.written = list(_moved(seen.call_written, -epoch))
    return made


def _is_over(visit: Visit) -> bool:
    if visit.failed_in is not None:
        return visit.said_fate != FAILED  # else it is on its way to the dead letter
    stored = visit.worked is not None and visit.worked.stored is not None
    return stored or visit.ended is not None


def _seen(visit: Visit, epoch: float) -> VisitSeen:
    notes = visit.notes
    return VisitSeen(
        pulled=visit.pulled + epoch,
        tries=visit.tries,
        trace_id=visit.trace_id,
        span_id=visit.span_id,
        context=visit.context,
        sampled=visit.sampled,
        worked=_moved_work(visit.worked, epoch),
        call=None if notes is None else (notes.began, notes.took_s, tuple(notes.kept)),
        call_written=tuple(_moved(() if notes is None else notes.written, epoch)),
        written=tuple(_moved(visit.written, epoch)),
        ended=None if visit.ended is None else visit.ended + epoch,
        error=visit.error,
        failed_in=visit.failed_in,
        fate=visit.said_fate,
        failure=visit.failure,
        origin=visit.origin,
        sink_id=visit.sink_id,
        shown=_shown(visit),
    )


def _shown(visit: Visit) -> bytes:
    """What went in and what it became; of a failure its own record brings that."""
    if visit.failure is not None:
        return pack_shown((None, ()))
    packed = pack_shown((visit.value, visit.gave))
    return packed if len(packed) <= ONE_BYTES else pack_shown((LET_GO, (LET_GO,)))


def _moved(found: Sequence[Written], by: float) -> Iterator[Written]:
    for each in found:
        ended = None if each.ended is None else each.ended + by
        yield replace(each, began=each.began + by, ended=ended)


def _moved_work(worked: Worked | None, by: float) -> Worked | None:
    if worked is None:
        return None
    stored = None if worked.stored is None else worked.stored + by
    handed = worked.handed + by if worked.handed else 0.0
    return replace(worked, began=worked.began + by, handed=handed, stored=stored)


def _epoch(ledger: Ledger) -> float:
    return ledger.clock.time() - ledger.clock.now()
