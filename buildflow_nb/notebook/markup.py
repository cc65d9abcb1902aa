"""HTML building blocks: the one style sheet, escaping, tables and sparklines.

Every output carries its own style, because a saved notebook is read where no page of ours is.
Colours are Jupyter's (or VS Code's) variables with fallbacks that are readable on their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from buildflow_nb.core.snapshot import State
from buildflow_nb.notebook.figures import NOTHING, SHAPES, TONES, clean

__all__ = ("Cell", "card", "chip", "quote", "sparkline", "table")

WIDTH, HEIGHT = 120, 22  # pixels of a sparkline
POINTS = 60  # points of a sparkline; more cannot be seen at that width

_THEME = (
    ".bf{--fg:var(--jp-ui-font-color1,var(--vscode-foreground,#1f2328));"
    "--mute:var(--jp-ui-font-color2,var(--vscode-descriptionForeground,#656d76));"
    "--line:var(--jp-border-color2,var(--vscode-panel-border,#d8dee4));"
    "--card:var(--jp-layout-color1,var(--vscode-editor-background,#fff));"
    "--soft:var(--jp-layout-color2,var(--vscode-editorWidget-background,#f6f8fa));"
    "--ok:#1a7f5a;--warn:#9a6700;--err:#c2362b;--info:#0b63c4;"
)
_DARK = "--ok:#56b893;--warn:#e0a84e;--err:#f0806f;--info:#6fa8f5"
_LAYOUT = (
    "font:13px/1.45 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--fg);"
    "background:var(--card);border:1px solid var(--line);border-radius:8px;"
    # As wide as its place, and never wider: a widget's place would grow with it and be cut off.
    "box-sizing:border-box;width:0;min-width:min(100%,1040px);overflow:auto}"
    f"[data-jp-theme-light=false] .bf,.vscode-dark .bf{{{_DARK}}}"
    ".bf header,.bf footer{display:flex;gap:12px;align-items:center;flex-wrap:wrap}"
    ".bf header{padding:10px 14px;border-bottom:1px solid var(--line)}"
    ".bf footer{padding:8px 14px;border-top:1px solid var(--line);color:var(--mute)}"
    ".bf h3{font-size:14px;margin:0;font-weight:600;color:var(--fg)}.bf .grow{flex:1}"
    ".bf .mute{color:var(--mute)}.bf .ok{color:var(--ok)}.bf .warn{color:var(--warn)}"
    ".bf .err{color:var(--err)}.bf .info{color:var(--info)}"
    ".bf .chip{white-space:nowrap}.bf .chip i{font-style:normal;display:inline-block;width:1.2em}"
    ".bf table{width:100%;margin:0;border:0;border-collapse:collapse;color:var(--fg);"
    "font:inherit;font-variant-numeric:tabular-nums;table-layout:auto}"
    ".bf tr,.bf tr:hover{background:none}"
    ".bf th,.bf td{text-align:right;border:0;border-bottom:1px solid var(--line);"
    "white-space:nowrap;background:none;vertical-align:top}"
    ".bf th{font-weight:500;color:var(--mute);padding:6px 10px}.bf td{padding:7px 10px}"
    ".bf tr:last-child td{border-bottom:0}.bf .l{text-align:left}"
    ".bf td.w{white-space:normal;overflow-wrap:anywhere;min-width:10em;text-align:left}"
    ".bf code,.bf pre{font:12px/1.5 var(--jp-code-font-family,monospace);color:inherit;"
    "background:none;padding:0}"
    ".bf pre{margin:0;padding:10px 14px;background:var(--soft);overflow:auto;max-height:24em}"
)
# JupyterLab styles tables in outputs with two classes and a tag; three classes win over that.
STYLE = f"<style>{_THEME}{_LAYOUT.replace('.bf ', '.bf.bf.bf ')}</style>"

Cell = tuple[str, str]  # HTML and the classes of its table cell


def quote(text: str, limit: int | None = None) -> str:
    """Text from anywhere, safe inside HTML and attributes."""
    return escape(clean(text, limit), quote=True)


def chip(state: State, note: str = "") -> str:
    """A state as shape, word and colour, with a note after it (plain text)."""
    said = f"{state.value}{': ' if note else ''}{quote(note, 200)}"
    shape = f'<i aria-hidden="true">{SHAPES[state]}</i>'
    return f'<span class="chip {TONES[state]}">{shape}{said}</span>'


def table(label: str, heads: Sequence[Cell], rows: Iterable[Sequence[Cell]]) -> str:
    """A table; heads and cells are HTML with classes (`l` left, `w` wraps)."""
    top = "".join(f'<th scope="col" class="{kind}">{html}</th>' for html, kind in heads)
    body = "".join(
        "<tr>" + "".join(f'<td class="{kind}">{html}</td>' for html, kind in row) + "</tr>"
        for row in rows
    )
    opened = f'<table aria-label="{quote(label)}">'
    return f"{opened}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def card(label: str, header: str, body: str, footer: str = "") -> str:
    """One framed view; `header`, `body` and `footer` are HTML."""
    foot = f"<footer>{footer}</footer>" if footer else ""
    opened = f'<section class="bf" role="region" aria-label="{quote(label)}">'
    return f"{STYLE}{opened}<header>{header}</header>{body}{foot}</section>"


def sparkline(history: Sequence[int], label: str, tone: str = "info") -> str:
    """A small line of counts a second, oldest first, named for screen readers."""
    if len(history) < 2 or not any(history):  # noqa: PLR2004  (a line has two ends)
        return f'<span class="mute" aria-label="{quote(label)}: no elements yet">{NOTHING}</span>'
    points = _thinned(history)
    top, step = max(points), WIDTH / (len(points) - 1)
    drawn = " ".join(
        f"{i * step:.0f},{HEIGHT - 2 - (HEIGHT - 4) * value / top:.1f}"
        for i, value in enumerate(points)
    )
    said = f"{quote(label)}: now {history[-1]:,}/s, at most {max(history):,}/s"
    opened = (
        f'<svg class="{tone}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{said}">'
    )
    line = '<polyline fill="none" stroke="currentColor" stroke-width="1.5" points='
    return f'{opened}<title>{said}</title>{line}"{drawn}"/></svg>'


def _thinned(history: Sequence[int]) -> list[float]:
    """Average neighbours so that at most `POINTS` remain."""
    group = -(-len(history) // POINTS)
    parts = [history[i : i + group] for i in range(0, len(history), group)]
    return [sum(part) / len(part) for part in parts]
