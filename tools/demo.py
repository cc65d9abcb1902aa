"""`make demo`: the tutorials, run headlessly on real data; then the first of them as a program."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat

from tools.notebooks import NOTEBOOKS, execute

WIDTH = 96
FOLDER = Path(".buildflow") / "demo"


TUTORIALS = ("quickstart", "cloud", "service", "warehouse", "scale")
EXPORTED = "quickstart"
INPUT, TABLE = Path("quickstart-data", "flights.csv"), Path("quickstart-data", "flights.duckdb")
COMMAND_S = 300
_QUERIES = (
    "SELECT count(*) FROM there.arrivals",
    "SELECT count(*) FROM here.arrivals",
    "SELECT count(*) FROM ((FROM there.arrivals EXCEPT ALL FROM here.arrivals) "
    "UNION ALL (FROM here.arrivals EXCEPT ALL FROM there.arrivals))",
)


def main() -> int:
    """Run the tutorials, print their cells' outputs as text, ship one; gives the exit code."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in TUTORIALS:
        _run(name)
    return _ship(FOLDER / "shop")


def _ship(shop: Path) -> int:
    """Export the quickstart, run what was exported on the same data, and compare the tables."""
    sys.stdout.write(f"the same flow as a program: exporting {EXPORTED}.ipynb to {shop} …\n\n")
    _command("export", str(FOLDER / f"{EXPORTED}.ipynb"), str(shop), "--force")
    (shop / INPUT).parent.mkdir(exist_ok=True)
    shutil.copyfile(FOLDER / INPUT, shop / INPUT)
    (shop / TABLE).unlink(missing_ok=True)  # of an earlier demo
    began = time.monotonic()
    _command("run", "--port", "0", "--until", "drained", folder=shop)
    seconds = time.monotonic() - began
    there, here, different = _compared(FOLDER / TABLE, shop / TABLE)
    sys.stdout.write(
        f"\nthe program ran {seconds:.1f} s: {here:,} arrivals in its table, {there:,} in the "
        f"notebook's, {different:,} rows differ\n"
    )
    sys.stdout.write(f"it is in {shop.resolve()}; README.md there says how to ship it\n")
    return 0 if here and not different else 1


def _command(*words: str, folder: Path | None = None) -> None:
    """Do what a person would type in a terminal, and show it."""
    sys.stdout.write(f"$ {f'cd {folder} && ' if folder else ''}buildflow {' '.join(words)}\n")
    sys.stdout.flush()
    line = [sys.executable, "-m", "buildflow_nb.cli.main", *words]
    subprocess.run(line, cwd=folder, timeout=COMMAND_S, check=True)


def _compared(there: Path, here: Path) -> tuple[int, int, int]:
    """How many rows each of two tables has, and how many are in one of them only."""
    import duckdb

    with duckdb.connect() as connection:
        for name, path in (("there", there), ("here", here)):
            connection.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
        found = [connection.execute(query).fetchall()[0][0] for query in _QUERIES]
    return found[0], found[1], found[2]


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
