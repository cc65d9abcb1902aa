"""Tells of a run while it goes on, on a thread of its own.

Events come on the loop thread, which must not wait for a slow terminal: they are queued, and those
that do not fit are counted. A face is looked after four times a second and closed at the end.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol

from buildflow_nb.cli.output.terminal import Terminal
from buildflow_nb.core.events import Event
from buildflow_nb.core.status.snapshot import FlowSnapshot
from buildflow_nb.runtime.handle import RunHandle

__all__ = ("Face", "Teller", "face_of")

WAITING = 10_000  # events
LOOK_EVERY_S = 0.25
CLOSE_S = 5.0  # a terminal that takes no more does not hold up the end


class Face(Protocol):
    """How a run is told; called on one thread."""

    def open(self) -> AbstractContextManager[None]:
        """Be there while the run is; entered on the main thread."""

    def begin(self, handle: RunHandle) -> None:
        """It has begun."""

    def tell(self, event: Event) -> None:
        """Something happened."""

    def look(self, handle: RunHandle) -> None:
        """A moment has passed."""

    def end(self, snapshot: FlowSnapshot, lost: int) -> None:
        """It has ended; so many events were not told."""


def face_of(terminal: Terminal) -> Face:
    """The face for this terminal."""
    if terminal.json:
        from buildflow_nb.cli.output.run_json import RunDocuments

        return RunDocuments(terminal)
    if terminal.lively:
        from buildflow_nb.cli.output.run_view import RunView

        return RunView(terminal.console())
    from buildflow_nb.cli.output.run_lines import RunLines

    return RunLines(terminal)


class Teller:
    """Brings the events of a run to a face."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._events: queue.Queue[Event] = queue.Queue(WAITING)
        self._lost = 0
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._handle: RunHandle | None = None

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Tell until the context ends; what is queued then is still told."""
        with self._face.open():
            try:
                yield
            finally:
                self._done.set()
                if self._thread is not None:
                    self._thread.join(CLOSE_S)

    def hear(self, event: Event) -> None:
        """Take an event, at once."""
        try:
            self._events.put_nowait(event)
        except queue.Full:
            self._lost += 1

    def begin(self, handle: RunHandle) -> None:
        """Begin to tell of a run."""
        self._handle = handle
        self._thread = threading.Thread(
            target=self._tell, args=(handle,), name="buildflow terminal", daemon=True
        )
        self._thread.start()

    def _tell(self, handle: RunHandle) -> None:
        with suppress(OSError):  # whoever read it is gone; the run is not
            self._face.begin(handle)
            while not self._done.wait(0):
                self._tell_queued(LOOK_EVERY_S)
                self._look(handle)
            self._tell_queued(0)
            self._look(handle)
            self._face.end(handle.snapshot(), self._lost)

    def _look(self, handle: RunHandle) -> None:
        with suppress(TimeoutError):  # code of the flow blocks its loop; it is looked at later
            self._face.look(handle)

    def _tell_queued(self, wait_s: float) -> None:
        """Tell what is there; wait for the first for so long at most."""
        try:
            event = self._events.get(timeout=wait_s) if wait_s else self._events.get_nowait()
            while True:
                self._face.tell(event)
                event = self._events.get_nowait()
        except queue.Empty:
            return
