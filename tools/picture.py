"""`make picture`: the quickstart in a real JupyterLab, as the README shows it.

Needs Debian's `chromium` (or any, by CHROMIUM=path); everything else is in .venv.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Page, sync_playwright

from tools.notebooks import NOTEBOOKS

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PATIENCE_S = 60
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
IDLE = (
    "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status"
    " === 'idle'"
)


def main() -> int:
    """Take the picture; gives the exit code."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder / "quickstart.ipynb")
        with jupyterlab(folder) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(
                viewport={"width": 1100, "height": 760}, device_scale_factor=1.5
            )
            take(page, address, IMAGES / "quickstart.png")
            browser.close()
    sys.stdout.write(f"{IMAGES / 'quickstart.png'}\n")
    return 0


def prepare(target: Path) -> None:
    """The quickstart without outputs, and without the cell that stops it."""
    notebook = nbformat.read(NOTEBOOKS / "quickstart.ipynb", as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "stop"]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, target)


def take(page: Page, address: str, target: Path) -> None:
    """Run the notebook to its last cell and take what stands around its dashboard."""
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PATIENCE_S * 1000)
    page.wait_for_function(IDLE, timeout=PATIENCE_S * 1000)
    page.evaluate(
        "() => window.jupyterapp.commands.execute("
        "'apputils:change-theme', {theme: 'JupyterLab Light'})"
    )
    if page.locator(".jp-DirListing").is_visible():
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
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
        "window.jupyterapp.shell.currentWidget.content.scrollToItem(run, 'center') }"
    )
    page.wait_for_timeout(1_000)
    page.evaluate("() => document.querySelectorAll('.Toastify').forEach(e => e.remove())")
    page.screenshot(path=target)


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """A JupyterLab of our own on a free port; gives the address of the quickstart in it."""
    token = secrets.token_hex(16)
    port = _free_port()
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}", "--LabApp.news_url=", "--expose-app-in-browser",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    log = (folder / "lab.log").open("w")
    lab = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api?token={token}")
        yield f"http://127.0.0.1:{port}/lab/tree/quickstart.ipynb?token={token}"
    finally:
        lab.terminate()
        lab.wait(20)
        log.close()


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    msg = "JupyterLab did not start"
    raise SystemExit(msg)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    raise SystemExit(main())
