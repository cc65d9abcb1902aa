"""The panel as a person uses it: each button clicked, confirmed, cancelled; by mouse and keys."""

from __future__ import annotations

import re

import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import expect

from tests.browser.lab import THEMES
from tools.jupyterlab import command

pytestmark = pytest.mark.browser

LOAD = """%load_ext buildflow_nb
from dataclasses import dataclass
from buildflow_nb.io.aws import S3Bucket, SQSQueue
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import Pulse

@dataclass
class Order:
    id: int
    qty: int

@dataclass
class Priced:
    id: int
    price: float

orders = Pulse([{"id": i, "qty": i % 7} for i in range(1000)], 0.01)
app.manage(SQSQueue("NAME-queue"), S3Bucket("NAME-bucket"))"""
PRICE = """%%buildflow consumer source=orders, sink=DuckDBTable("NAME.duckdb", "priced"), retries=0
def price(order: Order) -> Priced:
    if order.qty == 0:
        raise ValueError("qty must be positive")
    print("order", order.id)
    return Priced(order.id, 2.0 * order.qty)"""
DOUBLE = '%%buildflow endpoint "/double/{n}"\ndef double(n: int) -> int:\n    return 2 * n'
HELD = """import pathlib, time
class Held:
    primitive_id = "held"
    def owned(self): return ()
    def parents(self): return ()
    def resources(self, site):
        end = time.monotonic() + 60
        while not pathlib.Path("GATE").exists() and time.monotonic() < end:
            time.sleep(0.05)
        return {}
app.manage(Held())"""
PANEL = 3  # the cell under which the panel stands


@pytest.fixture
def book(notebook, request):
    """A notebook whose panel stands under its fourth cell; nothing runs yet."""
    name = re.sub(r"\W+", "-", request.node.name)[:30].strip("-").removeprefix("test_").lower()
    name = name.replace("_", "-")
    cells = [cell.replace("NAME", name) for cell in (LOAD, PRICE, DOUBLE, "%buildflow", "1 + 1")]
    made = notebook(cells)
    made.run_all()
    made.select(PANEL)
    panel(made).wait_for()
    yield made
    assert made.faults == []


def panel(book, cell=PANEL):
    return book.output(cell).locator("section.bf-live")


def line(view, text):
    """The button that stands for a line."""
    return view.locator(f'button[data-arg="%buildflow {text}"]')


def act(view, name):
    return view.locator(f'button[data-act="{name}"]')


def start(view):
    """Run the flow by its button, on any free port."""
    line(view, "run").click()
    view.get_by_text("running since").wait_for()


def numbers_move(book, view):
    table = view.locator("[data-part=table]")
    book.wait_change(table)


def test_the_flow_is_run_watched_and_stopped_by_its_buttons(book):
    view = panel(book)
    assert line(view, "stop").get_attribute("aria-disabled") == "true"
    start(view)
    numbers_move(book, view)
    assert line(view, "run").get_attribute("aria-disabled") == "true"
    graph = view.locator("[data-part=graph] svg")
    expect(graph.get_by_text("running · v1").first).to_be_visible()
    assert view.locator("[data-bf-twin]").count() == 0
    assert not book.output(PANEL).locator("[data-bf-twin]").is_visible()
    line(view, "stop").click()
    view.locator("[data-part=head]").get_by_text("stopped").wait_for()
    view.get_by_text("✓ stopped flow").wait_for()
    assert "%buildflow stop" in view.locator("footer").inner_text()


