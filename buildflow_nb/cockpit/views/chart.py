"""What a processor has done over time, as plots and as text: pure functions of a history.

There is no script in a chart: who points at a step of one plot has the same step chosen in all of
them by the style sheet (`:has`), which moves a line and a strip of numbers there. So a saved
notebook can be pointed at as well. Lines are SVG that is stretched, words are HTML, so that these
are never scaled.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from buildflow_nb.cockpit.views import formats, markup
from buildflow_nb.cockpit.views.chart_points import COLUMN, POINTS, SERIES, Points, points_of
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.core.status.history import SPANS, History, Mark

__all__ = ("Chart", "chart_html", "chart_text")

COLUMNS = POINTS // COLUMN  # that can be pointed at, in groups of ten (cockpit.css counts on both)
GROUP = 10
MARKS = 6  # drawn; the text tells of as many, the newest
NEAR = 0.18  # of the width, that the name of a mark takes
BLOCKS = "▁▂▃▄▅▆▇█"
_TEXT_POINTS = 40
_SAID = {"10m": "10 minutes", "1h": "hour", "24h": "24 hours"}
_STEPS = (1, 2, 5, 10)
Write = Callable[[float | None], str]


@dataclass(frozen=True, slots=True)
class _Line:
    series: str
    name: str
    tone: str


@dataclass(frozen=True, slots=True)
class _Plot:
    title: str
    unit: str  # what one value is in, where all of them are
    lines: tuple[_Line, ...]
    write: Write
    meant: str


def _amount(value: float | None) -> str:
    if value is None:
        return formats.NOTHING
    return formats.brief(round(value)) if value >= 10 or not value % 1 else f"{value:.2g}"  # noqa: PLR2004


_THROUGHPUT = _Plot(
    "throughput",
    "/s",
    (_Line("in", "in", "mute"), _Line("out", "out", "info")),
    _amount,
    "elements taken, and results written, a second",
)
_FAILED = _Plot(
    "failed",
    "/s",
    (_Line("failed", "failed", "err"),),
    _amount,
    "elements that failed for good, a second",
)
_LATENCY = _Plot(
    "latency",
    "",
    (_Line("p50", "p50", "info"), _Line("p99", "p99", "mute")),
    formats.latency,
    "from pull to settled (a route: to its answer), of what was done with in that second",
)
_BACKLOG = _Plot(
    "backlog", "", (_Line("backlog", "waiting", "info"),), _amount, "what waits at the source"
)


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of a span that ended when it was made; shows itself in a cell."""

    history: History
    span: str
    now: float

    def __repr__(self) -> str:
        return chart_text(self.history, span=self.span, now=self.now)

    def _repr_html_(self) -> str:
        name = self.history.processor_id
        head = f"<h3>{quote(name, 80)}</h3><span class=mute>last {_SAID[self.span]}</span>"
        as_of = f'<span class=grow></span><span class="mute">as of {formats.dated(self.now)}'
        body = chart_html(self.history, span=self.span, now=self.now)
        return markup.card(f"Chart of {name}", f"{head}{as_of}</span>", body)


def chart_html(history: History, *, span: str, now: float, backlog: bool = True) -> str:
    """The plots of a span ("10m", "1h", "24h") that ends now, at most 10 kB.

    That of the backlog is there where the source tells, unless it is not wanted.
    """
    points = points_of(history, span, now)
    if not any(points.seen(name) for name in SERIES):
        return f'<p class="pad mute">{_nothing(points)}</p>'
    plots = [_THROUGHPUT, _FAILED, _LATENCY]
    plots += [_BACKLOG] if backlog and points.seen("backlog") else []
    drawn = "".join(_plot(plot, points, named=not i) for i, plot in enumerate(plots))
    label = f"chart of {formats.clean(points.processor_id, 40)}, last {_SAID[span]}"
    foot = f"<span>{_note(points)}</span>"
    return (
        f'<div class="charts"{markup.attributes(role="group", aria_label=label)}>'
        f'<div class="plots p{len(plots)}">{drawn}</div>'
        '<div class="row pad mute chart-foot"><span>at '
        f"<b class=strip><span>{_strip(map(points.said, _chosen()))}</span></b>"
        f"</span>{foot}</div></div>"
    )


