"""The way of one element through a flow: frozen data that every face renders.

A trace has steps: one try of one element by one processor, with what went in and what it became.
A step has parts, which say where its time went. Ids are W3C's, so each of them is a valid span of
OpenTelemetry. Secrets are masked before anything is put in here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from buildflow_nb.core.status.snapshot import harmless

__all__ = ("Part", "Span", "Trace", "TraceLine", "TraceStep", "took", "trace_text")

SHOWN = 300  # characters of an element in a line of text
LABEL = 34  # characters of what a line of text is about


class Part(Enum):
    """Where time goes: the whole of a step, or a part of it."""

    PROCESSOR = "processor"
    WAIT = "wait"
    DECODE = "decode"
    CODE = "code"
    ENCODE = "encode"
    SINK = "sink"


@dataclass(frozen=True, slots=True)
class TraceLine:
    """A line that the code printed or logged for the element; `at` is seconds since the epoch."""

    at: float
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which something was done for the element.

    `span_id` has 16 hex digits, as has `parent_id` where there is a parent. `started_at` is seconds
    since the epoch; `took_s` is None where it was not measured, or is not over. `name` is who did
    it: a processor, or the source that was waited for, or the sink that was written. `note` says
    what the time does not.
    """

    span_id: str
    parent_id: str
    processor_id: str
    part: Part
    name: str
    started_at: float
    took_s: float | None
    fate: str = ""
    error: str = ""
    note: str = ""
    lines: tuple[TraceLine, ...] = ()

    @property
    def ended_at(self) -> float:
        """When it was over, in seconds since the epoch; its start where that is not known."""
        return self.started_at + (self.took_s or 0.0)


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One try of one element by one processor.

    `came_in` is the element and `gave` what it became, as they may be shown. `tries` counts from 1.
    `failure` is the number of the failure that it ended as, where it did. `origin` says where it
    was read, if the source says so.
    """

    span: Span
    parts: tuple[Span, ...]
    came_in: object
    gave: tuple[object, ...] = ()
    tries: int = 1
    failure: int | None = None
    origin: str = ""

    @property
    def processor_id(self) -> str:
        """Who tried it."""
        return self.span.processor_id

    @property
    def failed(self) -> bool:
        """Whether this try failed."""
        return bool(self.span.error)

    def spent(self, part: Part) -> float:
        """Seconds in such parts, as far as they were measured."""
        return sum(one.took_s or 0.0 for one in self.parts if one.part is part)


@dataclass(frozen=True, slots=True)
class Trace:
    """All that is known of one element's way, oldest step first; never without a step."""

    trace_id: str
    steps: tuple[TraceStep, ...]

    @property
    def spans(self) -> Iterator[Span]:
        """All spans: of each step itself, then its parts."""
        for step in self.steps:
            yield step.span
            yield from step.parts

    @property
    def came_in(self) -> object:
        """What went in at the first step."""
        return self.steps[0].came_in

    @property
    def gave(self) -> tuple[object, ...]:
        """What it became at the last step."""
        return self.steps[-1].gave

    @property
    def started_at(self) -> float:
        """When its first span began, in seconds since the epoch."""
        return min(span.started_at for span in self.spans)

    @property
    def took_s(self) -> float:
        """Seconds from its first span to the end of its last one."""
        return max(span.ended_at for span in self.spans) - self.started_at

    @property
    def failed(self) -> bool:
        """Whether its last step failed."""
        return self.steps[-1].failed

    @property
    def fate(self) -> str:
        """What became of it at the last step."""
        return self.steps[-1].span.fate

    @property
    def lines(self) -> tuple[TraceLine, ...]:
        """All that was printed and logged for it, oldest first."""
        return tuple(sorted((o for s in self.spans for o in s.lines), key=lambda line: line.at))

    def spent(self, part: Part) -> float:
        """Seconds in such parts over all steps, as far as they were measured."""
        return sum(step.spent(part) for step in self.steps)

    @property
    def said(self) -> str:
        """Where its time went, as a sentence."""
        parts = [
            f"{word} {took(self.spent(part))}"
            for word, part in (
                ("waited", Part.WAIT),
                ("decode", Part.DECODE),
                ("code", Part.CODE),
                ("encode", Part.ENCODE),
                ("sink", Part.SINK),
            )
            if self.spent(part) > self.took_s / 1_000
            or part is Part.WAIT
            or (part is Part.CODE and self.spent(part))
        ]
        unknown = sorted({s.part.value for s in self.spans if s.took_s is None})
        more = f"; not measured: {', '.join(unknown)}" if unknown else ""
        return f"took {took(self.took_s)}: {', '.join(parts)}{more}"

    def text(self) -> str:
        """As plain text."""
        return trace_text(self)

    def __repr__(self) -> str:
        return trace_text(self)


def took(seconds: float | None) -> str:
    """A time with its unit, in three digits; a dash where it is not known."""
    if seconds is None:
        return "\N{EN DASH}"
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        number = seconds * factor
        if number >= 1:
            return f"{number:.1f} {unit}" if number < 99.95 else f"{number:,.0f} {unit}"  # noqa: PLR2004
    return "0 ms" if seconds <= 0 else "<1 µs"


def trace_text(trace: Trace) -> str:
    """A line for each step and part, with its log lines; nothing in it steers a terminal."""
    start = trace.started_at
    at = time.strftime("%H:%M:%S", time.localtime(start))
    found = [f"trace {trace.trace_id} of {at}: {trace.fate}, {trace.said}"]
    for step in trace.steps:
        found += _step_lines(step, start)
    return "\n".join(found)


def _step_lines(step: TraceStep, start: float) -> Iterator[str]:
    again = f", try {step.tries}" if step.tries > 1 else ""
    number = f" (failure {step.failure})" if step.failure is not None else ""
    yield f"  {step.processor_id}{again}: {step.span.fate}{number}"
    from_ = f"  from {_shown(step.origin)}" if step.origin else ""
    yield f"    in   {_shown(step.came_in)}{from_}"
    for span in sorted(step.parts, key=lambda span: span.started_at):
        label = f"{span.part.value} {'' if span.part is Part.CODE else harmless(span.name)}"
        label = label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"
        time_ = took(span.took_s) if span.took_s is not None else "not measured"
        note = f"  ({harmless(span.note)})" if span.note else ""
        error = f"  {harmless(span.error)}" if span.error and span.part is Part.SINK else ""
        yield f"    {_after(span.started_at - start)}  {label:<{LABEL}} {time_:>9}{note}{error}"
        for line in span.lines:
            yield f"    {_after(line.at - start)}    {line.level} {_shown_text(line.text)}"
    if step.span.error:
        yield f"    failed: {_shown_text(step.span.error)}"
    elif step.gave:
        yield f"    out  {', '.join(map(_shown, step.gave))}"
    else:
        yield "    out  nothing (dropped)"


def _after(seconds: float) -> str:
    return f"+{took(max(seconds, 0.0))}".rjust(9)


def _shown(value: object) -> str:
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception as error:  # noqa: BLE001  (a user's own __repr__)
        text = f"<{type(value).__name__}, its repr raised {type(error).__name__}>"
    return _shown_text(text)


def _shown_text(text: str) -> str:
    return harmless(text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…")