def test_apply_shows_the_plan_asks_shows_progress_and_destroy_undoes_it(book):
    view = panel(book)
    line(view, "preview").click()
    act(view, "close-operation").wait_for()
    assert "2 to create" in view.inner_text()
    act(view, "close-operation").click()
    line(view, "apply").click()
    act(view, "yes").wait_for()
    assert line(view, "destroy").get_attribute("aria-disabled") == "true"
    shown = view.locator("[data-part=operation]").inner_text()
    assert "+ create" in shown
    assert "SQSQueue" in shown
    book.shot("panel-question", view)
    act(view, "no").click()
    view.get_by_text("apply rejected; nothing was changed").wait_for()
    line(view, "apply").click()
    act(view, "yes").click()
    act(view, "close-operation").wait_for()
    assert "2 created" in view.locator("[data-part=operation]").inner_text()
    book.shot("panel-applied", view)
    view.locator("[data-part=graph]").get_by_text("· applied").first.wait_for()
    line(view, "destroy").click()
    act(view, "yes").click()
    view.get_by_text("2 deleted").wait_for()
    book.edit_cell(4, "%buildflow history")
    book.run_cell(4)
    said = book.wait_output(4, "destroy").inner_text()
    assert [row.split("  ")[1] for row in said.strip().splitlines()] == [
        "%buildflow preview",
        "%buildflow apply",
        "%buildflow apply",
        "%buildflow destroy",
    ]


def test_a_click_can_be_copied_and_the_clicks_be_taken_out_as_a_cell(book):
    view = panel(book)
    start(view)
    line(view, "stop").click()
    view.locator("[data-part=head]").get_by_text("stopped").wait_for()
    book.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    view.locator("footer button[data-copy]").click()
    expect(view.locator("footer button[data-copy]")).to_have_attribute("data-told", "copied")
    expect(view.locator(".said")).to_have_text("copied")
    assert book.page.evaluate("() => navigator.clipboard.readText()") == "%buildflow stop"
    before = book.count()
    book.edit_cell(4, "%buildflow history --cell")
    book.run_cell(4)
    book.page.wait_for_function(
        "n => window.jupyterapp.shell.currentWidget.content.widgets.length > n", arg=before
    )
    assert book.source(5) == "%buildflow run\n%buildflow stop"


