"""The one live panel of a kernel, published at most four times a second, and its static twin.

The twin is an output of its own beside the widget: a true table that is saved with the notebook,
and shown wherever there is no widget or no kernel. It is brought up to date on the kernel's main
thread after each cell, because a background thread's output would land in whichever cell runs.
While the widget lives the page hides the twin.

A page that is closed, or an output that is cleared, stops the traffic: the widget counts its
views, and nothing is sent to none. A panel that is opened in another cell takes over; the older
one becomes its twin and says where the live one is. A front end that names no cells (nbclient,
papermill, a console) shows no live widgets either; it gets the twin alone.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable

from buildflow_nb.cockpit.panel.panel import VOLATILE, Panel, twin_html
from buildflow_nb.cockpit.panel.picture import Picture, pause_s, picture
from buildflow_nb.cockpit.views import snapshot_view
from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.status.snapshot import FlowSnapshot
from buildflow_nb.flow import Flow
from buildflow_nb.notebook.view import View
from buildflow_nb.runtime.trial import pending

__all__ = ("EVERY_S", "Live")

_LOGGER = logging.getLogger(__name__)
EVERY_S = 0.25  # the least time between two updates: four a second, when something is clicked
BEAT_S = 5.0  # between two signs of life of a flow in which nothing happens
MOST_TWINS = 16  # static twins kept up to date
QUIET_S = 2.0  # for the thread to end
LOOK_S = 1.0  # for the flow's loop to answer the thread that publishes
CELL_LOOK_S = 0.3  # and a cell, which somebody waits for


class Live:
    """The live panel of a kernel; all but `wake` is called on the main thread.

    `updates` says whether an output can be changed later; in a terminal it would be printed again.
    `hears` says whether the kernel hears its front ends now, or a cell runs.
    """

    def __init__(self, *, updates: bool, hears: Callable[[], bool] = lambda: True) -> None:
        self.updates = updates
        self.hears = hears
        self._panel: Panel | None = None
        self._view: View | None = None
        self._twins: dict[str, tuple[Flow, str, str]] = {}  # display id -> flow, twin, its text
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._found: dict[str, str] = {}
        self._put_last = Picture("", {})
        self._put_at = 0.0
        self._cost_s = 0.0  # of the last picture
        self._seen: weakref.WeakKeyDictionary[Flow, FlowSnapshot] = weakref.WeakKeyDictionary()
        self._ended = False
        self._thread: threading.Thread | None = None

    @property
    def panel(self) -> Panel | None:
        """The panel that is live."""
        return self._panel

    def show(self, panel: Panel, *, live: bool) -> None:
        """Put a panel into the output of the cell that runs."""
        from IPython.display import display

        flow = panel.cockpit.flow()
        snapshot = self._look(flow) or self._seen.get(flow) or _unseen(flow)
        view = self._view_of(panel, snapshot) if live and self.updates else None
        if view is not None:
            self._retire(f"the live view is in {panel.cell}")
            panel.tell = view.tell
            self._show_twin(flow, snapshot, view.twin)
            with self._lock:
                self._panel, self._view = panel, view
            display(view.bundle, raw=True)  # type: ignore[no-untyped-call]
            self._start()
        else:
            self._show_twin(flow, snapshot, "")

    def _view_of(self, panel: Panel, snapshot: FlowSnapshot) -> View | None:
        """The live half of a panel, None where widgets are not installed."""
        try:
            return View(snapshot_view.title(snapshot), panel.parts(snapshot), panel.act, self.hears)
        except ImportError:  # the twin serves; %buildflow doctor says how to mend it
            return None

    def _show_twin(self, flow: Flow, snapshot: FlowSnapshot, twin: str) -> None:
        from IPython.display import display

        shown = display(_twin(flow, snapshot, "", twin), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        if self.updates:
            self._twins[shown.display_id] = (flow, twin, snapshot_view.undated(snapshot))
        while len(self._twins) > MOST_TWINS:
            del self._twins[next(iter(self._twins))]

    def refresh(self, note: str = "", *, only: str | None = None) -> None:
        """Bring the static twins up to date where there is something new to read."""
        from IPython.display import update_display

        shots: dict[Flow, FlowSnapshot | None] = {}
        for display_id, (flow, twin, seen) in list(self._twins.items()):
            if only is not None and twin != only:
                continue
            if flow not in shots:
                shots[flow] = self._look(flow)
            snapshot = shots[flow]
            if snapshot is None:
                continue  # no answer: the twin keeps its date
            found = snapshot_view.undated(snapshot)
            if found != seen or note:
                bundle = _twin(flow, snapshot, note, twin)
                update_display(bundle, raw=True, display_id=display_id)  # type: ignore[no-untyped-call]
                self._twins[display_id] = (flow, twin, found)
                self._keep(twin, bundle)

    def _keep(self, twin: str, bundle: dict[str, str]) -> None:
        """Tell the page its twin, too: one that was loaded again knows no output by its name."""
        view = self._view
        if view is not None and view.twin == twin:
            view.keep(bundle)

    def _look(self, flow: Flow) -> FlowSnapshot | None:
        """The flow at this moment; None where it does not answer, for which no cell shall wait."""
        try:
            self._seen[flow] = found = flow.snapshot(CELL_LOOK_S)
        except (BuildFlowError, TimeoutError):
            return None
        return found

    def wake(self) -> None:
        """Publish soon, since something was clicked or has happened; from any thread."""
        self._news.set()

    def close(self) -> None:
        """End the thread, show the last states and let the widget go."""
        self._ended = True
        self._news.set()
        if self._thread is not None:
            self._thread.join(QUIET_S)
        self._retire("the extension was unloaded")
        self.refresh()

    def publish(self) -> bool:
        """Set the widget's parts if a page shows it; whether the flow is at work."""
        with self._lock:
            panel, view = self._panel, self._view
            if panel is None or view is None:
                return False
            if view.watched:
                self._put(panel, view)
            handle = panel.cockpit.flow().handle
            return panel.cockpit.operations.busy or (handle is not None and handle.running)

    def _put(self, panel: Panel, view: View) -> None:
        """Send the parts where something is new, and a sign of life now and then."""
        made = picture(panel, self._put_last, LOOK_S)
        self._cost_s = made.cost_s
        found = {name: html for name, html in made.parts.items() if name not in VOLATILE}
        now = time.monotonic()
        if found != self._found or now - self._put_at >= BEAT_S:
            view.put(made.label, made.parts)
            self._found, self._put_at, self._put_last = found, now, made

    def _retire(self, note: str) -> None:
        """Let the live view become its twin, which says where to look now."""
        with self._lock:
            view, self._view, self._panel = self._view, None, None
        if view is None:
            return
        self.refresh(f"{note}; this is how it was", only=view.twin)
        view.close()
        for display_id, (_, twin, _) in list(self._twins.items()):
            if twin == view.twin:
                del self._twins[display_id]  # it stays as it was

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._loop, name="buildflow panel", daemon=True)
            self._thread.start()

    def _loop(self) -> None:
        while not self._ended:
            began = time.monotonic()
            self._news.clear()
            try:
                at_work = self.publish()
            except Exception:  # one picture that cannot be drawn must not end all that follow
                _LOGGER.exception("the panel could not be drawn")
                at_work = False
            time.sleep(max(0.0, EVERY_S - (time.monotonic() - began)))
            self._news.wait((pause_s(self._cost_s) if at_work else BEAT_S) - EVERY_S)


def _unseen(flow: Flow) -> FlowSnapshot:
    """A flow that has not answered yet: what it declares."""
    return pending(flow.flow_id, flow.stack, flow.processors, flow.place.stack.cloud)


def _twin(flow: Flow, snapshot: FlowSnapshot, note: str, twin: str) -> dict[str, str]:
    text = snapshot_view.text(snapshot, flow.health(snapshot))
    return {
        "text/plain": f"{text} ({note})" if note else text,
        "text/html": twin_html(flow, snapshot, note=note, twin=twin),
    }
