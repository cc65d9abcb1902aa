"""Looks at the machine and the project folder, and says how to mend what is wrong.

Works outside a kernel, without a network, and whatever is missing or broken: each thing is looked
at for itself, all at once, within a deadline; what fails or hangs is a finding like any other.
Nothing is started, made or changed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.flow.doctor.installation import looks_at_installation
from buildflow_nb.flow.doctor.project import looks_at_project

__all__ = ("examine",)

DEADLINE_S = 1.8  # for all of it; a person waits
Look = Callable[[], Iterable[Finding]]


def examine(folder: Path, *, deadline: float = DEADLINE_S) -> list[Finding]:
    """How everything is that a project in this folder needs."""
    looks = {**looks_at_installation(), **looks_at_project(folder)}
    running = {name: _Running(name, look) for name, look in looks.items()}
    ends = time.monotonic() + deadline
    return [finding for one in running.values() for finding in one.take(ends)]


class _Running:
    """One look, on a daemon thread."""

    def __init__(self, name: str, look: Look) -> None:
        self._name = name
        self._look = look
        self._found: SimpleQueue[Finding | None] = SimpleQueue()
        threading.Thread(target=self._run, name=f"doctor {name}", daemon=True).start()

    def take(self, ends: float) -> Iterator[Finding]:
        """What it finds until then."""
        try:
            while True:
                left = max(0.0, ends - time.monotonic())
                finding = self._found.get(timeout=left)
                if finding is None:
                    return
                yield finding
        except Empty:
            yield Finding(self._name, Health.WARNING, "not known in time", "look again")

    def _run(self) -> None:
        try:
            for finding in self._look():
                self._found.put(finding)
        except Exception as error:  # noqa: BLE001  (the boundary: a broken machine breaks anything)
            said = f"cannot be looked at: {type(error).__name__}: {error}"
            self._found.put(Finding(self._name, Health.ERROR, " ".join(said.split())))
        finally:
            self._found.put(None)
