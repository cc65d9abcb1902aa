"""HTML building blocks: the one style sheet, escaping, tables and sparklines.

Every output carries its own style, because a saved notebook is read where no page of ours is.
Colours are Jupyter's (or VS Code's) variables with fallbacks that are readable on their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from html import escape
from itertools import repeat
from pathlib import Path

from buildflow_nb.cockpit.views.formats import NOTHING, clean, mark
from buildflow_nb.core.status.snapshot import HISTORY_S, State

__all__ = (
    "Cell",
    "attributes",
    "button",
    "card",
    "chip",
    "live",
    "quote",
    "sparkline",
    "style_sheet",
    "table",
    "without_style",
)

WIDTH, HEIGHT = 100, 22  # pixels of a sparkline
SHORT = 120  # characters of a text that is likely to be quoted again
POINTS = 40  # points of a sparkline; more cannot be seen at that width


@cache
def style_sheet() -> str:
    """The style sheet, ready to stand in any output.

    JupyterLab styles tables in outputs with two classes and a tag; three classes win over that.
    """
    text = (Path(__file__).parents[1] / "static" / "cockpit.css").read_text("utf-8")
    bare = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"\.bf(?=[ .])", ".bf.bf.bf", "".join(bare.splitlines()))


Cell = tuple[str, str]  # HTML and the classes of its table cell


def quote(text: str, limit: int | None = None) -> str:
    """Text from anywhere, safe inside HTML and attributes."""
    return _short(text, limit) if len(text) <= SHORT else escape(clean(text, limit), quote=True)


@lru_cache(maxsize=2_048)
def _short(text: str, limit: int | None) -> str:
    """The same for what a live view says again with every update: names, states, lines."""
    return escape(clean(text, limit), quote=True)


def chip(state: State, failures: str = "") -> str:
    """A state as shape, word and colour; `failures` says how bad they are (`formats.bad`)."""
    shape, tone = mark(state, failures)
    return f'<span class="chip {tone}"><i aria-hidden="true">{shape}</i>{state.value}</span>'


def table(
    label: str,
    heads: Sequence[Cell],
    rows: Iterable[Sequence[Cell]],
    marks: Sequence[str] = (),
) -> str:
    """A table; heads and cells are HTML with classes (`l` left, `w` wraps).

    `marks` are the attributes of each row, ready quoted. A row of one cell is as wide as all.
    """
    top = "".join(f'<th scope="col" class="{kind}">{html}</th>' for html, kind in heads)
    body = "".join(
        f"<tr{named}>{_cells(row, len(heads))}</tr>"
        for row, named in zip(rows, marks or repeat(""), strict=False)
    )
    opened = f'<table aria-label="{quote(label)}">'
    head = f"<thead><tr>{top}</tr></thead>" if top else ""
    return f"{opened}{head}<tbody>{body}</tbody></table>"


def _cells(row: Sequence[Cell], columns: int) -> str:
    if len(row) == 1 < columns:
        html, kind = row[0]
        return f'<td class="{kind}" colspan="{columns}">{html}</td>'
    return "".join(f'<td class="{kind}">{html}</td>' for html, kind in row)


def card(label: str, header: str, body: str, footer: str = "", *, twin: str = "") -> str:
    """One framed view; `header`, `body` and `footer` are HTML.

    `twin` names the live view that it stands in for, which hides it as long as it lives.
    """
    foot = f"<footer>{footer}</footer>" if footer else ""
    named = attributes(role="region", aria_label=label, data_bf_twin=twin or None)
    head = f"<header>{header}</header>" if header else ""
    box = f'<div class="box">{body}</div>' if body else ""
    return f'<style>{style_sheet()}</style><section class="bf"{named}>{head}{box}{foot}</section>'


def without_style(html: str) -> str:
    """A card that stands in a view which has the style sheet already."""
    return html.replace(f"<style>{style_sheet()}</style>", "")


def attributes(**words: object) -> str:
    """Attributes of an element, quoted; `_` is a dash, None leaves one out, True needs no value."""
    found = ((name.rstrip("_").replace("_", "-"), value) for name, value in words.items())
    return "".join(
        f" {name}" if value is True else f' {name}="{quote(str(value))}"'
        for name, value in found
        if value is not None and value is not False
    )


def button(
    label: str, act: str, arg: str = "", *, off: str = "", html: str = "", **words: object
) -> str:
    """A button that asks the kernel for `act`; `words` are further attributes.

    What it shows is its label, or `html` with the label for screen readers.

    `off` says why it cannot be pressed now; a screen reader still finds it, and reads why. What a
    button waits for stands on it.
    """
    if off.startswith("waits for "):
        label = f"{label} · {off}"
    if off:
        title = words.get("title")
        words |= {"title": f"{title} ({off})" if title else off, "aria_disabled": "true"}
    if html:
        words.setdefault("aria_label", label)
    named = attributes(type="button", data_act=act, data_arg=arg or None, **words)
    return f"<button{named}>{html or quote(label)}</button>"


def live(label: str, line: str) -> str:
    """A line of code with a button that copies it, ready to be pasted as a cell."""
    return (
        f"<code>{quote(line)}</code> "
        f'<button type="button" class="text"{attributes(data_copy=line, aria_label=label)}>'
        "copy as cell</button>"
    )


@lru_cache(maxsize=128)
def sparkline(history: tuple[int, ...], label: str, tone: str = "info") -> str:
    """A small line of counts a second, oldest first, named for screen readers.

    It changes once a second; a live view is drawn four times as often.
    """
    if len(history) < 2 or not any(history):  # noqa: PLR2004  (a line has two ends)
        return f'<span class="mute" aria-label="{quote(label)}: no elements yet">{NOTHING}</span>'
    points = _thinned(history)
    top, step = max(points), WIDTH / (len(points) - 1)
    heights = [HEIGHT - 2 - round((HEIGHT - 4) * value / top) for value in points]
    drawn = " ".join(f"{round(i * step)},{y}" for i, y in enumerate(heights))
    span = f"{len(history)} s" if len(history) < HISTORY_S else f"{HISTORY_S // 60} minutes"
    said = f"{quote(label)}, {span}: now {history[-1]:,}/s, at most {max(history):,}/s"
    return (
        f'<svg class="spark {tone}" width="{WIDTH}" height="{HEIGHT}" role="img">'
        f'<title>{said}</title><polyline points="{drawn}"/></svg>'
    )


def _thinned(history: Sequence[int]) -> list[float]:
    """Average neighbours so that at most `POINTS` remain."""
    group = -(-len(history) // POINTS)
    parts = [history[i : i + group] for i in range(0, len(history), group)]
    return [sum(part) / len(part) for part in parts]
