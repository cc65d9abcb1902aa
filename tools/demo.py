"""`make demo`: the tutorials, run headlessly on real data, and what came of them."""

from __future__ import annotations

import sys
import textwrap
import time
from pathlib import Path

import nbformat

from tools.notebooks import NOTEBOOKS, execute

WIDTH = 96
FOLDER = Path(".buildflow") / "demo"


TUTORIALS = ("quickstart", "cloud")


def main() -> int:
    """Run the tutorials and print their cells' outputs as text; gives the exit code."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in TUTORIALS:
        _run(name)
    return 0


def _run(name: str) -> None:
    sys.stdout.write(f"running notebooks/{name}.ipynb in a kernel of its own …\n\n")
    began = time.monotonic()
    notebook = execute(NOTEBOOKS / f"{name}.ipynb", FOLDER)
    target = FOLDER / f"{name}.ipynb"
    nbformat.write(notebook, target)
    for cell in notebook.cells:
        _show(cell)
    seconds = time.monotonic() - began
    sys.stdout.write(f"done in {seconds:.1f} s; the executed notebook is {target.resolve()}\n\n")


def _show(cell: nbformat.NotebookNode) -> None:
    if cell.cell_type == "markdown":
        for line in cell.source.splitlines():
            title = line.lstrip("# ") if line.startswith("#") else ""
            shown = f"{title}\n{'-' * len(title)}" if title else textwrap.fill(line, WIDTH)
            sys.stdout.write(f"{shown}\n")
        sys.stdout.write("\n")
        return
    for output in cell.outputs:
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        if text and not text.startswith("<Figure"):
            sys.stdout.write(f"{text.rstrip()}\n\n")
    if any("image/png" in output.get("data", {}) for output in cell.outputs):
        sys.stdout.write("(a chart; open the executed notebook to see it)\n\n")


if __name__ == "__main__":
    raise SystemExit(main())