def chart_text(history: History, *, span: str, now: float) -> str:
    """The same as text: a line of blocks for each series, with its numbers."""
    points = points_of(history, span, now)
    if not any(points.seen(name) for name in SERIES):
        return f"{points.processor_id}: {_nothing(points)}"
    head = f"{points.processor_id}, last {_SAID[span]}, to {_clock(points.end)}"
    lines = [head]
    for plot in (_THROUGHPUT, _FAILED, _LATENCY, _BACKLOG):
        for line in plot.lines:
            seen = points.seen(line.series)
            if not seen:
                continue
            name = f"{line.name}{plot.unit}" if line.series != "backlog" else "backlog"
            said = _numbers(points, line.series, plot.write)
            lines.append(f"  {name:<9} {_blocks(points.series[line.series])}  {said}")
    if points.marks:
        told = ", ".join(f"{_clock(mark.at)} {mark.said}" for mark in points.marks[-MARKS:])
        lines.append(f"  marks     {told}")
    return "\n".join([*lines, f"  {_note(points)}"])


def _nothing(points: Points) -> str:
    if points.ends_at is None:
        return "nothing is remembered yet; a run writes a row a second"
    last = formats.dated(points.ends_at)
    return f"nothing ran in the last {_SAID[points.span]}; the last row is of {last}"


def _note(points: Points) -> str:
    step = points.step_s
    said = f"{step:g} s" if step < 60 else f"{step / 60:g} min"  # noqa: PLR2004
    gaps = "; a gap: it did not run" if points.broken else ""
    return f"each point is the highest of {said}{gaps}"


def _numbers(points: Points, series: str, write: Write) -> str:
    seen = points.seen(series)
    return f"min {write(min(seen))}, max {write(max(seen))}, last {write(points.last(series))}"


def _blocks(series: Sequence[float | None]) -> str:
    """A line of blocks; of the points that fall together, the highest; a space for a gap."""
    group = len(series) // _TEXT_POINTS
    top = max(value for value in series if value is not None)
    found = []
    for start in range(0, len(series), group):
        seen = [value for value in series[start : start + group] if value is not None]
        level = math.ceil(max(seen) / top * (len(BLOCKS) - 1)) if seen and top else 0
        found.append(BLOCKS[level] if seen else " ")
    return "".join(found)


def _clock(at: float) -> str:
    return formats.clock(at)


# -- one plot ----------------------------------------------------------------------------------


def _plot(plot: _Plot, points: Points, *, named: bool) -> str:
    top = _top(max((max(points.seen(line.series), default=0) for line in plot.lines), default=0))
    legend = " · ".join(
        f'<span class="{line.tone}">{line.name}</span>'
        for line in plot.lines
        if len(plot.lines) > 1
    )
    said = "; ".join(
        f"{line.name}{plot.unit}: {_numbers(points, line.series, plot.write)}"
        for line in plot.lines
        if points.seen(line.series)
    )
    label = f"{plot.title} from {_clock(points.start)} to {_clock(points.end)}, {said or 'none'}"
    lines = "".join(_line(points.series[line.series], top, line.tone) for line in plot.lines)
    shown = points.marks[-MARKS:]
    strip = _strip(
        _pair([plot.write(_highest(points.series[line.series], i)) for line in plot.lines])
        for i in _chosen()
    )
    return (
        f'<div class=chart><div class=row><b title="{quote(plot.meant)}">{plot.title}</b>'
        f"<span class=grow></span>{legend} <b class=strip><span>{strip}</span></b>{plot.unit}"
        f'</div><div class=plot><svg viewBox="0 0 {POINTS} 100" preserveAspectRatio=none '
        f'role=img aria-label="{quote(label)}"><path class=line d="M0 0h{POINTS}M0 50h{POINTS}'
        f'M0 100h{POINTS}"/>{_marked(shown, points)}{lines}</svg>'
        f"{_names(shown, points) if named else ''}<i class=cross></i>{_HOVERED}"
        f"{_scale(top, plot)}</div>{_times(points)}</div>"
    )


