"""The kernel's Flow: whatever the name `app` is bound to.

Loading the extension binds a fresh Flow where `app` is free; a user's own `app = Flow(...)` takes
its place, and an older running Flow of the same id is drained first. All methods run on the
kernel's main thread.
"""

from __future__ import annotations

import shlex
import sys
import threading
import weakref
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from buildflow_nb.core.errors import BuildFlowError, UsageError
from buildflow_nb.core.options import nearest
from buildflow_nb.flow import Flow
from buildflow_nb.notebook.cells import CellInfo, Cells

if TYPE_CHECKING:  # what shows the panel and does its clicks is loaded with the panel
    from buildflow_nb.cockpit.cockpit import Cockpit
    from buildflow_nb.cockpit.panel.view_state import ViewState
    from buildflow_nb.notebook.live import Live

__all__ = ("NAME", "Session", "say")

NAME = "app"
DRAIN_S = 10.0  # how long an old flow may finish what it has in flight


class Session:
    """One kernel with its Flow, its cells and its live panel.

    `between_cells` is set while no cell runs, for whoever waits on another thread.
    """

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.cells = Cells(say)
        self.between_cells = threading.Event()
        self.cell_id: str | None = None
        self.cell_running = ""  # as a person finds it, "" between cells
        self._numbers: dict[str, int] = {}  # of cells, by id: what stands in their brackets
        self._last: Flow | None = None
        self._seen: weakref.WeakSet[Flow] = weakref.WeakSet()
        self._left: list[Flow] = []  # that run under no name; kept, so that they can be stopped

    @cached_property
    def live(self) -> Live:
        """The live panel."""
        from buildflow_nb.notebook.live import Live

        updates = getattr(self.shell, "kernel", None) is not None
        return Live(updates=updates, hears=self.between_cells.is_set)

    @cached_property
    def cockpit(self) -> Cockpit:
        """What all views of the kernel's flow share."""
        from buildflow_nb.cockpit.cockpit import Cockpit
        from buildflow_nb.notebook.verbs.export import exported

        return Cockpit(
            self.flow,
            self.live.wake,
            self.between_cells,
            lambda: self.cell_running,
            self.cell_of,
            partial(exported, self),
        )

    def cancel(self, *, now: bool = True) -> bool:
        """End the operation that a button began; whether there was anything.

        The first time it ends after its step, the second time (with `now`) at once.
        """
        if "cockpit" not in vars(self):
            return False
        operations = self.cockpit.operations
        return operations.cancel() if now else operations.end_soon()

    @property
    def names(self) -> dict[str, Any]:
        """What the user's code sees."""
        found: dict[str, Any] = self.shell.user_ns
        return found

    @property
    def own_names(self) -> dict[str, Any]:
        """What the user's code made or imported, without what IPython put there."""
        hidden = self.shell.user_ns_hidden
        return {
            name: value
            for name, value in self.names.items()
            if name not in hidden or hidden[name] is not value
        }

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
        # IPython 9 counts a cell before this event, IPython 8 after it; both note it after it.
        self.cell_running = f"cell [{len(self.shell.history_manager.input_hist_parsed)}]"
        self.between_cells.clear()
        if "live" in vars(self):
            self.live.wake()
        self.cells.begin(info, self.bound())

    def post_run_cell(self, result: Any) -> None:
        """IPython's event after a cell; `result` is None where the cell was cancelled."""
        info = None if result is None else result.info
        success = result is not None and bool(result.success)
        self._note()
        if info is not None and info.cell_id is not None and result.execution_count is not None:
            self._numbers[info.cell_id] = result.execution_count
        self.cells.end(info, self.bound(), success=success)
        self.cell_running = ""
        if "live" in vars(self):
            self.live.refresh()
            self.live.wake()
        self.between_cells.set()

    def close(self) -> None:
        """Undo what is half done and drain every flow that still runs."""
        self.cells.abandon()
        for flow in list(self._seen):
            _drain(flow)
        if "cockpit" in vars(self):
            self.cockpit.close()
        if "live" in vars(self):
            self.live.close()

    @property
    def live_here(self) -> bool:
        """Whether the cell that runs can show something live."""
        return self.cell_id is not None and self.live.updates

    def show_panel(self, state: ViewState | None = None) -> None:
        """Show the panel under the cell that runs; an older one becomes quiet."""
        from buildflow_nb.cockpit.panel.panel import Panel
        from buildflow_nb.cockpit.panel.view_state import ViewState

        self.flow()  # says so if there is none
        where = f"cell [{len(self.shell.history_manager.input_hist_parsed) - 1}]"
        panel = Panel(self.cockpit, where, self.live.wake, state=state or ViewState())
        self.live.show(panel, live=self.live_here)

    def show_if_its_own(self, value: object) -> bool:
        """Show the panel for the kernel's flow, or its run; False for any other."""
        flow = self.bound()
        if flow is None or (value is not flow and value is not flow.handle):
            return False
        self.show_panel()
        return True

    def cell_of(self, processor_id: str) -> str:
        """Which cell a processor stands in, as a person finds it; "" where that is not known."""
        number = self._numbers.get(self.cells.owner(processor_id) or "")
        return "" if number is None else f"cell [{number}]"

    def running(self, flow_id: str) -> Flow:
        """A flow that runs, be it the kernel's or one that the name was bound to before.

        Raises:
            UsageError: there is none of this id.
        """
        found = {flow.flow_id: flow for flow in self._seen if _runs(flow)}
        if flow_id not in found:
            known = ", ".join(sorted(found)) or "none does"
            msg = f"no flow {flow_id!r} runs{nearest(flow_id, found)} (of this kernel's: {known})"
            raise UsageError(msg)
        return found[flow_id]

    def _note(self) -> None:
        flow, last = self.bound(), self._last
        if flow is last:
            return
        self._last = flow
        if flow is not None:
            self._seen.add(flow)
            self._drain_earlier(flow)
        self._left = [one for one in (last, *self._left) if one and one is not flow and _runs(one)]
        if last not in self._left:
            return
        say(
            f"buildflow: flow {last.flow_id!r} still runs, but the name {NAME} {self._now()}; "
            f"%buildflow stop --flow {shlex.quote(last.flow_id)} ends it"
        )

    def _drain_earlier(self, flow: Flow) -> None:
        """End what runs under the id of the kernel's flow, and is another one."""
        for one in list(self._seen):
            if one is not flow and one.flow_id == flow.flow_id and _runs(one):
                _drain(one)
                say(f"buildflow: the earlier flow {one.flow_id!r} was drained and stopped")

    def _now(self) -> str:
        """What became of the name of the kernel's flow."""
        found = self.names.get(NAME)
        if found is None:
            return "is free now"
        shown = f"flow {found.flow_id!r}" if isinstance(found, Flow) else _kind(found)
        return f"is now {shown}"


def say(text: str) -> None:
    """Write a line into the output of the cell that runs."""
    sys.stdout.write(f"{text}\n")


def _runs(flow: Flow) -> bool:
    return flow.handle is not None and flow.handle.running


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
    return (
        f"the name {NAME} is taken by something else ({_kind(value)}), and the kernel's flow is "
        f"whatever {NAME} is; run {NAME} = Flow() in a cell"
    )


def _kind(value: object) -> str:
    return "a class" if isinstance(value, type) else type(value).__name__
