"""The tutorial's page in a real browser: the login, a form with a file, events, a WebSocket."""

from __future__ import annotations

import re
import shutil

import nbformat
import pytest
from playwright.sync_api import expect

from tests.notebook.kernels import Kernel
from tools.notebooks import NOTEBOOKS

pytestmark = [pytest.mark.browser, pytest.mark.notebook]


@pytest.fixture
def address(tmp_path):
    """Where the service of a kernel is that has run the tutorial, and not stopped."""
    shutil.copy(NOTEBOOKS / "issuer.py", tmp_path)
    cells = nbformat.read(NOTEBOOKS / "service.ipynb", as_version=4).cells
    kernel = Kernel(tmp_path)
    try:
        said = {}
        for cell in cells:
            if cell.cell_type == "code" and cell.id != "stop":
                ran = kernel(cell.source, cell.id)
                assert ran.error is None, ran.error
                said[cell.id] = ran.text
        yield re.search(r"http://\S+", said["address"])[0]
    finally:
        kernel.close()


def test_the_page_logs_in_uploads_follows_and_searches(context, address, tmp_path):
    picture, notes = tmp_path / "beach.png", tmp_path / "notes.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (640).to_bytes(4) + (480).to_bytes(4))
    notes.write_text("no picture at all")
    page = context.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    try:
        page.goto(address)
        expect(page.locator("#arrived li")).to_have_count(2)  # those that the cells uploaded
        page.click("text=Log in")
        expect(page.locator("#who")).to_have_text("You are ada@example.com.")
        assert page.url == f"{address}/"
        page.set_input_files("[name=picture]", picture)
        page.fill("[name=caption]", "<b>The</b> beach")
        page.click("text=Upload")
        expect(page.locator("#said")).to_have_text("thank you")
        last = page.locator("#arrived li").last
        expect(last).to_have_text("beach.png (640 by 480): <b>The</b> beach, by ada@example.com")
        page.fill("#search", "hill")
        expect(page.locator("#found li")).to_have_count(1)
        page.fill("#search", "sea")
        expect(page.locator("#found li")).to_have_count(2)
        page.set_input_files("[name=picture]", notes)
        page.click("text=Upload")
        expect(page.locator("#said")).to_have_text("send a PNG file")
        page.screenshot(path=tmp_path / "gallery.png")
        assert not faults
    finally:
        page.close()