def _top(most: float) -> float:
    """The end of a scale: one, two or five with zeros, that nothing is above."""
    if most <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(most))
    return next(step * size for step in _STEPS if most <= step * size * 1.000001)


def _line(series: Sequence[float | None], top: float, tone: str) -> str:
    """A line with a break at each gap, in whole hundredths of the height; one point is a dot."""
    drawn: list[str] = []
    before: int | None = None
    level = 0  # steps that stay at one height
    for index, value in enumerate([*series, None]):
        y = None if value is None else 100 - round(100 * value / top)
        if y is not None and y == before:
            level += 1
            continue
        if level:
            drawn.append(f"h{level}")
        elif before is not None and y is None and drawn[-1][0] == "M":
            drawn.append("h.1")
        level = 0
        if y is not None and before is None:
            drawn.append(f"M{index}.5 {y}")
        elif y is not None and before is not None:
            sign = "" if y < before else " "
            opened = " " if drawn[-1][0] in "l " else "l"
            drawn.append(f"{opened}1{sign}{y - before}")
        before = y
    return f'<path class="{tone}" d="{"".join(drawn)}"/>' if drawn else ""


def _marked(marks: Iterable[Mark], points: Points) -> str:
    found: dict[str, str] = {}
    for mark in marks:
        tone = _tone(mark)
        found[tone] = found.get(tone, "") + f"M{points.share(mark.at) * POINTS:.1f} 0v100"
    return "".join(f'<path class="mark {tone}" d="{d}"/>' for tone, d in found.items())


def _names(marks: Sequence[Mark], points: Points) -> str:
    """The names of marks, where there is room for them; the newest first."""
    found: list[str] = []
    free = 1.0 + NEAR
    for mark in reversed(marks):
        at = points.share(mark.at)
        if at > free - NEAR:
            continue
        free = at - NEAR / 2 if at > 1 - NEAR else at
        said = mark.text if mark.kind == "swapped" and mark.text else mark.said
        found.append(
            f'<span class="mark {_tone(mark)}{_edge(at)}" style="left:{at:.1%}" title="'
            f'{_clock(mark.at)} {quote(mark.said)}">{quote(said, 20)}</span>'
        )
    return "".join(found)


def _edge(at: float) -> str:
    """Which way a name goes that would go over an edge."""
    return " to-left" if at > 1 - NEAR else " to-right" if at < NEAR else ""


def _tone(mark: Mark) -> str:
    return {"swapped": "info", "failed": "err"}.get(mark.kind, "mute")


def _scale(top: float, plot: _Plot) -> str:
    words = ((0, plot.write(top) + plot.unit), (50, plot.write(top / 2)), (100, "0"))
    return "".join(f"<span class=ya style=top:{at}%>{quote(said)}</span>" for at, said in words)


def _times(points: Points) -> str:
    times = (points.start + share * (points.end - points.start) / 4 for share in range(5))
    said = "".join(f"<span>{time.strftime('%H:%M', time.localtime(at))}</span>" for at in times)
    return f"<div class=xa aria-hidden=true>{said}</div>"


# -- pointing at a step ------------------------------------------------------------------------

_HOVERED = (
    "<div class=hov aria-hidden=true>"
    + ("<div>" + "<p>" * GROUP + "</div>") * (COLUMNS // GROUP)  # a <p> ends the one before it
    + "</div>"
)


def _chosen() -> range:
    """The first point of each column that can be pointed at."""
    return range(0, POINTS, COLUMN)


def _highest(series: Sequence[float | None], index: int) -> float | None:
    """The higher of the points of a column."""
    seen = [value for value in series[index : index + COLUMN] if value is not None]
    return max(seen, default=None)


def _pair(said: Sequence[str]) -> str:
    """Two values with their unit once, where it is the same."""
    first, last = said[0], said[-1]
    number, _, unit = first.partition(" ")
    same = len(said) > 1 and unit and last.endswith(f" {unit}")
    return f"{number} · {last}" if same else " · ".join(said)


def _strip(texts: Iterable[str]) -> str:
    """Lines of which the style sheet shows the one that is pointed at."""
    return "\n".join(map(quote, texts))


assert set(_SAID) == set(SPANS)  # noqa: S101  (two tables of the same spans)
