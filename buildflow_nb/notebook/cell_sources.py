"""The sources of the cells that this kernel ran: what `%buildflow export` works on.

A cell is known by the front end's id; its latest source that ran without an error counts, in the
place of the first one. Where there are no ids (a terminal, papermill) every run is a cell. Cells
that ran before the extension was loaded come from IPython's history, which has neither ids nor
results: they are taken as good, and give way to a cell of the same source that runs later.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from buildflow_nb.core.errors import UsageError
from buildflow_nb.export import RanCell

__all__ = ("CellSources", "recorded", "sources_of")

_ATTRIBUTE = "buildflow_cell_sources"
MOST_FAILED = 200  # cells without a success that are kept; each run is one where there are no ids
Key = str | int  # the front end's id, or the number of the run


class CellSources:
    """Kept on the kernel's main thread; `note` is called after each cell."""

    def __init__(self, shell: Any) -> None:
        inputs = list(shell.history_manager.input_hist_raw)
        self._cells: dict[Key, RanCell] = {
            number: RanCell(source, number)
            for number, source in enumerate(inputs[:-1])  # the last one is the cell that runs now
            if source.strip()
        }
        self._before = set(self._cells)
        self._failed: dict[Key, RanCell] = {}

    @property
    def failed(self) -> tuple[RanCell, ...]:
        """The last cells of which no source has run without an error yet."""
        return tuple(self._failed.values())

    @property
    def kept(self) -> tuple[RanCell, ...]:
        """The cells, in the order in which they first ran without an error."""
        return tuple(self._cells.values())

    def note(self, result: Any) -> None:
        """Keep what IPython says of a cell that ended; `result` is None where it was cancelled."""
        info = None if result is None else result.info
        if info is None or not info.store_history or result.execution_count is None:
            return
        number = int(result.execution_count)
        key: Key = number if info.cell_id is None else str(info.cell_id)
        if not result.success:
            if key in self._cells:
                self._cells[key] = replace(self._cells[key], failed_since=True)
            else:
                self._note_failed(key, RanCell(info.raw_cell, number, cell_id=info.cell_id))
            return
        self._failed.pop(key, None)
        for older in [n for n in self._before if self._cells[n].source == info.raw_cell]:
            self._before.discard(older)
            del self._cells[older]
        cell_id = None if info.cell_id is None else str(info.cell_id)
        self._cells[key] = RanCell(info.raw_cell, number, cell_id=cell_id, at=time.time())

    def _note_failed(self, key: Key, cell: RanCell) -> None:
        self._failed.pop(key, None)
        self._failed[key] = replace(cell, failed=True)
        if len(self._failed) > MOST_FAILED:
            del self._failed[next(iter(self._failed))]


@contextmanager
def recorded(shell: Any) -> Iterator[None]:
    """Keep the sources of a shell's cells, as long as this lasts."""
    sources = CellSources(shell)
    setattr(shell, _ATTRIBUTE, sources)
    shell.events.register("post_run_cell", sources.note)
    try:
        yield
    finally:
        shell.events.unregister("post_run_cell", sources.note)
        delattr(shell, _ATTRIBUTE)


def sources_of(shell: Any) -> CellSources:
    """What is kept of a shell's cells.

    Raises:
        UsageError: the extension is not loaded in it.
    """
    found = getattr(shell, _ATTRIBUTE, None)
    if not isinstance(found, CellSources):
        msg = "the sources of the cells are not kept in this kernel; run %reload_ext buildflow_nb"
        raise UsageError(msg)
    return found
