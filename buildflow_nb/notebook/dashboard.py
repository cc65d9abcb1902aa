"""The live view of a run: one widget trait for the front end, and a true static twin in the file.

One publisher thread looks at the runs four times a second and sets the widget's one trait where
something changed; it never writes into a cell. The static twin is brought up to date on the
kernel's main thread after each cell, because a background thread's output would land in whichever
cell runs. When a run has ended its twin replaces the widget for good, so that a saved notebook
shows the final numbers without any script.

A front end that names no cells (nbclient, papermill, a console) shows no live widgets either; it
gets the twin alone.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.snapshot import FlowSnapshot
from buildflow_nb.notebook import cockpit
from buildflow_nb.runtime.handle import RunHandle

__all__ = ("EVERY_S", "Dashboard", "Dashboards")

EVERY_S = 0.25  # four looks a second: smoother cannot be read, and costs
MOST_VIEWS = 16  # static twins kept up to date for one run
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Dashboard:
    """One run on the screen, in any number of outputs that share one widget."""

    def __init__(self, handle: RunHandle) -> None:
        self.handle = handle
        self._views: dict[str, str] = {}  # display id -> what its twin says
        self._widget: Any = None
        self._published: object = None
        self._lock = threading.Lock()

    @property
    def settled(self) -> bool:
        """Whether the run has ended and no widget shows it any more."""
        return not self.handle.running and self._widget is None

    def show(self, *, live: bool) -> None:
        """Put a view into the output of the cell that runs."""
        from IPython.display import display

        snapshot = self.handle.snapshot()
        if live and self.handle.running:
            self._make_widget(snapshot)
        shown = display(self._bundle(snapshot), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        self._views[shown.display_id] = cockpit.undated(snapshot)
        while len(self._views) > MOST_VIEWS:
            del self._views[next(iter(self._views))]

    def refresh(self, *, final: bool = False) -> None:
        """Bring the static twins up to date; on the main thread only.

        Once the run has ended, or with `final`, they replace the widget.
        """
        from IPython.display import update_display

        final = final or not self.handle.running
        snapshot = self.handle.snapshot()
        retired = self._take_widget(snapshot) if final else None
        found = cockpit.undated(snapshot)
        for display_id, seen in self._views.items():
            if seen != found or retired is not None:
                update_display(self._bundle(snapshot), raw=True, display_id=display_id)  # type: ignore[no-untyped-call]
                self._views[display_id] = found
        if retired is not None:
            for part in (retired, retired.layout, retired.style):  # each is kept alive by its comm
                part.close()

    def publish(self) -> bool:
        """Set the widget's trait if anything changed; whether there is more to come."""
        ended = not self.handle.running  # asked first, so that the last look sees the end
        snapshot = self.handle.snapshot()
        with self._lock:
            self._set(snapshot)
            return not ended and self._widget is not None

    def _set(self, snapshot: FlowSnapshot) -> None:
        found = cockpit.facts(snapshot)
        if self._widget is None or found == self._published:
            return
        with self._widget.hold_sync():
            self._widget.value = cockpit.html(snapshot)
        self._published = found

    def _make_widget(self, snapshot: FlowSnapshot) -> None:
        with self._lock:
            if self._widget is None:
                from ipywidgets import HTML

                self._widget = HTML(cockpit.html(snapshot))
                self._published = cockpit.facts(snapshot)

    def _take_widget(self, snapshot: FlowSnapshot) -> Any:
        with self._lock:
            self._set(snapshot)
            widget, self._widget = self._widget, None
            return widget

    def _bundle(self, snapshot: FlowSnapshot) -> dict[str, object]:
        bundle: dict[str, object] = {
            "text/plain": cockpit.text(snapshot),
            "text/html": cockpit.html(snapshot),
        }
        if self._widget is not None:
            view = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
            bundle[WIDGET_VIEW] = view
        return bundle


class Dashboards:
    """The dashboards of a kernel and the one thread that publishes them.

    `updates` says whether an output can be changed later; in a terminal it would be printed again.
    """

    def __init__(self, *, updates: bool) -> None:
        self._updates = updates
        self._all: list[Dashboard] = []
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def show(self, handle: RunHandle, *, live: bool) -> Dashboard:
        """Show a run in the output of the cell that runs."""
        with self._lock:
            found = next((d for d in self._all if d.handle is handle), None)
            if found is None:
                found = Dashboard(handle)
                self._all.append(found)
        live = live and self._updates
        found.show(live=live)
        if live:
            self._publish()
        return found

    def refresh(self) -> None:
        """Bring the static twins up to date and forget runs that have ended."""
        for dashboard in list(self._all):
            self._refresh(dashboard)

    def close(self) -> None:
        """End the thread, show the last states and let the widgets go."""
        self._wake.set()
        if self._thread is not None:
            self._thread.join(2.0)
        for dashboard in list(self._all):
            self._refresh(dashboard, final=True)

    def _refresh(self, dashboard: Dashboard, *, final: bool = False) -> None:
        if self._updates:
            with suppress(BuildFlowError, TimeoutError):  # no answer: the twin keeps its date
                dashboard.refresh(final=final)
        if final or dashboard.settled:
            with self._lock:
                self._all.remove(dashboard)

    def _publish(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._loop, name="buildflow dashboards", daemon=True
                )
                self._thread.start()

    def _loop(self) -> None:
        while not self._wake.wait(EVERY_S):
            with self._lock:
                dashboards = list(self._all)
            if not any([_publish(dashboard) for dashboard in dashboards]):  # noqa: C419  (all)
                with self._lock:
                    if dashboards == self._all:  # none was added meanwhile
                        self._thread = None
                        return


def _publish(dashboard: Dashboard) -> bool:
    try:
        return dashboard.publish()
    except (BuildFlowError, TimeoutError, RuntimeError):
        return False  # the run or the kernel is going away; the twin says what there is to say
