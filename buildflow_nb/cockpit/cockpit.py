"""What all views of one flow share: the flow itself, what clicks do, what was sent and found.

A panel holds what one page has opened; everything that is the same on every page is here. So a
check that was clicked on the second screen is shown in the notebook, too, and an operation is
under way for both.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from buildflow_nb.cockpit.panel.click_queue import ClickQueue
from buildflow_nb.cockpit.panel.operation_box import OperationBox
from buildflow_nb.cockpit.views.form import Sent
from buildflow_nb.flow import Flow

if TYPE_CHECKING:
    from buildflow_nb.cockpit.page.link import Link
    from buildflow_nb.cockpit.page.server import PageServer

__all__ = ("Cockpit", "Exporter", "Found")


class Found(Protocol):
    """A list that looks like a table."""

    def _repr_html_(self) -> str: ...


class Exported(Found, Protocol):
    """What an export wrote; `title` says it in a line."""

    @property
    def title(self) -> str: ...


Exporter = Callable[[Mapping[str, Any]], Exported]


def _nowhere(_: str) -> str:
    return ""


def _none() -> str:
    return ""


@dataclass
class Cockpit:
    """One flow as its views see it.

    `told` is called, from any thread, whenever there is something new to show. `cell_of` says
    which cell a processor stands in and `cell` which one runs now, "" where there are no cells;
    `between_cells` is set while none runs. `export` writes the project, None where there are no
    cells to export.
    """

    flow: Callable[[], Flow]
    told: Callable[[], None]
    between_cells: threading.Event | None = None
    cell: Callable[[], str] = _none
    cell_of: Callable[[str], str] = _nowhere
    export: Exporter | None = None
    sent: Sent = field(default_factory=Sent)
    results: dict[str, str] = field(default_factory=dict)  # of the last element sent to each
    found: Found | None = None
    clicks: ClickQueue = field(init=False)
    operations: OperationBox = field(init=False)
    _page: PageServer | None = None
    _opening: threading.Lock = field(default_factory=threading.Lock)
    _watchers: tuple[Callable[[], None], ...] = ()

    def __post_init__(self) -> None:
        from buildflow_nb.cockpit.panel.click_handlers import handlers

        self.operations = OperationBox(self.changed)
        self.clicks = ClickQueue(self.changed, self.between_cells, self.cell)
        self.clicks.handlers = handlers(self)

    def open(self, port: int = 0) -> Link:
        """Serve a page of its own, if it is not yet; gives the link to it.

        Raises:
            ServeError: the port cannot be had.
        """
        from buildflow_nb.cockpit.page.link import Link
        from buildflow_nb.cockpit.page.server import PageServer

        with self._opening:
            page = self._page or PageServer(self, port)
            page.start()  # one whose port cannot be had is not kept
            self._page = page
        return Link(page.link, self.flow().flow_id)

    def close(self) -> None:
        """Let go of the page, if there is one."""
        if self._page is not None:
            self._page.close()

    def changed(self) -> None:
        """Tell every view that there is something new to show; from any thread."""
        self.told()
        for watcher in self._watchers:
            watcher()

    @contextmanager
    def watched(self, watcher: Callable[[], None]) -> Iterator[None]:
        """Let another view be told, too, as long as it is there."""
        self._watchers += (watcher,)
        try:
            yield
        finally:
            self._watchers = tuple(one for one in self._watchers if one != watcher)

    def show(self, found: Found | None) -> None:
        """Show a table on every page, None for none; from any thread."""
        self.found = found
        self.changed()
