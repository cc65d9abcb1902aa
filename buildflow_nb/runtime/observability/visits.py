"""What is noted of one try of one element by one processor.

Times are kept as they were taken, in monotonic seconds, for a whole chunk where it was one. Spans
are made of them when somebody looks (`steps.py`), so that what nobody looks at costs little.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from buildflow_nb.core.status.traces import Part
from buildflow_nb.core.trace_context import TraceContext, new_span_id, new_trace_id
from buildflow_nb.runtime.observability.call_notes import CallNotes, Written

__all__ = ("UNDER_WAY", "Visit", "Worked", "keepable")

UNDER_WAY = "under way"
CUT = 16_384  # characters or bytes of a text that are kept of an element


@dataclass(slots=True)
class Worked:
    """How long a chunk of `together` elements was decoded, called and encoded, in seconds."""

    began: float
    decode_s: float
    code_s: float
    encode_s: float
    together: int = 1


@dataclass(slots=True, eq=False)
class Visit:
    """One try of one element, which came at `pulled`.

    It belongs to the trace of `context`, or else to one of its own. What it writes goes on with its
    trace where it is `sampled`. `failed_in` is the part in which it failed.
    """

    pulled: float
    tries: int = 1
    context: TraceContext | None = None
    sampled: bool = False
    worked: Worked | None = None
    notes: CallNotes | None = None
    written: list[Written] = field(default_factory=list)
    element: object = None
    results: tuple[object, ...] = ()
    ended: float | None = None
    error: str = ""
    failed_in: Part | None = None
    fate: str = UNDER_WAY
    failure: int | None = None
    origin: str = ""
    _trace_id: str = ""
    _span_id: str = ""

    @property
    def trace_id(self) -> str:
        """The trace that it belongs to, made when first asked for."""
        if not self._trace_id:
            self._trace_id = new_trace_id() if self.context is None else self.context.trace_id
        return self._trace_id

    @property
    def known_as(self) -> str:
        """Its trace, "" where nobody has asked for it yet, and so nobody can know it."""
        return self._trace_id or ("" if self.context is None else self.context.trace_id)

    @property
    def span_id(self) -> str:
        """Its own span, made when first asked for."""
        if not self._span_id:
            self._span_id = new_span_id()
        return self._span_id

    @property
    def parent_id(self) -> str:
        """The span that caused it; "" where there is none."""
        return "" if self.context is None else self.context.span_id

    @property
    def again(self) -> TraceContext:
        """The context of the next try of its element."""
        state = "" if self.context is None else self.context.state
        return TraceContext(self.trace_id, self.parent_id, sampled=True, state=state)

    def context_of(self, written: Written) -> TraceContext:
        """What goes along with a push."""
        state = "" if self.context is None else self.context.state
        return TraceContext(self.trace_id, written.span_id, sampled=True, state=state)

    def noting(self) -> CallNotes:
        """Notes for its call, which goes on with its trace."""
        state = "" if self.context is None else self.context.state
        context = TraceContext(self.trace_id, state=state) if self.sampled else None
        self.notes = CallNotes(context)
        return self.notes

    def writes(self, name: str, now: float, note: str = "") -> Written:
        """Note a push of it that begins."""
        written = Written(name, now, note=note)
        self.written.append(written)
        return written

    def end(self, now: float, fate: str) -> None:
        """It is done with."""
        self.ended, self.fate = now, fate
        for written in self.written:
            if written.ended is None:
                written.ended = now


def keepable(value: object) -> object:
    """A value, cut where it is a long text: what is kept for people must not fill memory."""
    if isinstance(value, (str, bytes)) and len(value) > CUT:
        return value[:CUT]
    return value
