"""From a notebook to a program: `export_flow` writes what its cells declare as main.py.

What reads, chooses and writes is loaded when it is first asked for: a kernel keeps its cells from
the first one on, and most are never exported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from buildflow_nb.export.cells.ran_cell import RanCell

if TYPE_CHECKING:
    from buildflow_nb.export.exporting import export_flow, ran_of
    from buildflow_nb.export.report import ExportReport, LeftOut, report_text, warnings_text

__all__ = (
    "ExportReport",
    "LeftOut",
    "RanCell",
    "export_flow",
    "ran_of",
    "report_text",
    "warnings_text",
)

_HOMES = {
    "ExportReport": "report",
    "LeftOut": "report",
    "export_flow": "exporting",
    "ran_of": "exporting",
    "report_text": "report",
    "warnings_text": "report",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    found: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found
