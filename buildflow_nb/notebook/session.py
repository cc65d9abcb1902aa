"""The kernel's Flow: whatever the name `app` is bound to.

Loading the extension binds a fresh Flow where `app` is free; a user's own `app = Flow(...)` takes
its place, and an older running Flow of the same id is drained first. All methods run on the
kernel's main thread.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

from buildflow_nb.core.errors import BuildFlowError, UsageError
from buildflow_nb.flow import Flow
from buildflow_nb.notebook.cells import CellInfo, Cells
from buildflow_nb.notebook.dashboard import Dashboards

__all__ = ("NAME", "Session")

NAME = "app"
DRAIN_S = 10.0  # how long an old flow may finish what it has in flight


class Session:
    """One kernel with its Flow, its cells and its dashboards."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.cells = Cells(say)
        self.dashboards = Dashboards(updates=getattr(shell, "kernel", None) is not None)
        self.cell_id: str | None = None
        self._last: Flow | None = None
        self._seen: weakref.WeakSet[Flow] = weakref.WeakSet()

    @property
    def names(self) -> dict[str, Any]:
        """What the user's code sees."""
        found: dict[str, Any] = self.shell.user_ns
        return found

    def bind(self) -> None:
        """Bind a fresh Flow where the name is free; say so where it is not."""
        taken = self.names.get(NAME)
        if taken is None:
            self.names[NAME] = Flow()
        elif not isinstance(taken, Flow):
            say(f"buildflow: {_taken(taken)}")
        self._note()

    def bound(self) -> Flow | None:
        """The kernel's Flow, if there is one now."""
        found = self.names.get(NAME)
        return found if isinstance(found, Flow) else None

    def flow(self) -> Flow:
        """The kernel's Flow.

        Raises:
            UsageError: the name is free, or used by something else.
        """
        found = self.bound()
        if found is None:
            raise UsageError(_taken(self.names.get(NAME)))
        return found

    def pre_run_cell(self, info: CellInfo) -> None:
        """IPython's event before a cell."""
        self.cell_id = info.cell_id
        self.cells.begin(info, self.bound())

    def post_run_cell(self, result: Any) -> None:
        """IPython's event after a cell; `result` is None where the cell was cancelled."""
        info = None if result is None else result.info
        success = result is not None and bool(result.success)
        self._note()
        self.cells.end(info, self.bound(), success=success)
        self.dashboards.refresh()

    def close(self) -> None:
        """Undo what is half done and drain every flow that still runs."""
        self.cells.abandon()
        for flow in list(self._seen):
            _drain(flow)
        self.dashboards.close()

    def _note(self) -> None:
        flow, last = self.bound(), self._last
        if flow is None or flow is last:
            return
        self._last = flow
        self._seen.add(flow)
        if last is None or last.handle is None or not last.handle.running:
            return
        if last.flow_id == flow.flow_id:
            _drain(last)
            say(f"buildflow: the earlier flow {last.flow_id!r} was drained and stopped")
        else:
            say(
                f"buildflow: flow {last.flow_id!r} still runs; {NAME} is now {flow.flow_id!r} "
                "(unload, or stop it by its handle)"
            )


def say(text: str) -> None:
    """Write a line into the output of the cell that runs."""
    sys.stdout.write(f"{text}\n")


def _drain(flow: Flow) -> None:
    if flow.handle is None or not flow.handle.running:
        return
    try:
        flow.handle.stop(timeout=DRAIN_S)
    except (BuildFlowError, TimeoutError) as error:
        say(f"buildflow: flow {flow.flow_id!r} did not drain: {error}")


def _taken(value: object) -> str:
    if value is None:
        return f"the name {NAME} is not bound; run {NAME} = Flow() in a cell"
    kind = "a class" if isinstance(value, type) else type(value).__name__
    return (
        f"the name {NAME} is taken by something else ({kind}), and the kernel's flow is whatever "
        f"{NAME} is; run {NAME} = Flow() in a cell"
    )
