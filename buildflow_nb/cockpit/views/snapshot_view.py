"""A flow's snapshot as HTML and as text: pure functions of data, the same facts in both.

The text is what terminals, screen readers and diffs of saved notebooks see.
"""

from __future__ import annotations

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.head_view import health_html, health_words
from buildflow_nb.cockpit.views.markup import Cell, quote
from buildflow_nb.cockpit.views.processor_words import codes_said, state_html, word_of
from buildflow_nb.core.status.health import HealthLine, health_of
from buildflow_nb.core.status.snapshot import FlowSnapshot, ProcessorSnapshot

__all__ = ("aligned", "facts", "head", "html", "table", "text", "title", "undated")

_LEFT = 2  # the first columns, name and state, are text
_COLUMNS = {  # and from which width on a narrow page they go
    "processor": "l",
    "state": "l",
    "in/s": "",
    "out/s": "h6",
    "total": "h6",
    "in flight": "h7",
    "backlog": "",
    "failed": "",
    "retries": "h8",
    "p50": "h8",
    "p95": "h8",
    "p99": "",
}
_SPARK = "trend"
_QUANTILE = (
    "of the elements of the last two minutes took no longer than this, from pull to settled, "
    "waiting included (a route: from request to answer); Elements shows the call alone"
)
_MEANT = {  # what is measured, for whoever points at a head
    "in/s": "elements pulled (requests taken) a second, over the last 5 s",
    "out/s": "results written (answers given) a second, over the last 5 s",
    "total": "elements pulled since it was started",
    "in flight": "pulled, and not settled yet",
    "backlog": "what waits at the source, as the source tells; a dash where it cannot",
    "failed": "failed for good: dropped, given back to the source or written to the dead letter",
    "retries": "how often an element was tried again after an error",
    "p50": f"half {_QUANTILE}",
    "p95": f"95 of 100 {_QUANTILE}",
    "p99": f"99 of 100 {_QUANTILE}",
    _SPARK: "elements pulled in each of the last seconds, five minutes of them at most",
}
_HEADS = tuple(_COLUMNS)
_FAILED = _HEADS.index("failed") - _LEFT


def facts(snapshot: FlowSnapshot) -> object:
    """What makes two snapshots look different, apart from the time of the look."""
    return (snapshot.flow_id, snapshot.stack, snapshot.state, snapshot.address, snapshot.processors)


def html(
    snapshot: FlowSnapshot,
    graph: str = "",
    *,
    health: HealthLine | None = None,
    note: str = "",
    twin: str = "",
) -> str:
    """One card: head, how it is, graph, a row a processor, date.

    How it is, is told by the snapshot alone, unless `health` is given.
    """
    tone, subject, said, _ = health_words(health or health_of(snapshot))
    told = health_html(tone, subject, said, ("", ""), None) if snapshot.processors else ""
    body = f'{told}{graph}<div class="box">{table(snapshot)}</div>'
    as_of = f'<span class="mute">as of {formats.dated(snapshot.at)}</span>'
    return markup.card(
        title(snapshot), head(snapshot) + as_of, body, _footer(snapshot, note), twin=twin
    )


def title(snapshot: FlowSnapshot) -> str:
    """The name of the view, for screen readers."""
    return f"Flow {snapshot.flow_id} on stack {snapshot.stack}"


def head(snapshot: FlowSnapshot) -> str:
    """Name, stack, state and address of the flow, as HTML."""
    begun = snapshot.started_at if snapshot.since is None else snapshot.since
    since = "" if begun is None else f" since {formats.clock(begun)}"
    cloud = f" · {snapshot.cloud} cloud" if snapshot.cloud else ""
    address = "" if snapshot.state.ended else _address(snapshot.address)
    return (
        f"<h3>{quote(snapshot.flow_id, 80)}</h3>"
        f'<span class="mute">stack <b>{quote(snapshot.stack, 80)}</b>{cloud}</span>'
        f"<span>{markup.chip(snapshot.state, formats.bad(*snapshot.processors))}{since}</span>"
        f'<span class="grow"></span>{address}'
    )


def _address(address: str | None) -> str:
    """Where routes are served, as a link to their documentation."""
    if not address:
        return ""
    named = markup.attributes(
        href=f"{address}/docs", target="_blank", rel="noopener", title="what is served, to be tried"
    )
    return f"<a{named}><code>{quote(address)}</code></a>"


