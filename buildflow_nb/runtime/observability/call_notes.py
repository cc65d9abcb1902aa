"""What is noted of one call of a processor's code while it runs: its lines, and what it pushes.

Only calls that are traced pay for this: such a call runs with a ring of its own in the place of its
processor's, which passes all lines on and remembers the first ones. Whoever prints or logs does as
ever, also a thread that the call starts. As there may be thousands of such calls a second, a ring
has next to nothing until something happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from buildflow_nb.core.trace_context import TraceContext, new_span_id
from buildflow_nb.runtime.observability.hidden import Hidden
from buildflow_nb.runtime.observability.logs import LOG_LINES, LogRing, current

__all__ = ("MOST_LINES", "CallNotes", "Written", "notes_now")

MOST_LINES = 50  # lines that are kept of a call
_Line = tuple[float, str, str]  # time, level, text
T = TypeVar("T")


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


class CallNotes(LogRing):
    """One call: when it began and how long it took, in seconds from where its chunk began.

    `context` is what goes along with what it pushes: None where nothing does. To a stream that
    keeps the beginnings of lines by their ring it is the ring of its processor.
    """

    __slots__ = ("_ring", "began", "context", "kept", "took_s", "written")

    def __init__(self, ring: LogRing, began: float = 0.0) -> None:  # of its base it has nothing
        self._ring = ring
        self.began = began
        self.took_s: float | None = None
        self.context: TraceContext | None = None
        self.kept: Sequence[_Line] = ()
        self.written: Sequence[Written] = ()

    def note(self, written: Written) -> None:
        """It pushes."""
        self.written = [*self.written, written]

    def of(self, work: Callable[[], T]) -> T:
        """Work as this call, on a thread or task that is its processor's."""
        token = current.set(self)
        try:
            return work()
        finally:
            current.reset(token)

    # -- as a ring, and as the lines of one ----------------------------------------------------

    @property
    def recent(self) -> CallNotes:  # type: ignore[override]
        """Where lines are appended: here."""
        return self

    @property
    def hidden(self) -> Hidden | None:  # type: ignore[override]
        """What no line may show."""
        return self._ring.hidden

    def __len__(self) -> int:
        return 0  # it is never full

    def __bool__(self) -> bool:
        return True  # though it has no length

    def append(self, line: _Line) -> None:
        """Pass a line on, and keep it if it is one of the first; it is masked when it is shown."""
        recent = self._ring.recent
        recent.append(line)
        if len(recent) > LOG_LINES:
            self._ring.turn()
        if len(self.kept) < MOST_LINES:
            self.kept = [*self.kept, line]

    def extend(self, level: str | Iterable[_Line], lines: Iterable[str] = ()) -> None:
        """Append lines: of a level as a ring does, or ready ones as a list does."""
        if isinstance(level, str):
            super().extend(level, lines)
            return
        for line in level:
            self.append(line)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._ring or getattr(other, "_ring", None) is self._ring

    def __hash__(self) -> int:
        return hash(self._ring)

    def take(self, lines: Iterable[_Line]) -> None:
        """As its processor's."""
        self._ring.take(lines)

    def hide(self, secrets: Iterable[object]) -> bool:
        """As its processor's."""
        return self._ring.hide(secrets)

    def hide_behind(self, before: int) -> None:
        """As its processor's."""
        self._ring.hide_behind(before)

    @property
    def count(self) -> int:
        """As its processor's."""
        return self._ring.count

    def told(self, text: str) -> str:
        """As its processor's."""
        return self._ring.told(text)

    def turn(self) -> None:
        """As its processor's."""
        self._ring.turn()


def notes_now() -> CallNotes | None:
    """The notes of the call that this is part of, where it is traced."""
    ring = current.get()
    return ring if isinstance(ring, CallNotes) else None
