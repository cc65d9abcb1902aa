"""What is noted of one call of a processor's code while it runs: its lines, and what it pushes.

Only calls that are traced pay for this: such a call runs with a ring of its own, which passes all
lines on to the processor's and remembers the first ones. Whoever prints or logs does as ever, also
a thread that the call starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from buildflow_nb.core.trace_context import TraceContext, new_span_id
from buildflow_nb.runtime.observability.hidden import Hidden
from buildflow_nb.runtime.observability.logs import LOG_LINES, LogRing, current

__all__ = ("MOST_LINES", "CallNotes", "Written", "noting", "of_call", "ring_of")

MOST_LINES = 50  # lines that are kept of a call
_Line = tuple[float, str, str]  # time, level, text


@dataclass(slots=True)
class Written:
    """A push on behalf of the element, begun and ended in monotonic seconds; `span_id` is its own.

    `note` says what the time does not; `error` is why it was refused.
    """

    name: str
    began: float
    span_id: str = field(default_factory=new_span_id)
    ended: float | None = None
    error: str = ""
    note: str = ""


@dataclass(slots=True, eq=False)
class CallNotes:
    """One call: when it began and how long it took, in seconds from where its chunk began.

    `context` is what goes along with what it pushes: None where nothing does. `trace_id` is empty
    there, too.
    """

    context: TraceContext | None = None
    began: float = 0.0
    took_s: float | None = None
    lines: list[_Line] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)


class _Forwarded(list[_Line]):
    """The `recent` of a call's ring: lines go to the processor's ring, and the first ones here."""

    def __init__(self, ring: LogRing, kept: list[_Line]) -> None:
        super().__init__()
        self._ring = ring
        self._kept = kept

    def append(self, line: _Line) -> None:
        recent = self._ring.recent
        recent.append(line)
        if len(self._kept) < MOST_LINES:
            self._kept.append(line)  # masked when it is shown
        if len(recent) > LOG_LINES:
            self._ring.turn()

    def extend(self, lines: Iterable[_Line]) -> None:
        for line in lines:
            self.append(line)


class _CallRing(LogRing):
    """The ring of one call, which is the processor's but for what it remembers.

    To a stream that keeps the beginnings of lines by their ring, the two are the same.
    """

    __slots__ = ("_ring",)

    def __init__(self, ring: LogRing, kept: list[_Line]) -> None:
        super().__init__()
        self._ring = ring
        self.recent = _Forwarded(ring, kept)
        self.hidden: Hidden | None = ring.hidden

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._ring or getattr(other, "_ring", None) is self._ring

    def __hash__(self) -> int:
        return hash(self._ring)

    def extend(self, level: str, lines: Iterable[str]) -> None:
        self.hidden = self._ring.hidden
        super().extend(level, lines)

    def take(self, lines: Iterable[_Line]) -> None:
        self._ring.take(lines)

    def hide(self, secrets: Iterable[object]) -> bool:
        new = self._ring.hide(secrets)
        self.hidden = self._ring.hidden
        return new

    def hide_behind(self, before: int) -> None:
        self._ring.hide_behind(before)

    @property
    def count(self) -> int:
        return self._ring.count

    def told(self, text: str) -> str:
        return self._ring.told(text)

    def turn(self) -> None:
        self._ring.turn()


of_call: ContextVar[CallNotes | None] = ContextVar("buildflow_call_notes", default=None)


def ring_of(notes: CallNotes, ring: LogRing) -> LogRing:
    """The ring of a call, of a processor that has this one."""
    return _CallRing(ring, notes.lines)


@contextmanager
def noting(notes: CallNotes, ring: LogRing | None) -> Iterator[None]:
    """Note what is printed, logged and pushed from here, on this task or thread.

    `ring` is the processor's, where it is another than that of this task or thread.
    """
    ring = current.get() if ring is None else ring
    token = of_call.set(notes)
    lines = None if ring is None else current.set(ring_of(notes, ring))
    try:
        yield
    finally:
        of_call.reset(token)
        if lines is not None:
            current.reset(lines)
