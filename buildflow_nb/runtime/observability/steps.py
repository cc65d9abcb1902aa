"""Visits as the steps and spans that people and exporters see.

The spans of a step follow each other without a gap: what is not decoding, code, encoding or a push
is waiting, and says for what. What was not measured has no time, and says what is known instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from buildflow_nb.core.status.traces import Part, Span, TraceLine, TraceStep, took
from buildflow_nb.runtime.observability.call_notes import Written
from buildflow_nb.runtime.observability.visits import Visit, Worked

__all__ = ("Teller", "step_of")

_GOLDEN = 0x9E3779B97F4A7C15  # spreads ids of parts over all that there are
_ALL = (1 << 64) - 1
SHORT_S = 5e-5  # seconds; shorter waits are our own work between two parts
_ENDS_WITH = {Part.DECODE: 1, Part.CODE: 2, Part.ENCODE: 3}


@dataclass(frozen=True, slots=True)
class Teller:
    """What a processor's steps are told with: its id, its source, what masks texts and results."""

    processor_id: str
    source: str
    told: Callable[[str], str]
    shown: Callable[[Sequence[object]], tuple[object, ...]]


@dataclass(slots=True)
class _Parts:
    """Collects the parts of a step."""

    visit: Visit
    teller: Teller
    epoch: float
    found: list[Span] = field(default_factory=list)

    def add(  # noqa: PLR0913, PLR0917  (a span has that much)
        self,
        part: Part,
        name: str,
        began: float,
        took_s: float | None,
        note: str = "",
        error: str = "",
        span_id: str = "",
        lines: Iterable[TraceLine] = (),
    ) -> None:
        visit, number = self.visit, len(self.found) + 1
        derived = (int(visit.span_id, 16) + number * _GOLDEN) & _ALL or 1
        self.found.append(
            Span(
                span_id=span_id or f"{derived:016x}",
                parent_id=visit.span_id,
                processor_id=self.teller.processor_id,
                part=part,
                name=name,
                started_at=began + self.epoch,
                took_s=took_s,
                note=note,
                error=error,
                lines=tuple(lines),
            )
        )

    def wait(self, name: str, began: float, until: float) -> None:
        if until - began > SHORT_S:
            self.add(Part.WAIT, name, began, until - began)


def step_of(visit: Visit, teller: Teller, epoch: float, since: float | None) -> TraceStep:
    """A visit as a step.

    `epoch` is added to monotonic seconds to have those since the epoch. `since` is when it began to
    wait, in monotonic seconds: for its source, or for another try; None where that is not known.
    """
    parts = _Parts(visit, teller, epoch)
    began = visit.pulled
    if since is not None and visit.tries > 1:
        began = since
    elif since is not None:
        parts.wait(f"in {teller.source}", since, began)
    worked = visit.worked
    end = began
    if worked is not None:
        again = "until it was tried again" if visit.tries > 1 else "in line"
        parts.wait(again, began, worked.began)
        end = max(_worked(parts, worked), began)
        end = _pushed(parts, worked, end)
    for written in visit.written:
        parts.wait("in line", end, written.began)
        end = max(end, _write(parts, written))
    ended = end if visit.failed_in not in {None, Part.SINK} else visit.ended
    if ended is None and worked is not None:
        ended = worked.stored
    name = teller.processor_id
    span = Span(
        span_id=visit.span_id,
        parent_id=visit.parent_id,
        processor_id=name,
        part=Part.PROCESSOR,
        name=name,
        started_at=began + epoch,
        took_s=None if ended is None else max(ended, end) - began,
        fate=visit.fate,
        error=visit.error,
    )
    return TraceStep(
        span=span,
        parts=tuple(parts.found),
        came_in=visit.value,
        gave=teller.shown(visit.gave),
        tries=visit.tries,
        failure=visit.failure,
        origin=visit.origin,
    )


def _worked(parts: _Parts, worked: Worked) -> float:
    """Add decoding, the call and encoding; gives when that was over."""
    visit, name, others = parts.visit, parts.teller.processor_id, worked.together - 1
    last = _ENDS_WITH.get(visit.failed_in, 4) if visit.failed_in is not None else 4
    shared = f"with {others:,} other{'' if others == 1 else 's'}" if others else ""
    at = worked.began
    parts.add(Part.DECODE, name, at, worked.decode_s, shared)
    at += worked.decode_s
    if last < 2:  # noqa: PLR2004  (it failed there)
        return at
    called = at + worked.code_s
    at = _called(parts, worked, at, called)
    if last < 3:  # noqa: PLR2004
        return at
    parts.wait(_for_what(others), at, called)
    parts.add(Part.ENCODE, name, called, worked.encode_s, shared)
    return called + worked.encode_s


def _pushed(parts: _Parts, worked: Worked, at: float) -> float:
    """Add the push of its chunk, if it is part of that; gives when it was over."""
    visit = parts.visit
    if not worked.sink or visit.failed_in not in {None, Part.SINK} or not visit.gave:
        return at
    parts.wait("in line", at, worked.handed)
    error = visit.error if visit.failed_in is Part.SINK else ""
    written = Written(worked.sink, worked.handed, visit.sink_id, worked.stored, error, worked.note)
    return _write(parts, written)


def _called(parts: _Parts, worked: Worked, at: float, until: float) -> float:
    """Add the call itself; gives when it was over, as far as that is known."""
    notes, name, others = parts.visit.notes, parts.teller.processor_id, worked.together - 1
    if notes is None or notes.took_s is None:
        if not others:
            parts.add(Part.CODE, name, at, worked.code_s)
        else:
            note = f"its chunk of {worked.together:,} took {took(worked.code_s)}"
            parts.add(Part.CODE, name, at, None, note)
        return until
    began = worked.began + notes.began
    parts.wait(_for_what(others), at, began)
    parts.add(Part.CODE, name, began, notes.took_s, lines=_lines(parts))
    for written in notes.written:
        _write(parts, written)
    return began + notes.took_s


def _for_what(others: int) -> str:
    if not others:
        return "in line"
    return f"for {others:,} other{'' if others == 1 else 's'} of its chunk"


def _lines(parts: _Parts) -> Iterator[TraceLine]:
    notes = parts.visit.notes
    for at, level, text in notes.kept if notes is not None else ():
        yield TraceLine(at, level, parts.teller.told(text))


def _write(parts: _Parts, written: Written) -> float:
    took_s = None if written.ended is None else max(written.ended - written.began, 0.0)
    parts.add(
        Part.SINK,
        written.name,
        written.began,
        took_s,
        note=written.note,
        error=parts.teller.told(written.error),
        span_id=written.span_id,
    )
    return written.began + (took_s or 0.0)
