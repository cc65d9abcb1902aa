"""What buttons do beside running: resources, elements, checks, exports."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.panel import (
    HELD,
    LOAD,
    PANEL,
    act,
    line,
    menu,
    panel,
    row,
    start,
    stop,
)

pytestmark = pytest.mark.browser


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
    assert "create" in shown
    assert "SQSQueue" in shown
    book.shot("panel-question", view)
    act(view, "no").click()
    view.get_by_text("apply rejected; nothing was changed").wait_for()
    line(view, "apply").click()
    act(view, "yes").click()
    act(view, "close-operation").wait_for()
    assert "2 created" in view.locator("[data-part=operation]").inner_text()
    book.shot("panel-applied", view)
    view.locator("[data-part=graph]").get_by_text("SQS · applied").first.wait_for()
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
    view.get_by_text(re.compile("preview.*(interrupted|stopped|cancel)")).wait_for()
    gate.touch()
    expect(line(view, "apply")).not_to_have_attribute("aria-disabled", "true")


def test_a_failure_is_read_sent_again_and_discarded(book):
    view = panel(book)
    start(view)
    view.locator("td button[data-act=failures]").wait_for()
    view.locator("td button[data-act=failures]").click()
    tab = view.get_by_role("tabpanel")
    tab.get_by_text("ValueError: qty must be positive").first.wait_for()
    stop(view)
    shown = tab.locator("pre.inset").inner_text()
    assert 'raise ValueError("qty must be positive")' in shown
    assert tab.get_by_text("cell [2] line 4").count()
    book.shot("panel-failures", view)
    tab.get_by_role("button", name=re.compile("^Discard")).click()
    tab.get_by_text("nothing failed").wait_for()
    start(view)
    book.edit_cell(1, book.source(1).replace("if order.qty == 0:", "if order.qty < 0:"))
    tab.get_by_text("ValueError").first.wait_for()
    book.run_cell(1)  # the mended code takes over
    book.select(PANEL)
    tab.get_by_role("button", name="Try one").click()
    view.get_by_text("would pass").wait_for()
    tab.get_by_role("button", name=re.compile("^Retry .*into sink")).click()
    tab.get_by_text("nothing failed").wait_for()


def test_an_element_is_sent_by_a_form_made_from_its_type(book):
    view = panel(book)
    row(view, "price").click()
    view.get_by_role("tab", name="Try").click()
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


PHOTOS = """%%buildflow endpoint "/photos", method="POST"
from buildflow_nb.requests import Header, UploadFile
async def photos(photo: UploadFile, x_album: str = Header("none")) -> str:
    return f"{photo.filename}: {len(await photo.read())} bytes for {x_album}\""""


def test_a_file_is_chosen_in_a_routes_form_and_its_line_names_it(notebook, tmp_path):
    book = notebook([LOAD.replace("NAME", "photos"), PHOTOS, "%buildflow"])
    book.run_all()
    book.select(2)
    view = panel(book, 2)
    row(view, "photos").click()
    view.get_by_role("tab", name="Try").click()
    photo = tmp_path / "my photo.png"
    photo.write_bytes(b"x" * 1234)
    view.get_by_label("photo file").set_input_files(photo)
    view.get_by_label("x_album (optional) header x-album").fill("summer")
    act(view, "send").click()
    view.get_by_text("my photo.png: 1234 bytes for summer").wait_for()
    kept = book.path.parent / ".buildflow" / "uploads" / "my photo.png"
    assert kept.stat().st_size == 1234
    assert "uploads/my photo.png" in view.locator("footer").inner_text()


def test_inputs_are_recorded_and_replayed_side_by_side(book):
    view = panel(book)
    start(view)
    row(view, "price").click()
    view.get_by_role("button", name="Record 100").click()
    view.get_by_role("button", name="End the recording").click()
    view.get_by_text("recorded into").wait_for()
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
    menu(view, f"export {book.path.stem}").click()
    view.get_by_text("python main.py").wait_for()
    written = (book.path.parent / book.path.stem / "main.py").read_text()
    assert "@app.consumer(" in written
    assert "%%buildflow" not in written
