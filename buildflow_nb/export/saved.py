"""Cells of a saved notebook; outputs are never looked at."""

from __future__ import annotations

import json
from pathlib import Path

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export.ran_cell import RanCell

__all__ = ("saved_cells",)


def saved_cells(path: Path) -> tuple[RanCell, ...]:
    """The code cells of a notebook file, in its order.

    Raises:
        UsageError: it cannot be read as a notebook.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        cells = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path} cannot be read as a notebook; save it once more, or name another file"
        raise UsageError(msg) from error
    return tuple(
        RanCell("".join(cell["source"]), cell.get("execution_count") or None) for cell in cells
    )
