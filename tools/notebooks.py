"""Runs a notebook in a real kernel, as a person's Run All would."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

__all__ = ("NOTEBOOKS", "execute")

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
CELL_TIMEOUT_S = 300


def execute(notebook: Path, folder: Path) -> nbformat.NotebookNode:
    """Run a notebook with `folder` as its working folder and give it with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    found = nbformat.read(notebook, as_version=4)
    for module in NOTEBOOKS.glob("*.py"):  # what stands beside it
        shutil.copy(module, folder)
    client = NotebookClient(
        found,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        extra_arguments=["--Application.log_level=ERROR"],  # not how kernels are connected
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return found


def main() -> None:
    """`make notebooks`: run every tutorial and save it with its outputs."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            executed = execute(path, Path(folder))
        for cell in executed.cells:
            cell.metadata.pop("execution", None)  # times of day: they differ with each run
        nbformat.write(executed, path)


if __name__ == "__main__":
    main()
