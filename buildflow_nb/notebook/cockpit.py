"""A flow's snapshot as HTML and as text: pure functions of data, the same facts in both.

The text is what terminals, screen readers and diffs of saved notebooks see.
"""

from __future__ import annotations

from buildflow_nb.core.snapshot import FlowSnapshot, ProcessorSnapshot, State
from buildflow_nb.notebook import figures, markup
from buildflow_nb.notebook.markup import Cell, quote

__all__ = ("aligned", "facts", "html", "text", "undated")

_LEFT = 2  # the first columns, name and state, are text
_HEADS = (
    "processor",
    "state",
    "in/s",
    "out/s",
    "total",
    "in flight",
    "backlog",
    "failed",
    "p50",
    "p99",
)


def facts(snapshot: FlowSnapshot) -> object:
    """What makes two snapshots look different, apart from the time of the look."""
    return (snapshot.flow_id, snapshot.stack, snapshot.state, snapshot.address, snapshot.processors)


def html(snapshot: FlowSnapshot) -> str:
    """One card: head, a row a processor, date."""
    heads: list[Cell] = [(name, "l" if i < _LEFT else "") for i, name in enumerate(_HEADS)]
    rows = [_row(p) for p in snapshot.processors]
    body = (
        markup.table("Processors", [*heads, ("last 5 min", "l")], rows)
        if rows
        else '<pre class="mute">no processors yet; write one in a cell under '
        "%%buildflow consumer source=…</pre>"
    )
    return markup.card(_title(snapshot), _header(snapshot), body, _footer(snapshot))


def _title(snapshot: FlowSnapshot) -> str:
    return f"Flow {snapshot.flow_id} on stack {snapshot.stack}, {snapshot.state.value}"


def _header(snapshot: FlowSnapshot) -> str:
    begun = None if snapshot.state.ended else snapshot.started_at
    since = "" if begun is None else f" since {figures.clock(begun)}"
    address = f"<span><code>{quote(snapshot.address)}</code></span>" if snapshot.address else ""
    return (
        f"<h3>{quote(snapshot.flow_id, 80)}</h3>"
        f'<span class="mute">stack <b>{quote(snapshot.stack, 80)}</b></span>'
        f"<span>{markup.chip(snapshot.state)}{since}</span>"
        f'<span class="grow"></span>{address}'
    )


def _footer(snapshot: FlowSnapshot) -> str:
    troubled = next((p for p in snapshot.processors if p.failed), None)
    hint = (
        f"<code>%buildflow failures {quote(troubled.processor_id, 80)}</code>" if troubled else ""
    )
    return f'<span>updated {figures.clock(snapshot.at)}</span><span class="grow"></span>{hint}'


def _row(processor: ProcessorSnapshot) -> list[Cell]:
    values = _values(processor)
    name = f'<b title="{quote(_path(processor), 200)}">{quote(processor.processor_id, 80)}</b>'
    cells: list[Cell] = [(name, "l"), (markup.chip(processor.state, processor.reason), "w")]
    cells += [(value, "") for value in values]
    if processor.failed:
        cells[2 + 5] = (values[5], "err")
    tone = "err" if processor.state is State.FAILED else "ok"
    label = f"{processor.processor_id} in the last 5 minutes"
    return [*cells, (markup.sparkline(processor.history, label, tone), "l")]


def _values(p: ProcessorSnapshot) -> tuple[str, ...]:
    return (
        figures.rate(p.in_per_s),
        figures.rate(p.out_per_s),
        figures.count(p.elements_in),
        figures.count(p.in_flight),
        figures.count(p.backlog),
        figures.count(p.failed),
        figures.latency(p.p50_s),
        figures.latency(p.p99_s),
    )


def _path(p: ProcessorSnapshot) -> str:
    return " → ".join(part for part in (p.source, f"{p.kind} {p.processor_id}", p.sink) if part)


def text(snapshot: FlowSnapshot) -> str:
    """The same as aligned text, with the time of the look."""
    return f"{undated(snapshot)}\nupdated {figures.clock(snapshot.at)}"


def undated(snapshot: FlowSnapshot) -> str:
    """The text without its date: two of them differ where there is something new to read."""
    head = f"{snapshot.flow_id} · stack {snapshot.stack} · {snapshot.state.value}"
    if snapshot.address:
        head += f" · {snapshot.address}"
    lines = [figures.clean(head)]
    rows = [
        (figures.clean(p.processor_id, 40), figures.label(p), *_values(p))
        for p in snapshot.processors
    ]
    lines += aligned(_HEADS, rows, left=_LEFT) if rows else ["no processors yet"]
    lines += [
        figures.clean(f"{p.processor_id}: {p.reason}", 200) for p in snapshot.processors if p.reason
    ]
    return "\n".join(lines)


def aligned(heads: tuple[str, ...], rows: list[tuple[str, ...]], *, left: int) -> list[str]:
    """Rows of text under their heads; the first `left` columns to the left."""
    columns = list(zip(heads, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(
            value.ljust(width) if i < left else value.rjust(width)
            for i, (value, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (heads, *rows)
    ]