def table(snapshot: FlowSnapshot) -> str:
    """A row a processor, as HTML."""
    if not snapshot.processors:
        return (
            '<pre class="mute">no processors yet; write one in a cell under '
            "%%buildflow consumer source=…</pre>"
        )
    heads: list[Cell] = [_head(name, kind) for name, kind in _COLUMNS.items()]
    heads.append(_head(_SPARK, "l h9"))
    rows: list[list[Cell]] = []
    marks: list[str] = []
    for p in snapshot.processors:
        why = _why(p)
        rows.append(_row(p))
        marks.append(markup.attributes(class_="has-why" if why else None))
        if why:
            rows.append([(why, "w why")])
            marks.append(markup.attributes(class_="why"))
    made = markup.table("Processors", heads, rows, marks)
    return f'<div class="wide" role="group" aria-label="numbers" tabindex="0">{made}</div>'


def _head(name: str, kind: str) -> Cell:
    meant = _MEANT.get(name)
    return (f"<span{markup.attributes(title=meant)}>{name}</span>" if meant else name), kind


def _why(p: ProcessorSnapshot) -> str:
    """What stands beneath a row, where a sentence has room: the reason, replicas, codes."""
    tone = formats.mark(p.state)[1]
    reason = f'<div class="{tone}">{quote(p.reason, 400)}</div>' if p.reason else ""
    rest = " · ".join(filter(None, (quote(p.replicas_said, 200), codes_said(p))))
    return reason + (f'<div class="mute">{rest}</div>' if rest else "")


def _footer(snapshot: FlowSnapshot, note: str) -> str:
    troubled = next((p for p in snapshot.processors if p.failed), None)
    hint = (
        f"<code>%buildflow failures {quote(troubled.processor_id, 80)}</code>" if troubled else ""
    )
    how = "<code>%buildflow</code> shows it live, <code>%buildflow status</code> as it is now"
    said = quote(note) or how
    return f'<span>{said}</span><span class="grow"></span>{hint}'


def _row(processor: ProcessorSnapshot) -> list[Cell]:
    named = processor.processor_id
    title = f"{named}: {_path(processor)}"
    shown = f"<b{markup.attributes(class_='name', title=title)}>{quote(named, 200)}</b>"
    cells: list[Cell] = [(shown, "l"), (state_html(processor), "l")]
    cells += zip(_values(processor), list(_COLUMNS.values())[_LEFT:], strict=True)
    if processor.failed:
        cells[_LEFT + _FAILED] = (formats.count(processor.failed), "err strong")
    tone = word_of(processor).tone
    spark = markup.sparkline(processor.history, named, "err" if tone == "err" else "mute")
    return [*cells, (spark, "l h9")]


def _values(p: ProcessorSnapshot) -> tuple[str, ...]:
    return (
        formats.rate(p.in_per_s),
        formats.rate(p.out_per_s),
        formats.count(p.elements_in),
        formats.count(p.in_flight),
        formats.count(p.backlog),
        formats.count(p.failed),
        formats.count(p.retried),
        formats.latency(p.p50_s),
        formats.latency(p.p95_s),
        formats.latency(p.p99_s),
    )


def _path(p: ProcessorSnapshot) -> str:
    return " → ".join(part for part in (p.source, f"{p.kind} {p.processor_id}", p.sink) if part)


def text(snapshot: FlowSnapshot, health: HealthLine | None = None) -> str:
    """The same as aligned text, with the time of the look."""
    return f"{undated(snapshot, health)}\nas of {formats.dated(snapshot.at)}"


def undated(snapshot: FlowSnapshot, health: HealthLine | None = None) -> str:
    """The text without its date: two of them differ where there is something new to read."""
    cloud = f"{snapshot.cloud} cloud · " if snapshot.cloud else ""
    head = f"{snapshot.flow_id} · stack {snapshot.stack} · {cloud}{snapshot.state.value}"
    if snapshot.address and not snapshot.state.ended:
        head += f" · {snapshot.address}"
    lines = [formats.clean(head)]
    if snapshot.processors:
        lines.append(formats.clean((health or health_of(snapshot)).line))
    rows = [
        (formats.clean(p.processor_id, 40), formats.label(p), *_values(p))
        for p in snapshot.processors
    ]
    lines += aligned(_HEADS, rows, left=_LEFT) if rows else ["no processors yet"]
    lines += [
        formats.clean(f"{p.processor_id}: {said}", 200)
        for p in snapshot.processors
        for said in (p.reason, p.replicas_said)
        if said
    ]
    lines += [
        f"{formats.clean(p.processor_id)}: {codes_said(p)}" for p in snapshot.processors if p.codes
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
