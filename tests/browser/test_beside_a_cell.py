"""What a person clicks while a cell runs; a file is the gate that the cell waits at."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.panel import line, row

pytestmark = pytest.mark.browser

LOAD = """%load_ext buildflow_nb
import pathlib, time
from buildflow_nb.io.local import Pulse
gate = pathlib.Path("GATE")"""
PRICE = (
    "%%buildflow consumer source=Pulse(range(1000), 0.05)\ndef price(x: int) -> int:\n    return x"
)
RUN = "%buildflow run --port 0"
BUSY = """end = time.monotonic() + 60
while not gate.exists() and time.monotonic() < end:
    time.sleep(0.05)
print("the gate opened")"""
PANEL = 2
# As with kernels that have no subshells: everything goes to the main thread.
WITHOUT = "() => { window.jupyterapp.serviceManager.kernels.commsOverSubshells = 'disabled' }"


@pytest.fixture
def busy(notebook, lab, request):
    """A panel whose flow runs, above a cell that runs until the gate is opened."""
    gate = lab.root / f"{request.node.name.partition('[')[0]}.gate"
    made = notebook([LOAD.replace("GATE", str(gate)), PRICE, RUN, BUSY, "1 + 1"])
    if hasattr(request, "param"):
        made.page.evaluate(request.param)
        made.changed = True
    for cell in range(PANEL + 1):
        made.run_cell(cell)
    made.select(PANEL)
    view = made.output(PANEL).locator("section.bf-live")
    line(view, "stop").wait_for()
    made.start_cell(3)
    made.select(PANEL)
    view.locator("header[data-cell='cell [4]']").wait_for()
    yield made, view, gate
    gate.touch()
    assert made.faults == []


def test_details_open_and_stop_stops_while_a_cell_runs(busy):
    made, view, gate = busy
    row(view, "price").click()
    view.get_by_role("tabpanel").wait_for()
    line(view, "stop").click()
    line(view, "run").wait_for()
    assert made.ran(3) is None  # the cell runs still
    gate.touch()
    said = made.wait_output(3, "the gate opened").inner_text()
    assert said.strip() == "the gate opened"  # and nothing of a click went into it


def test_what_starts_waits_for_the_cell_and_says_so(busy):
    _, view, gate = busy
    line(view, "stop").click()
    line(view, "run").wait_for()
    run = line(view, "run")
    run.click()
    expect(run).to_have_text("Run · waits for cell [4]")
    assert run.get_attribute("aria-disabled") == "true"
    gate.touch()
    line(view, "stop").wait_for()


@pytest.mark.parametrize("busy", [WITHOUT], indirect=True)
def test_a_click_that_is_not_heard_says_what_it_waits_for(busy):
    _, view, gate = busy
    stop = line(view, "stop")
    stop.click()
    expect(stop).to_have_attribute("data-told", "waits for cell [4]")
    stop.click()  # a second one counts for nothing
    gate.touch()
    line(view, "run").wait_for()
    expect(line(view, "run")).not_to_have_attribute("data-told", re.compile("waits"))
    assert view.locator("button", has_text="under way").count() == 0
