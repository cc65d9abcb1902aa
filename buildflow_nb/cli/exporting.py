"""`buildflow export NOTEBOOK FOLDER`: a saved notebook as a project, without a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from buildflow_nb.cli.terminal import Terminal

__all__ = ("export",)


def export(values: Mapping[str, Any], terminal: Terminal) -> None:
    """Write the project; none of the notebook's code is run."""
    from buildflow_nb.export import export_flow, report_text, warnings_text

    report = export_flow(
        (),
        Path(values["folder"]),
        notebook=Path(values["notebook"]),
        force=values["force"],
        package=values["package"],
        tell=lambda warnings: terminal.note(warnings_text(warnings)) if warnings else None,
    )
    terminal.give(report, report_text(report), verbatim=True)
