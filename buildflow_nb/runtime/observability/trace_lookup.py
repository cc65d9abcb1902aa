"""A trace put together from what all processors of a run have kept of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.nearest import unknown_processor
from buildflow_nb.core.status.traces import Trace, TraceStep
from buildflow_nb.runtime.observability.failures import FailureRecord
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.steps import Teller, step_of
from buildflow_nb.runtime.observability.traces import KEPT
from buildflow_nb.runtime.observability.visits import Visit

__all__ = ("SHORTEST", "last_traces", "trace_of")

SHORTEST = 6  # digits of an id that name a trace
_DIGITS = frozenset("0123456789abcdef")

Ledgers = Mapping[str, Ledger]
_Try = tuple[str, str, int]  # of which processor, caused by which span, the how manieth
_Found = tuple[Ledger, Visit]


def trace_of(ledgers: Ledgers, which: str | int | FailureRecord) -> Trace:
    """The trace of that id (its first digits will do), failure or number, or a processor's last.

    Raises:
        UsageError: nothing is kept of it, or the word means several.
    """
    if not any(ledger.traces.rate for ledger in ledgers.values()):
        msg = "nothing is traced: FlowOptions(trace_sampling=0) turns traces off"
        raise UsageError(msg)
    if isinstance(which, FailureRecord):
        return _whole(ledgers, which.trace_id or _forgotten(f"failure {which.number}"))
    if isinstance(which, int):
        return _whole(ledgers, _of_number(ledgers, which))
    if which in ledgers:
        last = last_traces(ledgers, [ledgers[which]], 1, failed=False)
        return last[0] if last else _whole(ledgers, _forgotten(f"an element of {which!r}"))
    return _whole(ledgers, _with_id(ledgers, which))


def last_traces(
    ledgers: Ledgers, wanted: Sequence[Ledger], count: int, *, failed: bool
) -> list[Trace]:
    """The last traces that met these processors, newest last; with `failed`, that failed there."""
    visits = [
        visit
        for ledger in wanted
        for visit in ledger.traces.visits()
        if not failed or visit.failed_in is not None
    ]
    visits.sort(key=lambda visit: visit.seen_at)
    ids = list(dict.fromkeys(visit.trace_id for visit in reversed(visits)))[: max(count, 0)]
    everything = _by_trace(ledgers)
    return [_made(trace_id, everything[trace_id]) for trace_id in reversed(ids)]


def _whole(ledgers: Ledgers, trace_id: str) -> Trace:
    found = _by_trace(ledgers).get(trace_id)
    return _made(trace_id, found or _forgotten(f"trace {trace_id}"))


def _forgotten(what: str) -> NoReturn:
    msg = (
        f"nothing is kept of {what}: of each processor the last {KEPT} sampled traces, the failed "
        "ones and the last one are; app.traces() lists them"
    )
    raise UsageError(msg)


def _of_number(ledgers: Ledgers, number: int) -> str:
    found = {
        ledger.processor_id: visit.trace_id
        for ledger in ledgers.values()
        for visit in ledger.traces.visits()
        if visit.failure == number
    }
    if len(found) > 1:
        msg = (
            f"failure {number} is one of each of {', '.join(found)}; give the failure itself, "
            "as app.failures(...) has it, or the id of its trace"
        )
        raise UsageError(msg)
    return next(iter(found.values()), "") or _forgotten(f"failure {number}")


def _with_id(ledgers: Ledgers, prefix: str) -> str:
    word = prefix.strip().lower()
    if not word or not _DIGITS.issuperset(word):
        raise unknown_processor(prefix, list(ledgers))
    if len(word) < SHORTEST:
        msg = f"{prefix!r} names no trace: give at least {SHORTEST} digits of its id"
        raise UsageError(msg)
    match = sorted(each for each in _by_trace(ledgers) if each.startswith(word))
    if len(match) > 1:
        msg = f"{len(match)} traces begin with {prefix!r}; give more digits: {', '.join(match[:3])}"
        raise UsageError(msg)
    return match[0] if match else _forgotten(f"trace {prefix}")


def _by_trace(ledgers: Ledgers) -> dict[str, list[_Found]]:
    found: dict[str, list[_Found]] = {}
    for ledger in ledgers.values():
        for visit in ledger.traces.visits():
            if visit.known_as:
                found.setdefault(visit.known_as, []).append((ledger, visit))
    return found


def _made(trace_id: str, found: Sequence[_Found]) -> Trace:
    ends = _ends(found)
    steps = [_step(ledger, visit, ends) for ledger, visit in found]
    return Trace(trace_id, tuple(sorted(steps, key=_order)))


def _order(step: TraceStep) -> tuple[float, int]:
    return step.span.started_at, step.tries


def _ends(found: Iterable[_Found]) -> dict[str | _Try, float]:
    """When what is waited for was there, in epoch seconds: pushes by their span, tries."""
    ends: dict[str | _Try, float] = {}
    for ledger, visit in found:
        epoch = _epoch(ledger)
        calls = visit.notes.written if visit.notes is not None else []
        for written in (*visit.written, *calls):
            if written.ended is not None:
                ends[written.span_id] = written.ended + epoch
        if visit.sink_id and visit.worked is not None and visit.worked.stored is not None:
            ends[visit.sink_id] = visit.worked.stored + epoch
        if visit.ended is not None:
            ends[ledger.processor_id, visit.parent_id, visit.tries] = visit.ended + epoch
    return ends


def _step(ledger: Ledger, visit: Visit, ends: Mapping[str | _Try, float]) -> TraceStep:
    epoch = _epoch(ledger)
    teller = Teller(ledger.processor_id, ledger.traces.source, ledger.log.told, ledger.shown)
    if visit.tries > 1:
        since = ends.get((ledger.processor_id, visit.parent_id, visit.tries - 1))
    else:
        since = ends.get(visit.parent_id)
    return step_of(visit, teller, epoch, None if since is None else since - epoch)


def _epoch(ledger: Ledger) -> float:
    """What is added to monotonic seconds to have those since the epoch."""
    return ledger.clock.time() - ledger.clock.now()
