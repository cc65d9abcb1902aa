"""The way of one element, as bars along one axis of time: pure functions of a trace.

Waiting is hatched, code is blue, sinks are green; log lines stand at their time. Bars are placed by
per cent, so nothing is drawn and nothing is scaled. All of it is said in words as well: in the
sentence below, in the label, and in the columns at both sides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.icons import icon
from buildflow_nb.cockpit.views.listings import Listing
from buildflow_nb.cockpit.views.markup import Cell, quote
from buildflow_nb.core.status.traces import (
    Part,
    Span,
    Trace,
    TraceLine,
    TraceStep,
    took,
    trace_text,
)

__all__ = ("TraceShown", "Traces", "numbered", "trace_html", "traces_html")

BACK = "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}"
ON = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
SHORTEST = 6  # digits of an id
BRIEF = 10  # digits of an id that are shown
SHOWN = 600  # characters of an element
LINES = 40  # log lines drawn
SMALL = 0.004  # of the whole; parts below that are told in the sentence only, where steps are many
TICKS = 5
HALF = 50.0  # per cent; a line beyond that is written before its time
_BARS = {Part.WAIT: "k-idle", Part.CODE: "k-code", Part.SINK: "k-io"}
_SAID = {Part.CODE: "your code", Part.DECODE: "decode", Part.ENCODE: "encode"}
_LEVELS = {"WARNING": "warn", "ERROR": "err", "CRITICAL": "err", "STDERR": "warn"}


def numbered(word: str) -> str | int:
    """What a word names: a failure where it has fewer digits than an id needs, else itself."""
    return int(word) if word.isdecimal() and len(word) < SHORTEST else word


def trace_html(trace: Trace, processor_id: str = "", others: Sequence[Trace] = ()) -> str:
    """A trace; with `others` of a processor, oldest first, buttons to go to these.

    The buttons' acts are "trace", with "PROCESSOR ID".
    """
    head = _head(trace, processor_id, others)
    return f"{head}{_bars(trace)}{_elements(trace)}{_sentence(trace)}"


def traces_html(traces: Sequence[Trace], processor_id: str, chosen: str = "") -> str:
    """A table of traces, the newest first; each row opens its trace (act "trace")."""
    if not traces:
        return f'<p class="mute">{_NOTHING}</p>'
    rows = [_row(trace, processor_id) for trace in reversed(traces)]
    marks = [
        markup.attributes(aria_current="true" if trace.trace_id == chosen else None)
        for trace in reversed(traces)
    ]
    heads: list[Cell] = [
        ("at", "l"), ("trace", "l"), ("element", "l"), ("became", "l"), ("took", ""), ("", "l h7"),
    ]  # fmt: skip
    made = markup.table(f"last traces of {processor_id}", heads, rows, marks)
    return f'<div class="inset scroll" tabindex="0">{made}</div>'


_NOTHING = (
    "no trace yet: the last element, failed ones and a sample are kept once something came; "
    "FlowOptions(trace_sampling=0) turns that off"
)


class TraceShown:
    """A trace as a cell shows it."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __repr__(self) -> str:
        return trace_text(self.trace)

    def _repr_html_(self) -> str:
        trace = self.trace
        at = f'<span class="mute">{formats.dated(trace.started_at)}</span>'
        head = f'<h3>Trace</h3><span class="grow"></span>{at}'
        body = f'<div class="pad">{trace_html(trace)}</div>'
        return markup.card(f"Trace {trace.trace_id[:BRIEF]}", head, body)


class Traces(Listing[Trace]):
    """The last traces of a processor, newest last."""

    heads = ("at", "trace", "fate", "took", "where its time went", "element", "became")
    left = 4

    def _cells(self, record: Trace) -> list[Cell]:
        cells = super()._cells(record)
        cells[2] = (_fate(record), "l")
        cells[4] = (quote(self.row(record)[4]), "w mute")
        return cells

    def row(self, record: Trace) -> tuple[str, ...]:
        """Time, id, fate, duration, sentence, element, results or error."""
        return (
            formats.clock(record.started_at),
            record.trace_id[:BRIEF],
            record.fate,
            took(record.took_s),
            record.said.partition(": ")[2],
            formats.shown(record.came_in),
            _became(record),
        )


def _became(trace: Trace) -> str:
    last = trace.steps[-1]
    if last.failed:
        return formats.clean(last.span.error, formats.LONGEST)
    return ", ".join(formats.shown(one) for one in trace.gave) or "nothing"


