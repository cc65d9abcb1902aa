"""The page of its own, as a person uses it: beside the notebook, cut off, with a wrong link."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.lab import shots
from tests.browser.panel import PANEL, line, panel, row, start

pytestmark = pytest.mark.browser


def link_of(book):
    book.edit_cell(4, "print(get_ipython().run_line_magic('buildflow', 'open').url)")
    book.run_cell(4)
    return book.wait_output(4, "http://127").inner_text().strip()


def test_the_page_shows_and_does_what_the_notebook_does(book):
    view = panel(book)
    start(view)
    link = link_of(book)
    page = book.page.context.new_page()
    page.set_viewport_size({"width": 900, "height": 800})
    page.goto(link)
    other = page.locator("section.bf-live")
    row(other, "price").click()
    assert "#" not in page.url
    page.reload()  # it knows its token still
    row(other, "price").click()
    other.get_by_role("tab", name="Elements").wait_for()
    other.get_by_role("tab", name="Chart").click()
    expect(other.get_by_role("tabpanel")).to_contain_text("throughput")
    page.keyboard.press("Escape")
    expect(other.get_by_role("tab")).to_have_count(0)
    page.screenshot(path=shots() / "page-900.png")
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=shots() / "page-900-dark.png")
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(17, 17, 17)"
    line(other, "stop").click()
    line(other, "run").wait_for()
    book.page.bring_to_front()
    book.select(PANEL)
    line(view, "run").wait_for()  # what is clicked on one is seen on all
    page.close()


def test_a_page_whose_program_is_out_of_reach_says_so_and_shows_how_it_was(book):
    start(panel(book))
    page = book.page.context.browser.new_page()
    page.goto(link_of(book))
    view = page.locator("section.bf-live")
    row(view, "price").wait_for()
    book.edit_cell(4, "import gc\nfrom buildflow_nb.cockpit.page.server import PageServer\n"
                      "server = next(x for x in gc.get_objects() if isinstance(x, PageServer))\n"
                      "server.close()")  # fmt: skip
    book.run_cell(4)
    page.get_by_text(re.compile("out of reach")).wait_for()
    assert row(view, "price").is_visible()  # it shows how it was
    page.close()


def test_a_wrong_link_opens_nothing_and_says_what_to_do(book):
    start(panel(book))
    link = link_of(book)
    page = book.page.context.browser.new_page()
    for wrong in (link[:-1] + ("a" if link[-1] != "a" else "b"), link.partition("#")[0]):
        page.goto("about:blank")
        page.goto(wrong)
        page.get_by_text("needs the link that %buildflow open").wait_for()
        assert page.locator("section.bf-live").count() == 0
    page.close()
