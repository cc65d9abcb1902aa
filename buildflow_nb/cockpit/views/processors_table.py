"""The live table of processors: dense, sorted, filtered, and drawn only as far as it is seen.

Each row is a piece of its own, so that an update holds the rows that changed; of hundreds of rows
only those in view (and some around them) are made at all. A column stands there when some row fills
it. Rows that fail come first; by a column of numbers they are put in order now and then, so that
nothing moves under a pointer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.icons import icon, symbol
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.cockpit.views.processor_words import badness, codes_said, state_html, word_of
from buildflow_nb.core.status.snapshot import ProcessorSnapshot, State

__all__ = (
    "COLUMNS",
    "ROW_PX",
    "WINDOW",
    "Order",
    "chosen",
    "head_html",
    "row_html",
    "search_html",
    "shown_columns",
)

ROW_PX = 28
WINDOW = 24  # rows that are drawn
SEARCH_FROM = 10  # processors, from which on there is a search


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what its head says, what is measured, and from which width on it goes."""

    head: str
    meant: str
    kind: str
    value: Callable[[ProcessorSnapshot], str]
    key: Callable[[ProcessorSnapshot], float]  # what it is sorted by, the largest first
    filled: Callable[[ProcessorSnapshot], bool] = lambda _: True


def _number(text: str) -> str:
    return f'<span class="z">{text}</span>' if text == "0" else text


def _both(p: ProcessorSnapshot) -> str:
    if p.p50_s is None:
        return ""
    fast, slow = formats.latency(p.p50_s), formats.latency(p.p99_s)
    (fast, unit), (slow, other) = fast.rsplit(" ", 1), slow.rsplit(" ", 1)
    return f"{fast} · {slow} {unit}" if unit == other else f"{fast} {unit} · {slow} {other}"


def _progress(p: ProcessorSnapshot) -> str:
    if p.progress is None:
        return ""
    share = 100 * p.progress
    said = f"{share:.0f} %" + (f", {_time_left(p.left_s)} left" if p.left_s is not None else "")
    bar = markup.attributes(
        class_="prog", role="progressbar", aria_label=f"progress of {p.processor_id}",
        aria_valuemin=0, aria_valuemax=100, aria_valuenow=f"{share:.0f}",
    )  # fmt: skip
    return f'<span{bar}><b style="width:{share:.0f}%"></b></span> {said}'


