"""The history of a run while it runs: written down each second, kept on disk each half minute.

Nothing is written on the loop: each save is a thread's, and one that hangs is not waited for. The
last one keeps a script from ending until it is done, which takes a few milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from buildflow_nb.core.events import Event
from buildflow_nb.core.status.history import History, Mark, Rows
from buildflow_nb.core.status.snapshot import LOOK_TIMEOUT_S
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.observability.history import Counting, HistoryRecorder, View
from buildflow_nb.runtime.observability.history_file import HistoryFile, read_past

__all__ = ("HistoryKeeper", "HistoryPlace")

_LOGGER = logging.getLogger(__name__)
SAVE_S = 30.0
PASTS = 32  # processors whose past is remembered, 320 kB each at most


@dataclass(frozen=True, slots=True)
class HistoryPlace:
    """Where histories are kept: below the folder of a project, by flow and stack."""

    project: Path
    flow_id: str
    stack: str

    def past(self, processor_id: str, own: str | None = None) -> tuple[Rows, list[Mark]]:
        """What is kept of a processor, but by one's own file; read on the caller's thread."""
        return read_past(self.project, self.flow_id, self.stack, processor_id, own)

    def kept(self, processor_id: str) -> History:
        """The history of a processor that no run of this process has met."""
        rows, marks = self.past(processor_id)
        return History(processor_id, Rows(), rows, tuple(marks))


class HistoryKeeper:
    """Keeps the history of one run; without a place, in memory only.

    Begun, ended and told of events on the loop; `of` and `mark` are for any other thread.
    """

    def __init__(
        self,
        units: Callable[[], Mapping[str, Counting]],
        place: HistoryPlace | None,
        clock: Clock,
        call: Callable[[Callable[[], Any], float], Any],
    ) -> None:
        self.recorder = HistoryRecorder(units, clock)
        self._place = place
        self._file = None
        if place is not None:
            self._file = HistoryFile(place.project, place.flow_id, place.stack)
        self._clock = clock
        self._call = call
        self._task: asyncio.Task[None] | None = None
        self._saving: threading.Thread | None = None
        self._saved_at = clock.now()
        self._past: dict[str, tuple[Rows, list[Mark]]] = {}

    def go_on(self, earlier: HistoryKeeper) -> None:
        """Take over what an earlier run of the flow has written down, in memory and on disk."""
        self.recorder.go_on(earlier.recorder)
        self._past = earlier._past
        if self._place == earlier._place:
            self._file = earlier._file

    def begin(self) -> None:
        """Look each second from now on."""
        self._saved_at = self._clock.now()
        self._task = asyncio.create_task(self._run(), name="history")

    def end(self) -> None:
        """Write down the last second, and keep what is not kept yet."""
        if self._task is None:
            return
        self._task.cancel()
        self._task = None
        try:
            self.recorder.look(ending=True)
            self._save(daemon=False)
        except Exception:  # a fault of the books must not hurt the run
            _LOGGER.exception("the last second of this run is not in its history")

    def hear(self, event: Event) -> None:
        """Mark what begins and ends."""
        self.recorder.hear(event)

    def mark(self, kind: str, text: str = "") -> None:
        """Have charts show that something happened to the flow at this moment.

        Raises:
            TimeoutError: the loop does not answer.
        """
        self._call(lambda: self.recorder.mark(kind, text), LOOK_TIMEOUT_S)

    def of(self, processor_id: str, timeout: float = LOOK_TIMEOUT_S) -> History:
        """What is remembered of a processor, with what earlier processes have kept.

        Raises:
            TimeoutError: the loop does not answer.
        """
        view: View = self._call(lambda: self.recorder.view(processor_id), timeout)
        past: tuple[Rows, list[Mark]] = (Rows(), [])
        if self._place is not None and self._file is not None:
            # What others have kept is read once; what is new of this process is remembered.
            past = self._past.get(processor_id) or self._place.past(processor_id, self._file.own)
            self._past[processor_id] = past
            if len(self._past) > PASTS:
                del self._past[next(iter(self._past))]
        return view.history(*past, self._clock.time())

    def recent(self, processor_id: str, timeout: float = LOOK_TIMEOUT_S) -> History:
        """What it has done in the last hour of this process: enough for a sentence, and cheap.

        Raises:
            TimeoutError: the loop does not answer.
        """
        view: View = self._call(lambda: self.recorder.view(processor_id), timeout)
        latest = replace(view, blocks=view.blocks[-1:])
        return latest.history(Rows(), (), self._clock.time())

    async def _run(self) -> None:
        try:
            await self.recorder.run(self._due)
        except Exception:  # a fault of the books must not hurt the run
            _LOGGER.exception("the history of this run is not written any more")

    def _due(self) -> None:
        if self._clock.now() - self._saved_at >= SAVE_S:
            self._saved_at = self._clock.now()
            self._save(daemon=True)

    def _save(self, *, daemon: bool) -> None:
        if self._file is None or (daemon and self._saving is not None and self._saving.is_alive()):
            return  # what the one that hangs leaves is kept with the next
        what, file = self.recorder.unsaved(), self._file
        if not what:
            return
        self._saving = threading.Thread(
            target=file.save, args=(what,), name="buildflow history", daemon=daemon
        )
        try:
            self._saving.start()
        except RuntimeError:  # Python is ending, and starts no thread any more
            file.save(what)