def _row(trace: Trace, processor_id: str) -> list[Cell]:
    name = trace.trace_id[:BRIEF]
    link = markup.button(
        name, "trace", f"{processor_id} {trace.trace_id}", class_="text link mono",
        aria_label=f"trace {name}",
    )  # fmt: skip
    return [
        (formats.clock(trace.started_at), "l"),
        (link, "l"),
        (quote(formats.shown(trace.came_in), 60), "l"),
        (_fate(trace), "l"),
        (took(trace.took_s), ""),
        (quote(trace.said.partition(": ")[2], 80), "l h7 mute"),
    ]


def _fate(trace: Trace) -> str:
    word = quote(trace.fate, 40)
    if trace.failed:
        return f'<span class="st err">{icon("fail", "err")}{word}</span>'
    known = trace.fate.split(",")[0]
    shape = {"dropped": icon("drop", "mute"), "under way": icon("busy", "info")}
    return f'<span class="st">{shape.get(known, icon("done", "ok"))}{word}</span>'


def _head(trace: Trace, processor_id: str, others: Sequence[Trace]) -> str:
    went = f"{_fate(trace)}<span>{took(trace.took_s)}</span>"
    name = f'<b class="cut">{quote(formats.shown(trace.came_in), 60)}</b>'
    ident = f'<code class="mute h6">{trace.trace_id[:BRIEF]}</code>'
    return (
        f'<div class="row" data-key="head">{name}{went}{ident}'
        f'<span class="grow"></span>{_ways(trace, processor_id, others)}</div>'
    )


def _ways(trace: Trace, processor_id: str, others: Sequence[Trace]) -> str:
    """Buttons to other traces."""
    if not others:
        return ""
    ids = [each.trace_id for each in others]
    at = ids.index(trace.trace_id) if trace.trace_id in ids else len(ids)
    slowest = max(others, key=lambda each: each.took_s)
    failed = next((each for each in reversed(others) if each.failed), None)

    def to(label: str, other: Trace | None, said: str, why: str) -> str:
        off = "" if other is not None else why
        arg = f"{processor_id} {other.trace_id}" if other is not None else processor_id
        return markup.button(label, "trace", arg, off=off, class_="s", aria_label=said, title=said)

    before = others[at - 1] if 0 < at <= len(others) else None
    after = others[at + 1] if at + 1 < len(others) else None
    return "".join(
        (
            to(BACK, before, "the one before", "it is the oldest that is kept"),
            to(ON, after, "the next", "it is the newest"),
            to("Slowest", slowest, "the slowest of the last ones", ""),
            to("A failed one", failed, "the last that failed", "none of the last ones failed"),
        )
    )


def _bars(trace: Trace) -> str:
    start, whole = trace.started_at, max(trace.took_s, 1e-9)
    unit, factor = _unit(whole)
    rows = "".join(row for step in trace.steps for row in _step_rows(trace, step, start, whole))
    label = f"Trace {trace.trace_id[:BRIEF]}, {trace.said}. {_told(trace)}"
    step = f"--t:{100 * _tick(whole * factor) / (whole * factor):.3f}"
    named = markup.attributes(role="img", aria_label=formats.clean(label, 1_000), style=step)
    return (
        f'<div class="inset wfbox" tabindex="0"><div class="wf"{named}>'
        f"{_axis(whole * factor, unit)}{rows}</div></div>"
    )


def _told(trace: Trace) -> str:
    return ", ".join(
        f"{step.processor_id} {_word(span)} {took(span.took_s)}"
        for step in trace.steps
        for span in _ordered(step, 0.0)
    )


def _unit(whole: float) -> tuple[str, float]:
    units = (("s", 1.0), ("ms", 1e3), ("µs", 1e6))
    return next((pair for pair in units if whole * pair[1] >= 1), units[-1])


def _axis(whole: float, unit: str) -> str:
    """Ticks at round numbers, in the unit of the whole."""
    step = _tick(whole)
    ticks = [i * step for i in range(int(whole / step) + 1)]
    words = [f"{tick:g}" for tick in ticks]
    words[-1] += f" {unit}"
    made = "".join(
        f'<i style="--a:{100 * tick / whole:.2f}">{word}</i>'
        for tick, word in zip(ticks, words, strict=True)
    )
    return f'<span></span><div class="axis" aria-hidden="true">{made}</div><span></span>'


