"""The panel as a person uses it: each button clicked, confirmed, cancelled; by mouse and keys."""

from __future__ import annotations

import re

import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import expect

from tests.browser.lab import THEMES
from tests.browser.panel import LOAD, PANEL, act, line, numbers_move, panel, row, start, stop
from tools.jupyterlab import command

pytestmark = pytest.mark.browser


def test_the_flow_is_run_watched_and_stopped_by_its_buttons(book):
    view = panel(book)
    expect(line(view, "stop")).to_have_count(0)
    start(view)
    numbers_move(book, view)
    expect(line(view, "run")).to_have_count(0)
    graph = view.locator("[data-part=graph]")
    expect(graph.locator("[data-act=select][data-arg=price]")).to_contain_text("v1")
    assert view.locator("[data-bf-twin]").count() == 0
    assert not book.output(PANEL).locator("[data-bf-twin]").is_visible()
    line(view, "stop").click()
    view.get_by_text("stopped flow").wait_for()
    line(view, "run").wait_for()
    assert "%buildflow stop" in view.locator("footer").inner_text()


def test_a_click_can_be_copied_and_the_clicks_be_taken_out_as_a_cell(book):
    view = panel(book)
    start(view)
    stop(view)
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


def test_what_is_open_and_focused_stays_so_while_more_comes(notebook):
    code = (
        "%%buildflow consumer source=Pulse(range(1000), 1.5), retries=0\n"
        "def bad(x: int):\n    raise ValueError('no <b>')"
    )
    made = notebook(
        ["%load_ext buildflow_nb\nfrom buildflow_nb.io.local import Pulse", code, "app"]
    )
    made.run_all()
    made.select(2)
    view = panel(made, 2)
    start(view)
    view.locator("td button[data-act=failures]").click()
    group = view.locator("button[data-act=group]")
    group.wait_for()
    retry = view.get_by_role("button", name="Retry this one")
    retry.focus()
    count = view.locator("tr[data-key^=group] td:nth-child(3)")
    before = count.inner_text()
    made.page.wait_for_function(
        "([e, n]) => e.innerText !== n", arg=[count.element_handle(), before]
    )
    expect(retry).to_be_focused()
    assert "no <b>" in group.inner_text()
    assert made.faults == []


def test_the_log_is_filtered_paused_and_taken_as_a_file(book):
    view = panel(book)
    start(view)
    row(view, "price").click()
    view.get_by_role("tab", name="Log").click()
    log = view.get_by_role("log")
    log.get_by_text("order").first.wait_for()
    view.get_by_placeholder("filter").fill("order 17")
    expect(log).not_to_contain_text(re.compile(r"order [2-9]\n"))
    log.get_by_text("order 17").first.wait_for()
    act(view, "pause").click()
    view.get_by_role("button", name="Go on").wait_for()
    assert log.get_attribute("aria-live") == "off"
    with book.page.expect_download() as got:
        view.get_by_role("button", name="Download").click()
    assert got.value.suggested_filename == "price.log"
    rows = got.value.path().read_text().splitlines()
    assert rows
    assert all("order 17" in row for row in rows)


def test_a_swapped_cell_shows_its_next_version_and_a_removed_one_goes(book):
    view = panel(book)
    start(view)
    book.edit_cell(1, book.source(1).replace("2.0", "5.0"))
    book.run_cell(1)
    book.select(PANEL)
    view.locator("[data-act=select][data-arg=price] em", has_text="v2").wait_for()
    row(view, "price").click()
    view.get_by_role("tab", name="Code").click()
    view.get_by_text("5.0 * order.qty").wait_for()
    view.get_by_text("v2, from cell [6]").wait_for()
    view.get_by_role("button", name="Remove").click()
    expect(row(view, "price")).to_have_count(0)


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
    row(view, "cost").wait_for()
    expect(row(view, "price")).to_have_count(0)


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
    for _ in range(3):
        pressed.append(book.page.evaluate("() => document.activeElement.innerText"))
        book.page.keyboard.press("Tab")
    assert [label.split()[0] for label in pressed] == ["Preview", "Apply", "Destroy…"]
    line(view, "run").focus()
    book.page.keyboard.press("Enter")
    line(view, "stop").wait_for()
    row(view, "price").focus()
    book.page.keyboard.press("Space")
    elements = view.get_by_role("tab", name="Elements")
    elements.wait_for()
    elements.focus()
    for name in ("Trace", "Chart", "Code", "Log", "Try", "Profile", "Failures", "Elements"):
        book.page.keyboard.press("ArrowRight")
        expect(view.get_by_role("tab", name=name)).to_be_focused()
        expect(view.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
    book.page.keyboard.press("Escape")
    expect(view.get_by_role("tab")).to_have_count(0)
    expect(row(view, "price")).to_be_focused()
    book.page.keyboard.press("?")
    view.get_by_role("group", name="keys").wait_for()
    book.page.keyboard.press("?")
    line(view, "apply").focus()
    book.page.keyboard.press("Enter")
    act(view, "no").wait_for()
    expect(act(view, "no")).to_be_focused()  # the question is where the keys are
    book.page.keyboard.press("Enter")
    view.get_by_text("apply rejected").wait_for()
    assert book.count() == 5  # no key of these was taken for the notebook's own


TABS = ("Failures", "Elements", "Trace", "Chart", "Code", "Log", "Try", "Profile")


@pytest.mark.parametrize("width", [600, 900, 1200])
def test_it_is_readable_in_every_theme_and_width_and_by_screen_readers(book, width):
    view = panel(book)
    start(view)
    view.locator("td button[data-act=failures]").wait_for()
    found = []
    book.width(width)
    for theme in THEMES:
        book.theme(theme)
        for tab in TABS:
            if not view.get_by_role("tab").count():
                row(view, "price").click()
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
    row(view, "flood").click()
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
