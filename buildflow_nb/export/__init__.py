"""From a notebook to a program: `export_flow` writes what its cells declare as main.py."""

from buildflow_nb.export.cells.ran_cell import RanCell
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