def test_an_operation_is_cancelled_by_its_button_and_by_the_kernels(book):
    view = panel(book)
    line(view, "apply").click()
    act(view, "yes").wait_for()
    book.page.evaluate("() => window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
    view.get_by_text("apply rejected; nothing was changed").wait_for()
    gate = book.lab.root / "cancelled.gate"  # a quick preview would end before the click
    book.edit_cell(4, HELD.replace("GATE", str(gate)))
    book.run_cell(4)
    book.select(PANEL)
    line(view, "preview").click()
    act(view, "cancel").click()
    view.get_by_text(re.compile("✕ preview.*(interrupted|stopped|cancel)")).wait_for()
    gate.touch()
    assert line(view, "apply").get_attribute("aria-disabled") is None


def test_a_failure_is_read_sent_again_and_discarded(book):
    view = panel(book)
    start(view)
    view.locator("button[data-act=failures]").wait_for()
    view.locator("button[data-act=failures]").click()
    tab = view.get_by_role("tabpanel")
    tab.get_by_text("ValueError: qty must be positive").first.wait_for()
    line(view, "stop").click()
    view.locator("[data-part=head]").get_by_text("stopped").wait_for()
    tab.locator("summary").first.click()
    assert (
        'raise ValueError("qty must be positive")' in tab.locator("details pre").first.inner_text()
    )
    book.shot("panel-failures", view)
    before = tab.get_by_text("qty must be positive").count()
    assert before
    tab.get_by_text("Discard all").click()
    tab.get_by_text("nothing failed").wait_for()
    line(view, "run").click()
    view.get_by_text("running since").wait_for()
    book.edit_cell(1, book.source(1).replace("if order.qty == 0:", "if order.qty < 0:"))
    tab.get_by_text("ValueError").first.wait_for()
    book.run_cell(1)  # the mended code takes over
    book.select(PANEL)
    tab.get_by_text("Send all again").click()
    tab.get_by_text("nothing failed").wait_for()


def test_what_is_open_and_focused_stays_so_while_more_comes(notebook):
    code = (
        "%%buildflow consumer source=Pulse(range(1000), 0.4), retries=0\n"
        "def bad(x: int):\n    raise ValueError('no <b>')"
    )
    made = notebook(
        ["%load_ext buildflow_nb\nfrom buildflow_nb.io.local import Pulse", code, "app"]
    )
    made.run_all()
    made.select(2)
    view = panel(made, 2)
    start(view)
    view.locator("button[data-act=failures]").click()
    first = view.locator("[data-key^=failed]").first
    first.locator("summary").click()
    key = first.get_attribute("data-key")
    mine = view.locator(f'[data-key="{key}"]')
    mine.get_by_text("Send again").focus()
    made.page.wait_for_function(
        "key => document.querySelector('.bf-live [data-key^=failed]').dataset.key !== key", arg=key
    )
    made.wait_change(view.locator("[data-part=table]"))
    assert mine.locator("details").get_attribute("open") is not None
    expect(mine.get_by_text("Send again")).to_be_focused()
    assert made.faults == []


def test_the_log_is_filtered_paused_and_taken_as_a_file(book):
    view = panel(book)
    start(view)
    view.locator("tbody button[data-arg=price]").first.click()
    view.get_by_role("tab", name="Log").click()
    log = view.get_by_role("log")
    log.get_by_text("order").first.wait_for()
    view.get_by_placeholder("filter").fill("order 17")
    expect(log).not_to_contain_text(re.compile(r"order [2-9]\n"))
    log.get_by_text("order 17").first.wait_for()
    view.get_by_role("button", name="Pause").click()
    view.get_by_role("button", name="Go on").wait_for()
    assert log.get_attribute("aria-live") == "off"
    with book.page.expect_download() as got:
        view.get_by_role("button", name="Download").click()
    assert got.value.suggested_filename == "price.log"
    rows = got.value.path().read_text().splitlines()
    assert rows
    assert all("order 17" in row for row in rows)


def test_an_element_is_sent_by_a_form_made_from_its_type(book):
    view = panel(book)
    view.locator("tbody button[data-arg=price]").first.click()
    view.get_by_role("tab", name="Send").click()
    view.get_by_label("id int").fill("7")
    view.get_by_label("qty int").fill("x")
    act(view, "send").click()
    view.get_by_text("'x' is no int; write it as JSON").wait_for()
    assert view.get_by_label("qty int").input_value() == "x"  # what was typed stands still
    view.get_by_label("qty int").fill("3")
    act(view, "send").click()
    view.get_by_text("Priced(id=7, price=6.0)").wait_for()
    assert '%buildflow send price {"id": 7, "qty": 3}' in view.locator("footer").inner_text()
    book.edit_cell(4, "%buildflow send price")
    book.run_cell(4)
    form = panel(book, 4)
    form.get_by_label("id int").wait_for()
    assert form.get_by_label("id int").input_value() == "7"
    book.select(PANEL)
    book.wait_output(PANEL, "the live view is in cell [6]")


def test_inputs_are_recorded_and_replayed_side_by_side(book):
    view = panel(book)
    start(view)
    view.locator("tbody button[data-arg=price]").first.click()
    view.get_by_role("button", name="Record 100").click()
    view.get_by_role("button", name="End the recording").click()
    view.get_by_text("✓ recorded into").wait_for()
    book.edit_cell(1, book.source(1).replace("2.0 * order.qty", "3.0 * order.qty"))
    book.run_cell(1)
    book.select(PANEL)
    view.get_by_role("button", name="Replay").click()
    found = view.locator("[data-part=found]")
    found.get_by_text("≠ different").or_(found.get_by_text("= same")).first.wait_for()
    book.shot("panel-replay", view)


def test_a_check_says_what_is_not_well_and_how_to_mend_it(book):
    view = panel(book)
    line(view, "check").click()
    found = view.locator("[data-part=found]")
    found.get_by_text("DuckDBTable").first.wait_for()
    book.shot("panel-check", view)
    view.get_by_label("close the table").click()
    expect(found).to_be_empty()


def test_export_writes_a_program_that_says_how_to_run_it(book):
    view = panel(book)
    line(view, f"export {book.path.stem}").click()
    view.get_by_text("python main.py").wait_for()
    written = (book.path.parent / book.path.stem / "main.py").read_text()
    assert "@app.consumer(" in written
    assert "%%buildflow" not in written


def test_a_swapped_cell_shows_its_next_version_and_a_removed_one_goes(book):
    view = panel(book)
    start(view)
    book.edit_cell(1, book.source(1).replace("2.0", "5.0"))
    book.run_cell(1)
    book.select(PANEL)
    view.get_by_text("running · v2").first.wait_for()
    view.locator("tbody button[data-arg=price]").first.click()
    view.get_by_role("tab", name="Code").click()
    view.get_by_text("5.0 * order.qty").wait_for()
    view.get_by_text("cell [6]").wait_for()
    view.get_by_role("button", name="Remove").click()
    expect(view.locator("tbody button[data-arg=price]")).to_have_count(0)


def test_a_moved_cell_stays_the_same_cell(book):
    view = panel(book)
    start(view)
    book.select(1)
    command(book.page, "notebook:move-cell-down")
    book.page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.content.widgets[2].model.id === 'c1'"
    )
    book.edit_cell(2, book.source(2).replace("def price", "def cost"))
    book.run_cell(2)
    book.select(PANEL)
    view.locator("tbody button[data-arg=cost]").first.wait_for()
    expect(view.locator("tbody button[data-arg=price]")).to_have_count(0)


