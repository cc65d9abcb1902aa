"""A flow's snapshot as HTML and as text: pure functions of data, the same facts in both.

The text is what terminals, screen readers and diffs of saved notebooks see.
"""

from __future__ import annotations

from buildflow_nb.core.snapshot import FlowSnapshot, ProcessorSnapshot, State
from buildflow_nb.notebook import figures, markup
from buildflow_nb.notebook.markup import Cell, quote

__all__ = ("aligned", "facts", "framed", "head", "html", "table", "text", "title", "undated")

_LEFT = 2  # the first columns, name and state, are text
_COLUMNS = {  # and from which width on a narrow page they go
    "processor": "l",
    "state": "l",
    "in/s": "",
    "out/s": "hide1",
    "total": "hide1",
    "in flight": "hide2",
    "backlog": "",
    "failed": "",
    "retries": "hide3",
    "p50": "hide3",
    "p95": "hide3",
    "p99": "",
}
_HEADS = tuple(_COLUMNS)
_FAILED = _HEADS.index("failed") - _LEFT
_SPARK = "last 5 min"


def facts(snapshot: FlowSnapshot) -> object:
    """What makes two snapshots look different, apart from the time of the look."""
    return (snapshot.flow_id, snapshot.stack, snapshot.state, snapshot.address, snapshot.processors)


def html(snapshot: FlowSnapshot, graph: str = "", *, note: str = "", twin: str = "") -> str:
    """One card: head, graph, a row a processor, date."""
    body = f'{framed(graph)}<div class="box">{table(snapshot)}</div>'
    as_of = f'<span class="mute">as of {figures.dated(snapshot.at)}</span>'
    return markup.card(
        title(snapshot), head(snapshot) + as_of, body, _footer(snapshot, note), twin=twin
    )


def framed(graph: str) -> str:
    """A graph in its place, which scrolls (by keys too) where the page is narrow."""
    named = markup.attributes(class_="box graph", role="group", tabindex=0, aria_label="graph")
    return f"<div{named}>{graph}</div>" if graph else ""


def title(snapshot: FlowSnapshot) -> str:
    """The name of the view, for screen readers."""
    return f"Flow {snapshot.flow_id} on stack {snapshot.stack}"


def head(snapshot: FlowSnapshot) -> str:
    """Name, stack, state and address of the flow, as HTML."""
    begun = None if snapshot.state.ended else snapshot.started_at
    since = "" if begun is None else f" since {figures.clock(begun)}"
    address = f"<span><code>{quote(snapshot.address)}</code></span>" if snapshot.address else ""
    return (
        f"<h3>{quote(snapshot.flow_id, 80)}</h3>"
        f'<span class="mute">stack <b>{quote(snapshot.stack, 80)}</b></span>'
        f"<span>{markup.chip(snapshot.state)}{since}</span>"
        f'<span class="grow"></span>{address}'
    )


def table(snapshot: FlowSnapshot, *, live: bool = False, selected: str = "") -> str:
    """A row a processor, as HTML; in a `live` one rows can be clicked."""
    if not snapshot.processors:
        return (
            '<pre class="mute">no processors yet; write one in a cell under '
            "%%buildflow consumer source=…</pre>"
        )
    heads: list[Cell] = [*_COLUMNS.items(), (_SPARK, "l hide2")]
    rows = [_row(p, live=live) for p in snapshot.processors]
    marks = [
        markup.attributes(
            data_key=p.processor_id,
            data_act="select" if live else None,
            data_arg=p.processor_id if live else None,
            aria_current="true" if p.processor_id == selected else None,
        )
        for p in snapshot.processors
    ]
    made = markup.table("Processors", heads, rows, marks)
    return f'<div class="wide" role="group" aria-label="numbers" tabindex="0">{made}</div>'


def _footer(snapshot: FlowSnapshot, note: str) -> str:
    troubled = next((p for p in snapshot.processors if p.failed), None)
    hint = (
        f"<code>%buildflow failures {quote(troubled.processor_id, 80)}</code>" if troubled else ""
    )
    how = "<code>%buildflow</code> shows it live, <code>%buildflow status</code> as it is now"
    said = quote(note) or how
    return f'<span>{said}</span><span class="grow"></span>{hint}'


def _row(processor: ProcessorSnapshot, *, live: bool) -> list[Cell]:
    name, failed = quote(processor.processor_id, 80), figures.count(processor.failed)
    path = quote(_path(processor), 200)
    shown = f'<b title="{path}">{name}</b>'
    if live:
        shown = markup.button(
            processor.processor_id,
            "select",
            processor.processor_id,
            class_="text",
            title=_path(processor),
        )
        shown = f"<b>{shown}</b>"
    state = markup.chip(processor.state, processor.reason) + _codes(processor)
    cells: list[Cell] = [(shown, "l"), (state, "w")]
    cells += zip(_values(processor), list(_COLUMNS.values())[_LEFT:], strict=True)
    if processor.failed:
        if live:
            failed = markup.button(
                f"{failed} ▸", "failures", processor.processor_id, class_="text",
                aria_label=f"{failed} failed, show them",
            )  # fmt: skip
        cells[_LEFT + _FAILED] = (failed, "err")
    tone = "err" if processor.state is State.FAILED else "ok"
    label = f"{processor.processor_id} in the last 5 minutes"
    return [*cells, (markup.sparkline(processor.history, label, tone), "l hide2")]


def _codes(p: ProcessorSnapshot) -> str:
    """How a route answered: each status code, how often."""
    if not p.codes:
        return ""
    shown = " · ".join(f"{code}: {count:,}" for code, count in p.codes)
    return f'<div class="mute">{shown}</div>'


def _values(p: ProcessorSnapshot) -> tuple[str, ...]:
    return (
        figures.rate(p.in_per_s),
        figures.rate(p.out_per_s),
        figures.count(p.elements_in),
        figures.count(p.in_flight),
        figures.count(p.backlog),
        figures.count(p.failed),
        figures.count(p.retried),
        figures.latency(p.p50_s),
        figures.latency(p.p95_s),
        figures.latency(p.p99_s),
    )


def _path(p: ProcessorSnapshot) -> str:
    return " → ".join(part for part in (p.source, f"{p.kind} {p.processor_id}", p.sink) if part)


def text(snapshot: FlowSnapshot) -> str:
    """The same as aligned text, with the time of the look."""
    return f"{undated(snapshot)}\nas of {figures.dated(snapshot.at)}"


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
    lines += [
        f"{figures.clean(p.processor_id)}: "
        + " · ".join(f"{code}: {count:,}" for code, count in p.codes)
        for p in snapshot.processors
        if p.codes
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
