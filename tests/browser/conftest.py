"""One JupyterLab, one Chromium and, as a rule, one page for all browser tests; a kernel for each.

To load JupyterLab into a page takes most of the time that a test takes, so that a page goes from
one test to the next, unless the test has failed or has changed the page itself.

Of the package, not of the session: while Playwright runs, the thread has an event loop, and
`asyncio.run` in any other test would fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import pytest
from nbformat import NotebookNode
from playwright.sync_api import BrowserContext, Page

from buildflow_nb.local_cloud.client import stop_cloud
from tests.browser.lab import Notebook, write
from tests.browser.panel import DOUBLE, LOAD, PANEL, PRICE, panel
from tools.jupyterlab import Lab, jupyterlab, open_browser

Open = Callable[..., Notebook]


@pytest.fixture(scope="package")
def lab(tmp_path_factory) -> Iterator[Lab]:
    root = tmp_path_factory.mktemp("lab")
    with jupyterlab(root, tmp_path_factory.mktemp("home")) as made:
        yield made
    stop_cloud(root)


@pytest.fixture(scope="package")
def context() -> Iterator[BrowserContext]:
    """One for all pages, so that JupyterLab's own files are read once."""
    with open_browser() as browser:
        yield browser.new_context()


@pytest.fixture(scope="package")
def free_pages() -> list[Page]:
    """Pages with JupyterLab in them, and no notebook."""
    return []


@pytest.fixture
def notebook(lab, context, free_pages, request) -> Iterator[Open]:
    """Opens a notebook of the cells that it is given; it must ask for nothing outside."""
    name = re.sub(r"\W+", "-", request.node.name).strip("-")
    opened: list[Notebook] = []

    def make(cells: Sequence[str | NotebookNode], width: int = 1200) -> Notebook:
        page = free_pages.pop() if free_pages else context.new_page()
        made = Notebook(page, lab, lab.root / f"{name}-{len(opened)}.ipynb")
        write(made.path, cells)
        opened.append(made)
        made.open(width)
        made.theme("JupyterLab Light")
        return made

    yield make
    for each in opened:
        if request.session.testsfailed:
            each.shot(f"last-{each.path.stem}")
        if request.session.testsfailed or each.changed:
            each.close()
        else:
            free_pages.append(each.hand_over())
    assert [url for each in opened for url in each.strangers] == []


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
