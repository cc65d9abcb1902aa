"""The rows of the live table, as pieces: those in sight, in an order that holds still.

Rows are sorted anew when somebody sorts or filters, when one begins or ceases to fail, and now and
then; never while a pointer is over them.
"""

from __future__ import annotations

import time

from buildflow_nb.cockpit.cockpit import Cockpit
from buildflow_nb.cockpit.panel.view_state import ViewState
from buildflow_nb.cockpit.views import markup
from buildflow_nb.cockpit.views.processor_words import badness
from buildflow_nb.cockpit.views.processors_table import (
    ROW_PX,
    WINDOW,
    chosen,
    head_html,
    row_html,
    search_html,
    shown_columns,
)
from buildflow_nb.core.status.snapshot import FlowSnapshot, ProcessorSnapshot

__all__ = ("Rows",)

SORT_S = 3.0  # between two sorts by numbers
ABOVE = 3  # rows that are drawn above those in sight


class Rows:
    """The table of one panel."""

    def __init__(self, cockpit: Cockpit) -> None:
        self._cockpit = cockpit
        self._order: list[str] = []
        self._key: object = None
        self._sorted_at = 0.0
        self.failing: list[str] = []  # in the order in which they stand
        self._opened: tuple[str, int] = ("", 0)  # what was opened last, and where one was then

    def parts(self, snapshot: FlowSnapshot, state: ViewState) -> dict[str, str]:
        """The search, the table with its slot of rows, and the rows in sight."""
        shots = snapshot.processors
        if not shots:
            return {"tools": "", "table": _nothing()}
        found = self._ordered(shots, state)
        self.failing = [p.processor_id for p in found if badness(p) <= 1]
        columns = shown_columns(shots)
        scrolls = len(found) > WINDOW
        first = self._first(found, state) if scrolls else 0
        last = first + WINDOW
        parts = {
            "tools": search_html(shots, state.order, len(found), open_=state.unfolded),
            "table": _table(columns, state, scrolls=scrolls),
        }
        if first:
            parts["rows/ above"] = _space(first, len(columns), "above")
        for p in found[first:last]:
            name = p.processor_id
            selected = name == state.selected
            cell = self._cockpit.cell_of(name)
            row, why = row_html(p, columns, selected=selected, cell=cell)
            parts[f"rows/{name}"] = row
            if why:
                parts[f"rows/{name} why"] = why
            if selected:
                parts["rows/ drawer"] = _drawer(len(columns), name)
        if len(found) > last:
            parts["rows/ below"] = _space(len(found) - last, len(columns), "below")
        return parts

    def _first(self, found: list[ProcessorSnapshot], state: ViewState) -> int:
        """The first row that is drawn: some above the first in sight, and never past the end.

        A row that is opened, wherever it stands, is the first in sight, until somebody scrolls.
        """
        if state.selected != self._opened[0]:
            self._opened = (state.selected, state.first)
        first = state.first
        if state.selected and first == self._opened[1]:
            places = [i for i, p in enumerate(found) if p.processor_id == state.selected]
            drawn = range(first - ABOVE, first - ABOVE + WINDOW)
            first = places[0] if places and places[0] not in drawn else first
        return max(0, min(first - ABOVE, len(found) - WINDOW))

    def _ordered(
        self, shots: tuple[ProcessorSnapshot, ...], state: ViewState
    ) -> list[ProcessorSnapshot]:
        now = time.monotonic()
        by_badness = tuple(map(badness, shots)) if state.sort == "state" else ()
        names = tuple(p.processor_id for p in shots)
        key = (state.order, names, by_badness)
        stale = state.sort not in ("state", "processor") and now - self._sorted_at > SORT_S
        if (key != self._key or stale) and not (state.held and self._same_question(key)):
            self._order = [p.processor_id for p in chosen(shots, state.order)]
            self._key, self._sorted_at = key, now
        by_name = {p.processor_id: p for p in shots}
        return [by_name[name] for name in self._order if name in by_name]

    def _same_question(self, key: tuple[object, ...]) -> bool:
        """Whether a person has asked for nothing else since, and nothing came or went."""
        return isinstance(self._key, tuple) and self._key[:2] == key[:2]


def _table(columns: list[str], state: ViewState, *, scrolls: bool) -> str:
    box = markup.attributes(
        class_="rows tall-rows" if scrolls else "rows", data_hold=True,
        data_scroll=ROW_PX if scrolls else None, tabindex=0 if scrolls else None,
        role="group", aria_label="numbers",
    )  # fmt: skip
    return (
        f'<div{box}><table class="procs" aria-label="Processors">'
        f"<thead>{head_html(columns, state.order)}</thead>"
        f'<tbody data-slot="rows"></tbody></table></div>'
    )


def _drawer(columns: int, name: str) -> str:
    named = markup.attributes(class_="drawer", data_key=" drawer")
    region = markup.attributes(role="region", aria_label=f"processor {name}", data_drawer=name)
    return (
        f'<tr{named}><td colspan="{columns}" data-view><div{region} data-slot="drawer"></div>'
        "</td></tr>"
    )


def _space(rows: int, columns: int, which: str) -> str:
    """What stands for rows that are out of sight."""
    style = f"height:{rows * ROW_PX}px"
    return (
        f'<tr class="space" aria-hidden="true" data-key=" {which}">'
        f'<td colspan="{columns}" style="{style}"></td></tr>'
    )


def _nothing() -> str:
    return (
        '<div class="pad empty"><b>Nothing is declared yet.</b><pre class="inset">'
        "%%buildflow consumer source=File(&quot;orders.csv&quot;), "
        "sink=File(&quot;out.csv&quot;)\n"
        "def process(order: dict) -> dict:\n    return order</pre></div>"
    )
