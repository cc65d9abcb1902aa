"""`make picture`: the quickstart in a real JupyterLab, as the README shows it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from playwright.sync_api import Page

from tools.jupyterlab import IDLE, PATIENCE_S, command, jupyterlab, open_browser
from tools.notebooks import NOTEBOOKS

NOTEBOOK = "quickstart.ipynb"
IMAGES = Path(__file__).parents[1] / "docs" / "images"


def main() -> int:
    """Take the picture; gives the exit code."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as home:
        prepare(Path(name) / NOTEBOOK)
        with jupyterlab(Path(name), Path(home)) as lab, open_browser() as browser:
            page = browser.new_page(
                viewport={"width": 1200, "height": 820}, device_scale_factor=1.5
            )
            take(page, lab.url(NOTEBOOK), IMAGES / "quickstart.png")
    sys.stdout.write(f"{IMAGES / 'quickstart.png'}\n")
    return 0


def prepare(target: Path) -> None:
    """The quickstart without outputs, and without the cell that stops it."""
    notebook = nbformat.read(NOTEBOOKS / NOTEBOOK, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "stop"]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, target)


def take(page: Page, address: str, target: Path) -> None:
    """Run the notebook to its last cell and take what stands around its panel."""
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PATIENCE_S * 1000)
    page.wait_for_function(IDLE, timeout=PATIENCE_S * 1000)
    command(page, "apputils:change-theme", theme="JupyterLab Light")
    if page.locator(".jp-DirListing").is_visible():
        command(page, "application:toggle-left-area")
    command(page, "notebook:run-all-cells")
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.content.widgets.at(-2)?.model"
        ".executionCount > 0",
        timeout=PATIENCE_S * 1000,
    )
    page.wait_for_timeout(1_000)  # the view is updated four times a second
    page.evaluate(
        "() => { const cells = window.jupyterapp.shell.currentWidget.content.widgets;"
        "const run = cells.findIndex(c => c.model.sharedModel.source.startsWith('%buildflow run'));"
        "window.jupyterapp.shell.currentWidget.content.activeCellIndex = run;"
        "window.jupyterapp.shell.currentWidget.content.scrollToItem(run, 'start') }"
    )
    page.wait_for_timeout(1_000)
    page.evaluate("() => document.querySelectorAll('.Toastify').forEach(e => e.remove())")
    page.screenshot(path=target)


if __name__ == "__main__":
    raise SystemExit(main())
