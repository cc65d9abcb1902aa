"""What is noted of one try of one element by one processor.

Times are kept as they were taken, in monotonic seconds, and what is the same for a whole chunk is
kept once for all of it. Everything else is made when somebody looks (`steps.py`): a visit that
nobody looks at costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from buildflow_nb.core.status.traces import Part
from buildflow_nb.core.trace_context import TraceContext, new_span_id, new_trace_id
from buildflow_nb.runtime.concurrency.calls import flatten
from buildflow_nb.runtime.observability.call_notes import CallNotes, Written

__all__ = ("FAILED", "LET_GO", "UNDER_WAY", "Visit", "Worked", "keepable")

UNDER_WAY = "under way"
FAILED = "failed"  # until it is known what becomes of it
CUT = 16_384  # characters or bytes of a text that are kept of an element
_TEXTS = (str, bytes)


@dataclass(slots=True)
class Worked:
    """How long a chunk of `together` elements was decoded, called and encoded, in seconds.

    `sink` is where it was pushed to, at `handed`, and `stored` when that was over; `note` says what
    those times do not.
    """

    began: float
    decode_s: float
    code_s: float
    encode_s: float
    together: int = 1
    sink: str = ""
    note: str = ""
    handed: float = 0.0
    stored: float | None = None


class _LetGo:
    """Stands for an element that is not kept any more."""

    def __repr__(self) -> str:
        return "(not kept any more)"


LET_GO = _LetGo()


class Visit:
    """One try of one element, which came at `pulled`.

    It belongs to the trace of `context`, or else to one of its own. What it writes goes on with its
    trace where it is `sampled`. `failed_in` is the part in which it failed.
    """

    tries = 1
    context: TraceContext | None = None
    sampled = False
    worked: Worked | None = None
    notes: CallNotes | None = None
    written: Sequence[Written] = ()
    value: object = None
    result: object = None
    ended: float | None = None
    error = ""
    failed_in: Part | None = None
    failure: int | None = None
    origin = ""
    said_fate = ""
    sink_id = ""
    brought = False
    """Whether the run of a replica has it."""
    _trace_id = ""
    _span_id = ""

    def __init__(self, pulled: float) -> None:
        self.pulled = pulled

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
    def seen_at(self) -> float:
        """When its code was through with it, or else when it came."""
        return self.pulled if self.worked is None else self.worked.handed or self.worked.began

    @property
    def parent_id(self) -> str:
        """The span that caused it; "" where there is none."""
        return "" if self.context is None else self.context.span_id

    @property
    def gave(self) -> tuple[object, ...]:
        """What it became."""
        return tuple(flatten(self.result))

    @property
    def fate(self) -> str:
        """What became of it."""
        if self.said_fate:
            return self.said_fate
        worked = self.worked
        if worked is None or worked.stored is None:
            return UNDER_WAY
        return "done" if not worked.sink else "written" if self.gave else "dropped"

    @property
    def again(self) -> TraceContext:
        """The context of the next try of its element."""
        return self.outgoing(self.parent_id)

    def outgoing(self, span_id: str = "") -> TraceContext:
        """What goes along with a push of it, which is that span."""
        state = "" if self.context is None else self.context.state
        return TraceContext(self.trace_id, span_id, sampled=True, state=state)

    def writes(self, name: str, now: float, note: str = "") -> Written:
        """Note a push of it that begins, beside that of its chunk."""
        written = Written(name, now, note=note)
        self.written = [*self.written, written]
        return written

    def known(self, trace_id: str, span_id: str) -> None:
        """It has these ids already."""
        self._trace_id, self._span_id = trace_id, span_id

    def forget(self) -> None:
        """Let go of the element; where it failed, its failure has it as well."""
        if self.failed_in is None:
            self.value, self.result = LET_GO, (LET_GO,) if self.gave else ()

    def end(self, now: float, fate: str) -> None:
        """It is done with."""
        self.ended, self.said_fate = now, fate
        for written in self.written:
            if written.ended is None:
                written.ended = now


def keepable(value: object) -> object:
    """A value, cut where it is a long text: what is kept for people must not fill memory."""
    return value[:CUT] if type(value) in _TEXTS and len(value) > CUT else value  # type: ignore[arg-type, index]
