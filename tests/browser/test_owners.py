"""Cloud resources of several notebooks in one JupyterLab: nothing is deleted unseen."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.pulumi, pytest.mark.emulator]

LOAD = "%load_ext buildflow_nb\nfrom buildflow_nb.io.aws import SQSQueue"
BOTH = "app.manage(SQSQueue('own-{0}-1'), SQSQueue('own-{0}-2'))"
ONE = "app.manage(SQSQueue('own-{0}-1'))"
PANEL = 2


def opened(notebook, letter):
    book = notebook([LOAD, BOTH.format(letter), "%buildflow", "1 + 1"])
    book.run_all()
    book.select(PANEL)
    view = book.output(PANEL).locator("section.bf-live")
    view.wait_for()
    return book, view


def apply(view):
    view.locator('button[data-arg="%buildflow apply"]').click()
    view.locator('button[data-act="yes"]').wait_for()


def test_deletions_are_counted_red_and_typed(notebook):
    one, one_view = opened(notebook, "a")
    apply(one_view)
    expect(one_view.locator('button[data-act="yes"]')).to_have_text("Apply 2 changes")
    one_view.locator('button[data-act="yes"]').click()
    one_view.get_by_text("2 created in").wait_for()

    other, other_view = opened(notebook, "b")
    apply(other_view)  # it neither sees nor deletes what the first one has
    expect(other_view.locator('button[data-act="yes"]')).to_have_text("Apply 2 changes")
    other_view.locator('button[data-act="no"]').click()

    one.page.bring_to_front()
    one.edit_cell(1, ONE.format("a"))
    one.run_cell(1)
    assert "SQSQueue own-a-2 is managed no longer" in one.text(1)
    one.select(PANEL)
    apply(one_view)
    yes = one_view.locator('button[data-act="yes"]')
    expect(yes).to_have_text("Delete 1 resource")
    warning = one_view.get_by_text("this deletes 1 resource, and creates 0")
    assert warning.evaluate("e => getComputedStyle(e).color") == yes.evaluate(
        "e => getComputedStyle(e).backgroundColor"
    )
    one.shot("owners-typed", one_view)
    yes.click()
    one_view.get_by_text("type delete 1 to confirm").wait_for()
    one_view.locator('button[data-act="yes"]:not([data-sent])').wait_for()
    field = one_view.locator('input[name="typed"]')
    field.fill("delete 2")
    yes.click()
    one_view.get_by_text("type delete 1 to confirm").wait_for()
    one_view.locator('button[data-act="yes"]:not([data-sent])').wait_for()  # no double click
    field.fill("delete 1")
    yes.click()
    one_view.get_by_text("1 deleted in").wait_for()

    one.edit_cell(3, "%buildflow destroy --yes")
    one.run_cell(3)
    one.wait_output(3, "1 deleted in")
    assert one.faults == other.faults == []
