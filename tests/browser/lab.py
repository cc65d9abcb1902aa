"""A notebook in a real JupyterLab, as a person uses it; every wait has a deadline.

`Notebook` speaks of cells, kernels and themes alone; what is inside an output is for the tests.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nbformat
import psutil
from playwright.sync_api import Locator, Page

from tools.browser import AXE
from tools.jupyterlab import IDLE, PATIENCE_S, Lab, command

__all__ = ("THEMES", "Notebook", "shots", "write")

DEADLINE_MS = PATIENCE_S * 1000
THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")
HEIGHT = 900  # pixels; widths are what differs between screens
KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
GRAVE = ("serious", "critical")
CURRENT = "window.jupyterapp.shell.currentWidget"
CELL = f"{CURRENT}.content.widgets[i]"
# JupyterLab's own, where a page or a kernel is left before what it asked was answered.
CUT_OFF = "Error: Canceled future for "
OPEN = "path => window.jupyterapp.commands.execute('docmanager:open', {path}).then(() => {})"
CLOSE = """() => { for (const widget of [...window.jupyterapp.shell.widgets('main')])
    if (widget.context) widget.dispose() }"""
AXE_RUN = """async selector => (await axe.run(selector, {resultTypes: ['violations']})).violations
    .map(v => ({impact: v.impact, id: v.id, help: v.help, nodes: v.nodes.map(
        n => n.html.slice(0, 200) + ' ' + n.any.concat(n.all, n.none).map(c => c.message))}))"""


def shots() -> Path:
    """The folder of screenshots: BUILDFLOW_SHOTS, else one that git does not see."""
    named = os.environ.get("BUILDFLOW_SHOTS")
    folder = Path(named) if named else Path(__file__).parents[2] / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write(path: Path, cells: Sequence[str | nbformat.NotebookNode]) -> None:
    """Write a notebook without outputs, of code or of whole cells; their ids are c0, c1, …"""
    made = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})  # else Lab asks which
    made.cells = [nbformat.v4.new_code_cell(c) if isinstance(c, str) else c for c in cells]
    for i, cell in enumerate(made.cells):
        cell.id = f"c{i}"
    nbformat.write(made, path)


class Notebook:
    """One notebook on a page of its own; every method returns when what it asked for is so.

    The page may come from a notebook before, which has left JupyterLab loaded in it.

    `strangers` are the addresses outside this machine that the page asked for, `faults` what its
    scripts did not catch; `changed` says that the page is not as JupyterLab makes it.
    """

    def __init__(self, page: Page, lab: Lab, path: Path) -> None:
        self.page = page
        self.lab = lab
        self.path = path
        self.strangers: list[str] = []
        self.faults: list[str] = []
        self.changed = False
        page.set_default_timeout(DEADLINE_MS)
        self._heard: dict[str, Callable[[Any], None]] = {
            "request": lambda asked: self._note(asked.url),
            "websocket": lambda opened: self._note(opened.url),
            "pageerror": lambda error: self._fault(str(error)),
            "dialog": lambda dialog: dialog.accept(),  # the browser's own: leave the page
        }
        for event, hear in self._heard.items():
            page.on(event, hear)

    # ---- the page

    def open(self, width: int = 1200) -> None:
        """Open it, with nothing beside it, and wait for its kernel."""
        self.width(width)
        if self.page.url.startswith(self.lab.address):
            self.page.evaluate(OPEN, self.path.name)
        else:
            self.page.goto(self.lab.url(self.path.name, workspace=self.path.stem))
        self.wait_idle()
        self.page.locator(".jp-LabShell").wait_for()
        if self.page.locator(".jp-FileBrowser").is_visible():
            command(self.page, "application:toggle-left-area")
            self.page.locator(".jp-FileBrowser").wait_for(state="hidden")

    def reload(self) -> None:
        """Save, load the page anew, and wait for the kernel, which went on meanwhile."""
        self.save()
        self.page.reload()
        self.changed = True  # it may open once more, late, what was open in it
        self.wait_idle()

    def save(self) -> nbformat.NotebookNode:
        """Save it; gives what the file holds."""
        self._carry_out("docmanager:save")
        return nbformat.read(self.path, as_version=4)

    def width(self, pixels: int) -> None:
        """Make the window that wide."""
        self.page.set_viewport_size({"width": pixels, "height": HEIGHT})

    def theme(self, name: str) -> None:
        """Wear one of `THEMES`."""
        command(self.page, "apputils:change-theme", theme=name)
        self.page.wait_for_function("n => document.body.dataset.jpThemeName === n", arg=name)

    def shot(self, name: str, of: Locator | None = None) -> Path:
        """Take a picture of the page, or of one thing in it, into the folder of screenshots."""
        target = shots() / f"{name}.png"
        (of or self.page).screenshot(path=target)
        return target

    def axe(self, selector: str) -> list[str]:
        """What is seriously or critically wrong for people who do not see, or not well.

        Raises:
            playwright.sync_api.Error: nothing matches the selector.
        """
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.add_script_tag(path=AXE)
        return [
            f"{found['impact']} {found['id']}: {found['help']}: {node}"
            for found in self.page.evaluate(AXE_RUN, selector)
            if found["impact"] in GRAVE
            for node in found["nodes"]
        ]

    def overflowing(self, i: int, selector: str) -> list[str]:
        """What in a cell's outputs matches and stands out of the outputs to the side."""
        wide = self.output(i).evaluate(
            "(place, selector) => [...place.querySelectorAll(selector)].map(e => {"
            " const [p, b] = [place, e].map(x => x.getBoundingClientRect());"
            " return b.width > 0 && (b.left < p.left - 1 || b.right > p.right + 1) })",
            selector,
        )
        return [f"{selector} {n} is wider than its cell" for n, is_so in enumerate(wide) if is_so]

    # ---- cells

    def run_all(self) -> None:
        """Run every cell, and wait until the last has run or one has failed."""
        self._carry_out("notebook:run-all-cells")

    def start_all(self) -> None:
        """Run every cell, without waiting: for cells that ask something."""
        command(self.page, "notebook:run-all-cells")

    def run_cell(self, i: int) -> None:
        """Run one cell to its end."""
        self.select(i)
        self._carry_out("notebook:run-cell")

    def start_cell(self, i: int) -> None:
        """Run one cell, without waiting: for one that asks something, or never ends."""
        self.select(i)
        command(self.page, "notebook:run-cell")

    def edit_cell(self, i: int, source: str) -> None:
        """Write another source into a cell, which stays the same cell."""
        self.page.evaluate(
            f"([i, text]) => {{ {CELL}.model.sharedModel.setSource(text) }}", [i, source]
        )

    def select(self, i: int) -> None:
        """Make a cell the active one, in view."""
        self.page.evaluate(
            f"i => {{ const book = {CURRENT}.content; book.deselectAll();"
            " book.activeCellIndex = i; book.scrollToItem(i, 'start') }",
            i,
        )

    def source(self, i: int) -> str:
        """What stands in a cell."""
        return str(self.page.evaluate(f"i => {CELL}.model.sharedModel.source", i))

    def count(self) -> int:
        """How many cells there are."""
        return int(self.page.evaluate(f"() => {CURRENT}.content.widgets.length"))

    def ran(self, i: int) -> int | None:
        """The number that a cell got when it ran last, if it has run."""
        found = self.page.evaluate(f"i => {CELL}.model.executionCount", i)
        return None if found is None else int(found)

    def cell(self, i: int) -> Locator:
        """A cell."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell").nth(i)

    def output(self, i: int) -> Locator:
        """The outputs of a cell."""
        return self.cell(i).locator(".jp-Cell-outputArea")

    def text(self, i: int) -> str:
        """What the outputs of a cell read."""
        return self.output(i).inner_text()

    def wait_output(self, i: int, text: str | re.Pattern[str]) -> Locator:
        """Wait until the outputs of a cell hold a text; gives them."""
        self.select(i)
        found = self.output(i).filter(has_text=text)
        found.wait_for()
        return found

    def wait_change(self, of: Locator) -> str:
        """Wait until something reads differently, times of day apart; gives what it reads then."""
        said = "e => e.innerText.replace(/\\d+:\\d+:\\d+/g, '')"
        before = of.evaluate(said)
        self.page.wait_for_function(
            f"([e, before]) => ({said})(e) !== before", arg=[of.element_handle(), before]
        )
        return of.inner_text()

    # ---- the kernel

    def wait_idle(self) -> None:
        """Wait until the notebook is open and its kernel has nothing to do."""
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        self.page.wait_for_function(IDLE)

    def kernel_id(self) -> str:
        """The kernel's id, as the server knows it."""
        return str(self.page.evaluate(f"() => {CURRENT}.sessionContext.session.kernel.id"))

    def kernel_pid(self) -> int:
        """The kernel's process.

        Raises:
            ProcessLookupError: it has none.
        """
        wanted = self.kernel_id()
        for process in psutil.Process(self.lab.pid).children(recursive=True):
            if any(wanted in word for word in process.cmdline()):
                return process.pid
        raise ProcessLookupError(wanted)

    def restart_kernel(self) -> None:
        """Restart the kernel by the menu, confirm, and wait for the new one."""
        before = self.kernel_pid()
        self._begin("notebook:restart-kernel")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self._end("notebook:restart-kernel")
        self.wait_idle()
        assert self.kernel_pid() != before

    def kill_kernel(self) -> None:
        """Kill the kernel's process, as a system short of memory does, and wait for the next."""
        killed = psutil.Process(self.kernel_pid())
        with self.page.expect_event("websocket", timeout=DEADLINE_MS):  # to the new kernel
            os.kill(killed.pid, signal.SIGKILL)
        self.changed = True  # a dialog says that the kernel died
        self.wait_idle()

    def shut_kernel_down(self) -> None:
        """End the kernel by the server's interface, and let no other take its place."""
        self.lab.ask(f"kernels/{self.kernel_id()}", "DELETE")

    def close(self) -> None:
        """End the notebook's kernel with all that it started, and leave the page."""
        self._end_kernel()
        self.page.close()  # one that stays open goes on asking for its kernel

    def hand_over(self) -> Page:
        """Close the notebook, and give its page to the next."""
        self.page.evaluate(CLOSE)
        self._end_kernel()
        for event, hear in self._heard.items():
            self.page.remove_listener(event, hear)
        return self.page

    # ---- underneath

    def _fault(self, said: str) -> None:
        if not said.startswith(CUT_OFF):
            self.faults.append(said)

    def _end_kernel(self) -> None:
        for session in self.lab.ask("sessions"):
            if session["path"] == self.path.name:
                self.lab.ask(f"sessions/{session['id']}", "DELETE")

    def _carry_out(self, name: str, **words: object) -> None:
        self._begin(name, **words)
        self._end(name)

    def _begin(self, name: str, **words: object) -> None:
        self.page.evaluate(
            "([name, words]) => { const all = window.buildflowTests ??= {}; all[name] = false;"
            " window.jupyterapp.commands.execute(name, words).finally(() => { all[name] = true })"
            ".catch(() => {}) }",
            [name, words],
        )

    def _end(self, name: str) -> None:
        self.page.wait_for_function("name => window.buildflowTests[name]", arg=name)

    def _note(self, url: str) -> None:
        if not re.match(r"(https?|wss?)://127\.0\.0\.1:|(data|blob|about):", url):
            self.strangers.append(url)
