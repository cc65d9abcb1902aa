"""What all views of one flow share: the flow itself, what clicks do, what was sent and found.

A panel holds what one page has opened; everything that is the same on every page is here. So a
check that was clicked on the second screen is shown in the notebook, too, and an operation is
under way for both.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from buildflow_nb.cockpit.panel.click_queue import ClickQueue
from buildflow_nb.cockpit.panel.operation_box import OperationBox
from buildflow_nb.cockpit.views.form import Sent
from buildflow_nb.flow import Flow

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

    `changed` is called, from any thread, whenever there is something new to show. `cell_of` says
    which cell a processor stands in and `cell` which one runs now, "" where there are no cells;
    `between_cells` is set while none runs. `export` writes the project, None where there are no
    cells to export.
    """

    flow: Callable[[], Flow]
    changed: Callable[[], None]
    between_cells: threading.Event | None = None
    cell: Callable[[], str] = _none
    cell_of: Callable[[str], str] = _nowhere
    export: Exporter | None = None
    sent: Sent = field(default_factory=Sent)
    results: dict[str, str] = field(default_factory=dict)  # of the last element sent to each
    found: Found | None = None
    clicks: ClickQueue = field(init=False)
    operations: OperationBox = field(init=False)

    def __post_init__(self) -> None:
        from buildflow_nb.cockpit.panel.click_handlers import handlers

        self.operations = OperationBox(self.changed)
        self.clicks = ClickQueue(self.changed, self.between_cells, self.cell)
        self.clicks.handlers = handlers(self)

    def show(self, found: Found | None) -> None:
        """Show a table on every page, None for none; from any thread."""
        self.found = found
        self.changed()
