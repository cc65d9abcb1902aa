"""`%buildflow export`: the flow of this notebook as a program of its own."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from buildflow_nb.cockpit.views import markup
from buildflow_nb.cockpit.views.markup import Cell, quote
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.surroundings import SavedFile, saved_file
from buildflow_nb.export import ExportReport, RanCell, export_flow, ran_of, report_text
from buildflow_nb.export.report import BEFORE, warnings_text
from buildflow_nb.flow import Flow
from buildflow_nb.notebook.cell_sources import sources_of
from buildflow_nb.notebook.session import Session
from buildflow_nb.notebook.verbs.verb import Values, Verb

__all__ = ("VERBS", "Exported", "exported")

_MOST_LINES = 30  # of what stayed behind; the report itself is whole
_ALONE = "the cells that ran are exported in the order in which they did"
_LINE = "%buildflow export NAME.ipynb FOLDER"
_HEADS: list[Cell] = [("stayed behind", "l"), ("where", "l"), ("why", "l")]


class Exported:
    """How a report looks, as text and as a card."""

    def __init__(self, report: ExportReport) -> None:
        self.report = report

    @property
    def title(self) -> str:
        """What was written, and where."""
        return str(self.report)

    def __repr__(self) -> str:
        told = [warnings_text(self.report.warnings)] if self.report.warnings else []
        return "\n".join([*told, report_text(self.report)])

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
        folder = quote(shlex.quote(str(self.report.folder)))
        run = f"<code>cd {folder} &amp;&amp; python main.py</code>"
        if self.report.wheel_command:
            run += f"<br>{BEFORE}: <code>{quote(self.report.wheel_command)}</code>"
        return markup.card(title, f"<b>{quote(title)}</b>", warnings + behind, run)

    def _rows(self) -> list[tuple[str, str, str]]:
        found = self.report.left_out
        rows = [(one.text[:80], f"{one.cell} line {one.line}", one.why) for one in found]
        if len(rows) > _MOST_LINES:
            rest = len(rows) - _MOST_LINES
            rows[_MOST_LINES:] = [(f"… and {rest} more", "", "")]
        return rows


def exported(session: Session, values: Values) -> Exported:
    """Write the project: of the cells that ran here, and of the saved notebook if there is one."""
    folder = _path(values["folder"])
    cells = sources_of(session.shell).kept
    named = values.get("notebook")
    file = SavedFile(_path(named)) if named else saved_file(session.names)
    said = _beside(file, cells) if not named else ""
    report = export_flow(
        (*cells, *sources_of(session.shell).failed),
        folder,
        notebook=None if said else file.path,
        force=values["force"],
        package=values["package"],
    )
    differs = _differences(report, session.bound())
    warnings = (*((said,) if said else ()), *report.warnings, *differs)
    return Exported(replace(report, warnings=warnings))


def _path(typed: str) -> Path:
    try:
        return Path(typed).expanduser()
    except RuntimeError as error:
        msg = f"{typed}: there is no such user, so no home folder; name the folder itself"
        raise UsageError(msg) from error


def _differences(report: ExportReport, flow: Flow | None) -> list[str]:
    """Processors that the kernel's flow has and the program has not, or the other way round."""
    if flow is None:
        return []
    here = set(flow.processors)
    text = "".join(path.read_text("utf-8") for path in report.files if path.suffix == ".py")
    gone = sorted(set(report.processors) - here)
    new = sorted(name for name in here - set(report.processors) if name not in text)
    return [
        f"{name!r} is in the program and not in this kernel's flow (removed by a click?); "
        f"%buildflow remove {name} in a cell takes it out"
        for name in gone
    ] + [
        f"{name!r} is in this kernel's flow and in no cell that is exported, so not in the program"
        for name in new
    ]


def _beside(file: SavedFile, cells: Sequence[RanCell]) -> str:
    """Why the file that the front end names is no help; "" where it is, or where none is named."""
    if file.lost is not None:
        return f"{file.lost} is not there (renamed?); {_ALONE}, name the file: {_LINE}"
    if file.path is None:
        return ""
    try:
        return "" if ran_of(file.path, cells) else f"{file.path} is of other cells; {_ALONE}"
    except UsageError as error:
        return f"{error}; {_ALONE}"


VERBS: Mapping[str, Verb] = {"export": exported}