def _tick(whole: float) -> float:
    """The distance of two ticks."""
    rough = whole / TICKS
    size: float = 10.0 ** math.floor(math.log10(rough))
    return next(k * size for k in (1, 2, 5, 10) if k * size >= rough)


def _ordered(step: TraceStep, least_s: float) -> list[Span]:
    shown = [
        span
        for span in step.parts
        if span.took_s is None or span.part in (Part.CODE, Part.SINK) or span.took_s >= least_s
    ]
    return sorted(shown, key=lambda span: span.started_at)


def _step_rows(trace: Trace, step: TraceStep, start: float, whole: float) -> Iterator[str]:
    least_s = whole * SMALL if len(trace.steps) > 1 else 0.0
    again = f" · try {step.tries}" if step.tries > 1 else ""
    for span in _ordered(step, least_s):
        word = quote(f"{_word(span)}{again if span.part is Part.CODE else ''}", 60)
        who = quote(_who(span), 60)
        label = f'{who} <span class="mute">{word}</span>' if word else who
        bar = _bar(span, start, whole)
        title = markup.attributes(title=f"{_who(span)} {_word(span)} {span.note}".strip())
        number = took(span.took_s)
        yield f'<span class="cut"{title}>{label}</span><div class="track">{bar}</div>'
        yield f'<span class="num">{number}</span>'
        for line in span.lines[:LINES]:
            yield _line(line, start, whole)
        failed = step.span.error if span.part is Part.CODE and _fails_in_code(step) else span.error
        if failed:
            end = 100 * min(max(span.ended_at - start, 0.0) / whole, 1.0)
            yield _event(f'<span class="err">{quote(failed, 200)}</span>', end, "err")


def _fails_in_code(step: TraceStep) -> bool:
    return step.failed and not any(span.error for span in step.parts)


def _who(span: Span) -> str:
    return span.name if span.part is Part.SINK else span.processor_id


def _word(span: Span) -> str:
    if span.part is Part.WAIT:
        return f"waits {span.name}"
    return "push" if span.part is Part.SINK else _SAID[span.part]


def _bar(span: Span, start: float, whole: float) -> str:
    at = 100 * max(span.started_at - start, 0.0) / whole
    if span.took_s is None:
        return f'<b class="k-unk" style="--a:{min(at, 99):.2f};--w:1"></b>'
    wide = 100 * span.took_s / whole
    kind = "k-bad" if span.error else _BARS.get(span.part, "k-form")
    return f'<b class="{kind}" style="--a:{at:.2f};--w:{min(wide, 100 - at):.2f}"></b>'


def _line(line: TraceLine, start: float, whole: float) -> str:
    at = 100 * min(max(line.at - start, 0.0) / whole, 1.0)
    level = f'<span class="{_LEVELS.get(line.level, "mute")}">{quote(line.level, 12)}</span>'
    after = f'<span class="mute">+{took(max(line.at - start, 0.0))}</span>'
    return _event(f"{level} {quote(line.text, 200)} {after}", at, "")


def _event(html: str, at: float, tone: str) -> str:
    side = " before" if at > HALF else ""
    kind = f"evt{side} {tone}".strip()
    return (
        f'<span></span><div class="track"><span class="{kind}" style="--a:{at:.2f}">{html}</span>'
        "</div><span></span>"
    )


def _elements(trace: Trace) -> str:
    """What went in at first, and what it became at last."""
    first, last = trace.steps[0], trace.steps[-1]
    from_ = f", {first.origin}" if first.origin else ""
    gone = "failed" if last.failed else last.span.fate
    out = last.span.error if last.failed else "\n".join(formats.shown(o, SHOWN) for o in trace.gave)
    return (
        '<div class="cols2 under">'
        f"{_pane(f'in, at {first.processor_id}{from_}', formats.shown(first.came_in, SHOWN))}"
        f"{_pane(f'{gone}, at {last.processor_id}', out or 'nothing')}</div>"
    )


def _pane(title: str, text: str) -> str:
    return (
        f'<div class="inset"><p class="pane mute small">{quote(title, 120)}</p>'
        f'<pre class="wrap">{quote(text)}</pre></div>'
    )


def _sentence(trace: Trace) -> str:
    notes = sorted({span.note for span in trace.spans if span.part is Part.SINK and span.note})
    more = f' <span class="mute">{quote("; ".join(notes))}</span>' if notes else ""
    return f'<p class="small under">{quote(trace.said)}.{more}</p>'