def _time_left(seconds: float) -> str:
    for unit, size in (("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


_TIMES = "from taken to settled, of the last two minutes: half took less, and 99 of 100 (a route: from request to answer)"  # noqa: E501
COLUMNS: Mapping[str, Column] = {
    "processor": Column(
        "processor", "by name", "l", lambda p: p.processor_id, lambda _: 0.0),
    "state": Column("state", "by how bad it is", "l", state_html, lambda p: -badness(p)),
    "in": Column(
        "in/s", "elements pulled (requests taken) a second, mean of the last 5 s", "",
        lambda p: _number(formats.rate(p.in_per_s)), lambda p: p.in_per_s),
    "out": Column(
        "out/s", "results written (answers given) a second, mean of the last 5 s", "",
        lambda p: _number(formats.rate(p.out_per_s)), lambda p: p.out_per_s),
    "failed": Column(
        "failed", "failed for good since the start: dropped, given back to the source or written "
        "to the dead letter; tried again is not failed", "",
        lambda p: _number(formats.count(p.failed)), lambda p: p.failed),
    "backlog": Column(
        "backlog", "what waits at the source, as the source tells", "h7",
        lambda p: "" if p.backlog is None else _number(formats.count(p.backlog)),
        lambda p: -1 if p.backlog is None else p.backlog, lambda p: p.backlog is not None),
    "time": Column(
        "p50 · p99", _TIMES, "h8", _both, lambda p: p.p99_s or 0.0,
        lambda p: p.p50_s is not None),
    "progress": Column(
        "progress", "of a source that ends: how much is read, and when it is done at this pace",
        "l h7", _progress, lambda p: p.progress or 0.0, lambda p: p.progress is not None),
    "trend": Column(
        "last 5 min", "elements pulled in each second; the second under way is not drawn", "h9",
        lambda _: "", lambda p: sum(p.history[-60:])),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Order:
    """What a person has the table sorted by and filtered to."""

    by: str = "state"
    query: str = ""
    only: str = ""  # "fails" or "waits"


def chosen(shots: Sequence[ProcessorSnapshot], order: Order) -> list[ProcessorSnapshot]:
    """The processors that a filter lets through, in order."""
    query = order.query.casefold()
    found = [
        p
        for p in shots
        if (not query or query in p.processor_id.casefold())
        and (not order.only or _is(p, order.only))
    ]
    column = COLUMNS.get(order.by, COLUMNS["state"])
    if order.by == "processor":
        return sorted(found, key=lambda p: p.processor_id)
    return sorted(found, key=column.key, reverse=True)


def _is(p: ProcessorSnapshot, only: str) -> bool:
    if only == "waits":
        return p.state is State.WAITING
    return p.state is State.FAILED or bool(p.failed)


def shown_columns(shots: Sequence[ProcessorSnapshot]) -> list[str]:
    """The columns that some row fills."""
    return [name for name, column in COLUMNS.items() if any(map(column.filled, shots))]


def search_html(
    shots: Sequence[ProcessorSnapshot], order: Order, found: int, *, open_: bool
) -> str:
    """The search above many processors; "" where all are in sight."""
    if len(shots) < SEARCH_FROM:
        return ""
    fails = sum(_is(p, "fails") for p in shots)
    waits = sum(_is(p, "waits") for p in shots)
    field = markup.attributes(
        class_="field", type="search", value=order.query, data_act="query", placeholder="search",
        aria_label="search processors", data_find=True,
    )  # fmt: skip
    buttons = "".join(
        markup.button(
            label, "only", only, class_=None, aria_pressed=str(order.only == only).lower(),
            title=title, html=html,
        )
        for only, label, title, html in (
            ("", "All", "all processors", "All"),
            ("fails", f"{fails} fail", "those that fail", f"{icon('fail', 'err')} {fails:,}"),
            ("waits", f"{waits} wait", "those that wait", f"{icon('wait', 'warn')} {waits:,}"),
        )
    )  # fmt: skip
    unfold = markup.button(
        "Fold by name" if open_ else "Unfold all", "unfold", class_="s",
        aria_pressed=str(open_).lower(),
    )  # fmt: skip
    return (
        f'<div class="row pad tools"><span class="search">{symbol("find")}<input{field}></span>'
        f'<span class="mute" role="status">{found:,} of {len(shots):,}</span>'
        f'<span class="grp s" role="group" aria-label="which">{buttons}</span>'
        f'<span class="grow"></span>{unfold}</div>'
    )


def head_html(columns: Sequence[str], order: Order) -> str:
    """The row of heads; a head says what is measured, and sorts."""
    cells = ""
    for name in columns:
        column = COLUMNS[name]
        sorted_ = name == order.by
        direction = "ascending" if name == "processor" else "descending"
        mark = (" ↑" if name == "processor" else " ↓") if sorted_ and name != "state" else ""
        named = markup.attributes(
            class_=column.kind or None, scope="col", aria_sort=direction if sorted_ else None
        )
        button = markup.button(
            f"{column.head}{mark}", "sort", name, class_="text", title=column.meant
        )
        cells += f"<th{named}>{button}</th>"
    return f"<tr>{cells}</tr>"


def row_html(
    p: ProcessorSnapshot, columns: Sequence[str], *, selected: bool, cell: str = ""
) -> tuple[str, str]:
    """One row, and the one beneath it with what is to be said, "" for nothing.

    `cell` is where the processor stands.
    """
    name = p.processor_id
    title = " · ".join(filter(None, (name, f"{p.source} → {p.sink}" if p.sink else p.source, cell)))
    opens = markup.attributes(
        type="button", class_="nm text",
        aria_expanded=str(selected).lower(), title=title,
    )  # fmt: skip
    mark = symbol("fold" if selected else "open")
    cells = f'<td class="name"><button{opens}>{mark}<span class="cut">{quote(name, 80)}</span></button></td>'  # noqa: E501
    for each in columns[1:]:
        column = COLUMNS[each]
        kind = f' class="{column.kind}"' if column.kind else ""
        cells += f"<td{kind}>{_cell(p, each, column)}</td>"
    why = _why(p)
    classes = " ".join(filter(None, ("open2", "on" if selected else "", "has-why" if why else "")))
    row = markup.attributes(class_=classes, data_act="select", data_arg=name, data_key=name)
    made = f"<tr{row}>{cells}</tr>"
    if not why:
        return made, ""
    named = markup.attributes(class_="why", data_key=f"{name} why")
    return made, f'<tr{named}><td colspan="{len(columns)}">{why}</td></tr>'


def _cell(p: ProcessorSnapshot, name: str, column: Column) -> str:
    if name == "trend":
        return _trend(p)
    if name == "failed" and p.failed:
        return markup.button(
            formats.count(p.failed), "failures", p.processor_id, class_="text err strong",
            aria_label=f"{p.failed:,} failed, show them",
            title=f"%buildflow failures {p.processor_id}",
        )  # fmt: skip
    return column.value(p)


def _trend(p: ProcessorSnapshot) -> str:
    tone = word_of(p).tone
    return markup.sparkline(p.history, p.processor_id, "err" if tone == "err" else "mute")


def _why(p: ProcessorSnapshot) -> str:
    """What stands beneath a row, where a sentence has room: the reason, replicas, codes."""
    tone = formats.TONES[p.state]
    tone = tone if tone in ("err", "warn") else ""
    reason = f'<span class="{tone}">{quote(p.reason, 400)}</span>' if p.reason else ""
    codes = codes_said(p) if p.failed else ""
    rest = " · ".join(filter(None, (quote(p.replicas_said, 200), codes)))
    return " ".join(filter(None, (reason, f'<span class="mute">{rest}</span>' if rest else "")))
