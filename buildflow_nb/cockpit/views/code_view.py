"""The code of a processor: with line numbers, where it stands, and what its last change changed."""

from __future__ import annotations

import difflib
import inspect

from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.core.declaring.flow_spec import ProcessorSpec

__all__ = ("code_html", "source_of")

MOST_LINES = 400


def source_of(spec: ProcessorSpec) -> str:
    """The text of a processor's function or class, "" where it is not at hand."""
    try:
        return inspect.getsource(inspect.unwrap(spec.processor.target))
    except (OSError, TypeError):
        return ""


def code_html(source: str, cell: str, version: int, before: str = "") -> str:
    """The source; where the code `before` is known, lines that came and went are marked."""
    if not source:
        return '<p class="mute">its source is not at hand</p>'
    where = f", from {cell}" if cell else ""
    marks, rows = _marked(before, source), ""
    number = 0
    for mark, text in marks[:MOST_LINES]:
        number += mark != "-"
        kind = {"-": "del", "+": "add"}.get(mark, "")
        shown = "" if mark == "-" else str(number)
        rows += (
            f'<div class="{kind}"><span class="ln">{shown}</span>'
            f'<span class="ln">{mark.strip()}</span>{quote(text)}</div>'
        )
    changed = sum(mark != " " for mark, _ in marks)
    said = f"{changed} lines differ from v{version - 1}" if changed else "it runs as it stands"
    more = f", first {MOST_LINES} lines" if len(marks) > MOST_LINES else ""
    return (
        f'<div class="row tools"><b>v{version}{quote(where)}</b>'
        f'<span class="mute">{said}{more}</span></div>'
        f'<pre class="inset src" tabindex="0">{rows}</pre>'
    )


def _marked(before: str, now: str) -> list[tuple[str, str]]:
    """Each line with "+" where it came, "-" where it went, " " where it stayed."""
    if not before or before == now:
        return [(" ", line) for line in now.splitlines()]
    found = difflib.ndiff(before.splitlines(), now.splitlines())
    return [(line[0], line[2:]) for line in found if line[0] != "?"]
