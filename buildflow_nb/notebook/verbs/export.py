"""`%buildflow export`: the flow of this notebook as a program of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from buildflow_nb.export import ExportReport, export_flow
from buildflow_nb.notebook import markup
from buildflow_nb.notebook.cell_sources import sources_of
from buildflow_nb.notebook.markup import Cell, quote
from buildflow_nb.notebook.session import Session
from buildflow_nb.notebook.verbs.verb import Values, Verb

__all__ = ("VERBS", "Exported")

_MOST_LINES = 30  # of what stayed behind; the report itself is whole
_HEADS: list[Cell] = [("stayed behind", "l"), ("where", "l"), ("why", "l")]


class Exported:
    """How a report looks, as text and as a card."""

    def __init__(self, report: ExportReport) -> None:
        self.report = report

    def __repr__(self) -> str:
        rows = [f"  {where}: {text}  ({why})" for text, where, why in self._rows()]
        warnings = [f"look at: {warning}" for warning in self.report.warnings]
        behind = [f"{len(self.report.left_out)} lines stay behind:", *rows] if rows else []
        run = f"run it by: cd {self.report.folder} && python main.py"
        return "\n".join([str(self.report), run, *warnings, *behind])

    def _repr_html_(self) -> str:
        title = str(self.report)
        warnings = "".join(
            f'<pre class="warn">! {quote(warning)}</pre>' for warning in self.report.warnings
        )
        rows: list[list[Cell]] = [
            [(f"<code>{quote(text)}</code>", "w"), (quote(where), "l"), (quote(why), "l")]
            for text, where, why in self._rows()
        ]
        behind = markup.table("Lines that stay behind", _HEADS, rows) if rows else ""
        run = f"<code>cd {quote(str(self.report.folder))} &amp;&amp; python main.py</code>"
        return markup.card(title, f"<b>{quote(title)}</b>", warnings + behind, run)

    def _rows(self) -> list[tuple[str, str, str]]:
        found = self.report.left_out
        rows = [(one.text[:80], f"{one.cell} line {one.line}", one.why) for one in found]
        if len(rows) > _MOST_LINES:
            rest = len(rows) - _MOST_LINES
            rows[_MOST_LINES:] = [(f"… and {rest} more", "", "")]
        return rows


def _export(session: Session, values: Values) -> Exported:
    folder = Path(values["folder"]).expanduser()
    return Exported(export_flow(sources_of(session.shell).kept, folder, force=values["force"]))


VERBS: Mapping[str, Verb] = {"export": _export}