def test_a_newer_panel_takes_over_and_the_older_one_says_where(book):
    book.edit_cell(4, "app")
    book.run_cell(4)
    panel(book, 4).wait_for()
    book.select(PANEL)
    book.wait_output(PANEL, "the live view is in cell [6]; this is how it was")
    expect(panel(book)).to_have_count(0)


def test_after_a_reload_it_is_alive_and_a_cleared_output_ends_the_traffic(book):
    start(panel(book))
    book.reload()
    book.select(PANEL)
    view = panel(book)
    view.wait_for()
    numbers_move(book, view)
    book.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-cell-output')")
    book.edit_cell(4, "import gc\nfrom buildflow_nb.notebook.live import Live\n"
                      "live = next(x for x in gc.get_objects() if isinstance(x, Live))\n"
                      "import asyncio\n"
                      "async def unwatched():\n"
                      "    for _ in range(400):\n"
                      "        if not live._view.watched: return 'nobody looks'\n"
                      "        await asyncio.sleep(0.05)\n"
                      "    return 'somebody looks'\n"
                      "live._view._hears = lambda: True\n"
                      "import time\n"
                      "began = time.monotonic()\n"
                      "live._view._now = lambda: began + 20 * (time.monotonic() - began)\n"
                      "await unwatched()")  # fmt: skip
    book.run_cell(4)
    book.wait_output(4, "nobody looks")


def test_a_saved_view_says_what_it_was_when_its_kernel_is_gone(book):
    view = panel(book)
    start(view)
    numbers_move(book, view)
    book.run_cell(4)  # the twin is brought up to date after a cell
    page, _ = HTMLExporter().from_notebook_node(book.save())
    assert page.count('aria-label="Processors"') == 1
    assert "graph of the flow" in page
    assert "widget-view+json" not in page
    book.restart_kernel()
    book.reload()
    book.select(PANEL)
    twin = book.output(PANEL).locator("[data-bf-twin]")
    expect(twin).to_be_visible()
    assert re.search(r"as of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", twin.inner_text())
    assert "running" in twin.inner_text()
    assert "Error displaying widget" not in book.text(PANEL)
    book.shot("panel-after-restart", twin)
    book.edit_cell(4, "%load_ext buildflow_nb\n%buildflow status")
    book.run_cell(4)
    book.wait_output(4, "stack")
    book.run_all()
    book.select(PANEL)
    panel(book).wait_for()


