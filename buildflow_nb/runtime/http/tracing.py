"""What is noted of one request while it is answered, as a visit of its element.

    came ──body──► bound ──in line──► called ──► encoded ──► (pushed) ──► answered

Every request has a visit, since its times are counted; it is kept where requests are traced. A
request that says which trace it belongs to goes on with that one (`traceparent`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from buildflow_nb.core.status.traces import Part
from buildflow_nb.core.trace_context import TRACEPARENT, TraceContext, read
from buildflow_nb.runtime.observability.call_notes import CallNotes, Written
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.tracebacks import describe
from buildflow_nb.runtime.observability.visits import Visit, Worked, keepable

__all__ = ("RouteTracing", "failed", "traces_of")


@dataclass(frozen=True, slots=True)
class RouteTracing:
    """Traces the requests of one route; used on the loop only."""

    ledger: Ledger

    def begin(self, headers: Mapping[str, str], now: float) -> Visit:
        """The visit of a request that came right now."""
        book = self.ledger.traces
        if not book.rate:
            return Visit(now)
        visit = Visit(now)
        visit.context = read(headers) if TRACEPARENT in headers else None
        asked = visit.context is not None and visit.context.sampled
        visit.sampled = asked or bool(book.draw(1, now))
        return visit

    def bound(self, visit: Visit, body_at: float, now: float) -> None:
        """Its body was there, and was made arguments."""
        visit.worked = Worked(body_at, now - body_at, 0.0, 0.0)

    def called(self, visit: Visit, now: float) -> CallNotes:
        """Its code is called; gives what notes the call."""
        began = 0.0 if visit.worked is None else now - visit.worked.began
        notes = visit.notes = CallNotes(self.ledger.log, began)
        if visit.sampled:
            notes.context = visit.outgoing()
        return notes

    def returned(self, visit: Visit, now: float) -> None:
        """Its code has returned, or raised."""
        worked, notes = visit.worked, visit.notes
        if worked is not None and notes is not None:
            whole = now - worked.began
            notes.took_s = whole - notes.began
            worked.code_s = whole - worked.decode_s

    def passed(self, visit: Visit, element: object, results: Sequence[object]) -> None:
        """It is answered, or stored."""
        if not self.ledger.traces.rate:
            return
        redaction = self.ledger.redaction
        shown = self.ledger.shown(results) if redaction.masked else results
        visit.value = keepable(redaction.element(element) if redaction.masked else element)
        visit.result = [keepable(one) for one in shown]

    def ended(self, visit: Visit, now: float, status: int, *, stores: bool) -> None:
        """It is answered with this status; what it took is counted."""
        worked = visit.worked
        if worked is None:  # it was refused before anything was done for it
            return
        sink_s = sum((each.ended or now) - each.began for each in visit.written)
        call_s = 0.0 if visit.notes is None else visit.notes.took_s or 0.0
        parts = (worked.decode_s, call_s, worked.encode_s, sink_s)
        self.ledger.metrics.parts.add(now, 1, now - visit.pulled, *parts)
        if visit.notes is None or not self.ledger.traces.rate:
            return
        if not visit.said_fate:
            stored = "written" if visit.result else "dropped"
            visit.end(now, f"{stored}, answered {status}" if stores else f"answered {status}")
        visit.ended = now
        self.ledger.traces.add(visit)


def failed(ledger: Ledger, visit: Visit | None, element: object, error: BaseException) -> None:
    """Note that a request failed, for the trace that it belongs to."""
    if visit is None or not ledger.traces.rate:
        return
    visit.value = keepable(ledger.redaction.element(element))
    visit.error = ledger.said(describe(error), element)
    visit.failed_in = Part.SINK if visit.written else Part.CODE
    for written in visit.written:
        written.error = visit.error
    ledger.traces.fail(visit)


def traces_of(visit: Visit, written: Written, count: int) -> Mapping[int, TraceContext] | None:
    """The traces that items take along."""
    if not visit.sampled or written.note:
        return None
    return dict.fromkeys(range(count), visit.outgoing(written.span_id))
