"""`make recording`: twenty seconds of a day in the cockpit, played in a real JupyterLab.

A flow runs, fails some of its elements, is looked into and mended, and gets its cloud resources.
Every picture is what the page showed at that moment; nothing is drawn afterwards.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import nbformat
from PIL import Image
from playwright.sync_api import Locator, Page

from tools.jupyterlab import IDLE, PATIENCE_S, command, jupyterlab, open_browser
from tools.picture import IMAGES

SIZE = {"width": 1_120, "height": 760}
EVERY_MS = 400  # between two pictures
WIDTH = 900  # pixels of the recording
COLOURS = 64
LOAD = """%load_ext buildflow_nb
from dataclasses import dataclass
from buildflow_nb.io.aws import SQSQueue
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import Pulse

@dataclass
class Order:
    id: int
    item: str
    qty: int
    currency: str

@dataclass
class Priced:
    id: int
    total: float

RATES = {"eur": 1.0, "gbp": 1.17}
ITEMS = ("Pear", "Plum", "Lemon", "Fig")
MONEY = ("eur", "eur", "gbp", "eur", "usd")
orders = [Order(88_000 + i, ITEMS[i % 4], i % 6, MONEY[i % 5]) for i in range(1_000)]
paid = SQSQueue("paid")
app.manage(paid)"""
PRICE = """%%buildflow consumer source=Pulse(orders, 0.02), sink=DuckDBTable("shop.duckdb", "priced"), retries=0
def price(order: Order) -> Priced | None:
    if order.qty == 0:
        return None
    return Priced(order.id, round(order.qty * RATES[order.currency], 2))"""  # noqa: E501
RUN = "%buildflow run --port 0"
MENDED = 'RATES["usd"] = 0.92'


class Recorder:
    """Pictures of a page, one after the other."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._pictures: list[Image.Image] = []

    def watch(self, seconds: float) -> None:
        """Take pictures for so long."""
        for _ in range(max(1, round(seconds * 1_000 / EVERY_MS))):
            taken = Image.open(io.BytesIO(self._page.screenshot())).convert("RGB")
            height = round(taken.height * WIDTH / taken.width)
            small = taken.resize((WIDTH, height), Image.Resampling.LANCZOS)
            self._pictures.append(small.quantize(COLOURS, dither=Image.Dither.NONE))
            self._page.wait_for_timeout(EVERY_MS / 4)  # a picture takes its time, too

    def save(self, target: Path) -> int:
        """Write them as an animation; gives how many there are."""
        first, *rest = self._pictures
        first.save(
            target, save_all=True, append_images=rest, duration=EVERY_MS, loop=0, optimize=True
        )
        return len(self._pictures)


def main() -> int:
    """Play the day; gives the exit code."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    target = IMAGES / "cockpit.gif"
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as home:
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(text) for text in (LOAD, PRICE, RUN)],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        nbformat.write(notebook, Path(name) / "shop.ipynb")
        with jupyterlab(Path(name), Path(home)) as lab, open_browser() as browser:
            page = browser.new_page(viewport=SIZE)
            recorder = Recorder(page)
            _play(page, lab.url("shop.ipynb"), recorder)
            count = recorder.save(target)
    size = target.stat().st_size / 2**20
    sys.stdout.write(f"{target}: {count} pictures, {size:.1f} MiB\n")
    return 0


def _play(page: Page, address: str, recorder: Recorder) -> None:
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PATIENCE_S * 1000)
    page.wait_for_function(IDLE, timeout=PATIENCE_S * 1000)
    command(page, "apputils:change-theme", theme="JupyterLab Light")
    if page.locator(".jp-DirListing").is_visible():
        command(page, "application:toggle-left-area")
    command(page, "notebook:run-all-cells")
    view = page.locator("section.bf-live")
    view.wait_for(timeout=PATIENCE_S * 1000)
    page.evaluate("() => document.querySelectorAll('.Toastify').forEach(e => e.remove())")
    view.scroll_into_view_if_needed()
    failed = view.locator("td button[data-act=failures]")
    failed.wait_for(timeout=PATIENCE_S * 1000)
    page.mouse.wheel(0, 2_000)
    recorder.watch(2.0)
    failed.click()
    recorder.watch(2.5)
    for tab in ("Trace", "Chart", "Profile"):
        view.get_by_role("tab", name=tab).click()
        recorder.watch(2.0)
    page.keyboard.press("Escape")
    _mend(page, recorder)
    view.locator("td button[data-act=failures]").click()
    _press(view, "Retry", recorder)
    page.keyboard.press("Escape")
    view.get_by_role("button", name="Apply").first.click()
    view.locator("button[data-act=yes]").wait_for()
    recorder.watch(2.0)
    view.locator("button[data-act=yes]").click()
    view.locator("button[data-act=close-operation]").wait_for()
    recorder.watch(1.5)
    view.locator("button[data-act=close-operation]").click()
    view.locator("[data-act=look]", has_text="paid").first.click()
    recorder.watch(2.0)


def _mend(page: Page, recorder: Recorder) -> None:
    """Run a line that mends what fails, in a new cell at the end."""
    command(page, "notebook:insert-cell-below")
    page.keyboard.press("Enter")
    page.keyboard.type(MENDED, delay=10)
    page.keyboard.press("Control+Enter")
    recorder.watch(1.5)


def _press(view: Locator, name: str, recorder: Recorder) -> None:
    button = view.get_by_role("tabpanel").get_by_role("button", name=name).first
    button.wait_for()
    recorder.watch(0.8)
    button.click()
    recorder.watch(1.6)


if __name__ == "__main__":
    raise SystemExit(main())