def test_a_view_whose_kernel_is_dead_says_so(book):
    view = panel(book)
    start(view)
    for _ in range(32):  # longer than its patience, in which the kernel lives
        book.page.wait_for_timeout(500)
        assert view.locator(".silent").is_hidden()
    book.shut_kernel_down()
    expect(view.locator(".silent")).to_be_visible(timeout=30_000)  # its patience is 12 s
    assert "No sign from the kernel since" in view.locator(".silent").inner_text()
    book.shot("panel-silent", view)


def test_everything_can_be_reached_and_pressed_by_keys(book):
    view = panel(book)
    line(view, "preview").focus()
    pressed = []
    for _ in range(7):
        pressed.append(book.page.evaluate("() => document.activeElement.innerText"))
        book.page.keyboard.press("Tab")
    assert pressed == ["Preview", "Apply", "Run", "Stop", "Check", "Export", "Destroy …"]
    line(view, "run").focus()
    book.page.keyboard.press("Enter")
    view.get_by_text("running since").wait_for()
    view.locator("tbody button[data-arg=price]").first.focus()
    book.page.keyboard.press("Space")
    elements = view.get_by_role("tab", name="Elements")
    elements.wait_for()
    elements.focus()
    for name in ("Failures", "Log", "Code", "Send", "Elements"):
        book.page.keyboard.press("ArrowRight")
        expect(view.get_by_role("tab", name=name)).to_be_focused()
        expect(view.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
    line(view, "apply").focus()
    book.page.keyboard.press("Enter")
    act(view, "no").wait_for()
    expect(act(view, "no")).to_be_focused()  # the question is where the keys are
    book.page.keyboard.press("Enter")
    view.get_by_text("apply rejected").wait_for()
    assert book.count() == 5  # no key of these was taken for the notebook's own


@pytest.mark.parametrize("width", [700, 1200])
def test_it_is_readable_in_every_theme_and_width_and_by_screen_readers(book, width):
    view = panel(book)
    start(view)
    view.locator("button[data-act=failures]").wait_for()
    found = []
    book.width(width)
    for theme in THEMES:
        book.theme(theme)
        for tab in ("Elements", "Failures", "Log", "Code", "Send"):
            if not view.get_by_role("tab").count():
                view.locator("tbody button[data-arg=price]").first.click()
            view.get_by_role("tab", name=tab).click()
            expect(view.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
            found += book.axe(f".jp-Cell:nth-of-type({PANEL + 1}) .bf-live, .bf-live")
            found += book.overflowing(PANEL, ".bf-live")
            slug = theme.replace(" ", "-").lower()
            book.shot(f"panel-{slug}-{width}-{tab.lower()}", view)
    assert found == []


def test_a_flood_of_lines_does_not_freeze_the_page(notebook):
    flood = (
        "%%buildflow consumer source=Pulse(range(10), 0.01)\n"
        "def flood(x: int):\n    for i in range(1_000):\n        print('line', i, 'x' * 80)"
    )
    made = notebook(
        [LOAD.split("\n", maxsplit=1)[0], "from buildflow_nb.io.local import Pulse", flood, "app"]
    )
    made.run_all()
    made.select(PANEL)
    view = panel(made)
    start(view)
    view.locator("tbody button[data-arg=flood]").first.click()
    view.get_by_role("tab", name="Log").click()
    log = view.get_by_role("log")
    log.get_by_text("line").first.wait_for()
    late = made.page.evaluate(
        "() => new Promise(done => { let late = 0, last = performance.now(), n = 0;"
        " const tick = () => { const now = performance.now(); late = Math.max(late, now - last);"
        " last = now; if (++n < 150) requestAnimationFrame(tick); else done(late) };"
        " requestAnimationFrame(tick) })"
    )
    assert late < 2_000  # frames go on being drawn; a frozen page has none for many seconds
    assert log.evaluate("e => e.innerText.split('\\n').length") <= 201
    assert log.get_attribute("aria-live") == "off"
    assert "line" not in made.text(PANEL - 1)  # nothing of it reached a cell
