"""What a person sees in JupyterLab from the first cell on, whatever is inside the dashboard."""

from __future__ import annotations

import pytest
from playwright.sync_api import Error

from tests.browser.lab import THEMES, shots

pytestmark = pytest.mark.browser

LOAD = (
    "%load_ext buildflow_nb\n"
    "from buildflow_nb.io.local.pulse import Pulse\n"
    "numbers = Pulse(range(1000), 0.005)"
)
PRICE = "%%buildflow consumer source=numbers\ndef price(x: int) -> int:\n    return 2 * x"
RUN = "%buildflow run --port 0"
CELLS = (LOAD, PRICE, RUN, "%buildflow status")
BOARD = 2  # the cell under which the dashboard stands


@pytest.fixture
def running(notebook):
    """A notebook whose flow runs, and its dashboard."""
    made = notebook(CELLS)
    made.run_all()
    yield made
    assert made.faults == []


def board(book):
    """The dashboard, in view; its static twin stands hidden beside it."""
    book.select(BOARD)
    found = book.output(BOARD).locator(".bf:visible").first
    found.wait_for()
    return found


def test_run_all_runs_every_cell_and_the_dashboard_moves(running):
    assert [running.ran(i) for i in range(len(CELLS))] == [1, 2, 3, 4]
    shown = board(running)
    assert "price" in shown.inner_text()
    first = running.wait_change(shown)
    assert running.wait_change(shown) != first
    assert "price" in running.wait_output(3, "price").inner_text()


def test_a_cell_that_is_run_again_replaces_what_runs(running):
    running.edit_cell(1, PRICE.replace("2 * x", "3 * x"))
    running.run_cell(1)
    assert running.ran(1) == len(CELLS) + 1
    running.edit_cell(3, "app.send('price', 5)")
    running.run_cell(3)
    running.wait_output(3, "[15]")


def test_a_wrong_word_is_one_line_under_its_cell(running):
    running.edit_cell(3, "%buildflow rnu")
    running.run_cell(3)
    running.wait_output(3, "did you mean 'run'?")
    assert "Traceback" not in running.text(3)


def test_after_a_reload_the_dashboard_lives(running):
    running.wait_change(board(running))
    running.reload()
    shown = board(running)
    assert "price" in shown.inner_text()
    running.wait_change(shown)


def test_after_a_restart_the_same_cells_run_again(running):
    running.restart_kernel()
    running.run_all()
    assert running.ran(BOARD) == BOARD + 1
    running.wait_change(board(running))


def test_after_the_kernel_was_killed_the_same_cells_run_again(running):
    running.kill_kernel()
    running.run_all()
    assert running.ran(BOARD) == BOARD + 1
    running.wait_change(board(running))


def test_a_saved_notebook_shows_its_numbers_without_a_kernel(running):
    running.wait_change(board(running))
    running.edit_cell(3, "%buildflow stop")
    running.run_cell(3)
    running.wait_output(3, "stopped")
    data = running.save().cells[BOARD].outputs[0].data
    assert "price" in data["text/plain"]
    assert 'class="bf' in data["text/html"]


@pytest.mark.parametrize("width", [700, 1200])
def test_the_dashboard_is_readable_in_every_theme(running, width):
    running.width(width)
    found = {}
    for theme in THEMES:
        running.theme(theme)
        board(running)
        found[theme] = running.axe(".bf") + running.overflowing(BOARD, ".bf")
        picture = running.shot(f"dashboard-{theme.replace(' ', '-').lower()}-{width}")
        assert picture.parent == shots()
        assert picture.stat().st_size > 10_000
    assert found == {theme: [] for theme in THEMES}


def test_what_is_wider_than_its_cell_is_seen(running):
    board(running)
    running.edit_cell(3, "from IPython.display import HTML\nHTML('<b class=wide>wide</b>')")
    running.run_cell(3)
    running.wait_output(3, "wide").locator(".wide").evaluate(
        "e => { e.style.display = 'block'; e.style.width = '5000px' }"
    )
    assert running.overflowing(3, ".wide") == [".wide 0 is wider than its cell"]


def test_axe_sees_what_is_wrong(notebook):
    made = notebook(
        ["from IPython.display import HTML\nHTML('<p class=bad><button></button></p>')"]
    )
    made.run_all()
    (found,) = made.axe(".bad")
    assert "button-name" in found
    with pytest.raises(Error, match="No elements found"):
        made.axe(".no-such-thing")


def test_a_request_that_would_leave_the_machine_is_seen_and_goes_nowhere(notebook):
    made = notebook(["1"])
    reached = made.page.evaluate(
        "() => fetch('https://outside.invalid/').then(() => true, () => false)"
    )
    assert reached is False
    assert made.strangers == ["https://outside.invalid/"]
    made.strangers.clear()


def test_the_file_keeps_the_newest_table_also_after_the_page_was_loaded_again(running):
    running.reload()
    board(running).locator("xpath=self::*[contains(@class, 'bf-live')]").wait_for()
    running.edit_cell(3, "%buildflow stop")
    running.run_cell(3)
    running.wait_output(3, "stopped")
    running.page.wait_for_function(
        "i => window.jupyterapp.shell.currentWidget.content.widgets[i].model.outputs.toJSON()"
        ".some(o => o.data?.['text/plain']?.includes?.('stopped'))",
        arg=BOARD,
    )
    (twin,) = [o for o in running.save().cells[BOARD].outputs if "data-bf-twin" in str(o)]
    assert "stopped" in "".join(twin.data["text/plain"])
    assert not running.output(BOARD).locator("[data-bf-twin]").is_visible()
