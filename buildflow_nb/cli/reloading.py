"""`buildflow run --reload`: what is new runs as soon as its code is saved.

The flow runs in a child process, since only a new process is sure to hold nothing old. A change
starts the next child, which loads everything and then waits; only if that went well is the one that
runs told to drain, and only once it has ended does the next begin: no element is lost, no port is
fought for, and a change that does not load leaves the old program running. What only happens while
nobody looks, like a file that comes, is told by the source that opens next (`Env.positions`). The
children are sessions of their own, so that Ctrl-C reaches this process alone, and end with it
(`child.py`).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from buildflow_nb.cli.child import Child
from buildflow_nb.cli.code_changes import CodeChanges
from buildflow_nb.cli.output.terminal import Terminal
from buildflow_nb.cli.table import TERMINAL, words_for
from buildflow_nb.core.config import find_config
from buildflow_nb.core.errors import UsageError

__all__ = ("run_reloading",)


def run_reloading(values: Mapping[str, Any], terminal: Terminal) -> int:
    """Run the project's flow, and again with each change; gives the exit code.

    Raises:
        UsageError: this system cannot.
    """
    if os.name != "posix":
        msg = "run: --reload hands a child its pipes, which only POSIX can; run without --reload"
        raise UsageError(msg)
    folder = find_config(Path.cwd()).folder
    words = words_for(TERMINAL["run"], {**values, "reload": False})
    asked: list[int] = []
    stop = threading.Event()
    with _signals(asked, stop):
        changes = CodeChanges(folder, stop)
        return _Reloader(lambda: Child(words), changes, terminal, stop, asked).run()


class _Reloader:
    """Keeps one child running: the newest whose code loads."""

    def __init__(
        self,
        make: Callable[[], Child],
        changes: CodeChanges,
        terminal: Terminal,
        stop: threading.Event,
        asked: list[int],
    ) -> None:
        self._make = make
        self._changes = changes
        self._terminal = terminal
        self._stop = stop
        self._asked = asked
        self._child: Child | None = None

    def run(self) -> int:
        """Run until stopped, or until the flow has ended by itself and well."""
        try:
            self._replace()
            for changed in self._changes:
                if self._child is not None and self._child.ended:
                    code = self._ended(self._child)
                    if code is not None:
                        return code
                if changed:
                    self._terminal.note(f"changed: {', '.join(changed)}")
                    self._replace()
            return self._child.drain(self._asked) if self._child is not None else 0
        finally:
            if self._child is not None:
                self._child.kill()

    def _ended(self, child: Child) -> int | None:
        """What the end of the child means: the end, or that a change is waited for."""
        self._child = None
        if child.code == 0:
            return 0
        self._terminal.note(f"the program ended with {child.code}; save a change to run it again")
        return None

    def _replace(self) -> None:
        """Let the code of this moment take over, if it loads."""
        coming = self._make()
        if not coming.loaded(self._stop):
            coming.kill()
            if not self._stop.is_set():
                going_on = self._child is not None and not self._child.ended
                now = "the program before goes on" if going_on else "nothing runs"
                self._terminal.note(f"this does not load; {now}, save a change to try again")
            return
        if self._child is not None:
            self._child.drain(self._asked)
        if self._stop.is_set():
            coming.kill()
            return
        coming.go()
        self._child = coming


@contextmanager
def _signals(asked: list[int], stop: threading.Event) -> Iterator[None]:
    """Hear SIGINT and SIGTERM: the first drains the child, the second ends it."""

    def hear(number: int, frame: object) -> None:  # noqa: ARG001  (a handler's signature)
        asked.append(number)
        stop.set()

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
