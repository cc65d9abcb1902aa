"""What is noted of one request while it is answered, as a visit of its element.

    came ──body──► bound ──in line──► called ──► encoded ──► (pushed) ──► answered

Every request has a visit, since its times are counted; it is kept where requests are traced. A
request that says which trace it belongs to goes on with that one (`traceparent`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from buildflow_nb.core.status.traces import Part
from buildflow_nb.core.trace_context import TRACEPARENT, TraceContext, read
from buildflow_nb.runtime.observability.call_notes import CallNotes, Written
from buildflow_nb.runtime.observability.ledger import NO_TRACES, Ledger, source_label
from buildflow_nb.runtime.observability.logs import current
from buildflow_nb.runtime.observability.visits import Visit, Worked, keepable

if TYPE_CHECKING:
    from buildflow_nb.runtime.http.binding import Arguments
    from buildflow_nb.runtime.http.code import RouteCode, RouteSpec

__all__ = ("RouteTracing", "failed", "traced_as", "traces_of")


@dataclass(frozen=True, slots=True)
class RouteTracing:
    """Traces the requests of one route; used on the loop only."""

    ledger: Ledger

    @classmethod
    def of(cls, spec: RouteSpec, ledger: Ledger) -> Self:
        """The tracing of a route."""
        ledger.traces.source = source_label(spec)
        return cls(ledger)

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

    @staticmethod
    def bound(visit: Visit | None, body_at: float, now: float) -> None:
        """Its body was there, and was made arguments."""
        if visit is not None:
            visit.worked = Worked(body_at, now - body_at, 0.0, 0.0)

    async def called(
        self, code: RouteCode, arguments: Arguments, asked: object, visit: Visit | None
    ) -> Any:
        """What the code gives; where the request is traced, with notes of the call.

        Raises:
            Exception: whatever it raised.
        """
        now, worked = self.ledger.clock.now, None if visit is None else visit.worked
        if visit is None or worked is None:
            return await code.call(arguments, asked)
        notes = visit.notes = CallNotes(self.ledger.log, now() - worked.began)
        token = None
        if visit.sampled:
            notes.context = visit.outgoing()
            token = current.set(notes)
        try:
            return await code.call(arguments, asked)
        finally:
            if token is not None:
                current.reset(token)
            whole = now() - worked.began
            notes.took_s, worked.code_s = whole - notes.began, whole - worked.decode_s

    def answered(self, visit: Visit | None, element: object, result: object, now: float) -> None:
        """What an endpoint gave is an answer."""
        worked = None if visit is None else visit.worked
        if visit is not None and worked is not None:
            worked.encode_s = now - worked.began - worked.decode_s - worked.code_s
            self.passed(visit, element, (result,))

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
    visit.error = ledger.said_error(error, element)
    visit.failed_in = Part.SINK if visit.written else Part.CODE
    for written in visit.written:
        written.error = visit.error
    ledger.traces.fail(visit)


def traced_as(visit: Visit | None) -> Mapping[int, str]:
    """The id of a trace that is kept, as `Ledger.passed` takes it."""
    return {0: visit.trace_id} if visit is not None and visit.sampled else NO_TRACES


def traces_of(visit: Visit, written: Written, count: int) -> Mapping[int, TraceContext] | None:
    """The traces that items take along."""
    if not visit.sampled or written.note:
        return None
    return dict.fromkeys(range(count), visit.outgoing(written.span_id))
