"""A process, told apart from a later one of its number, and the one way in which one is ended.

Numbers of processes are used again. So whoever writes one down writes beside it when the process
began, and nothing is ended, or believed to live, whose beginning is another. A number without a
beginning (0.0) is nobody's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil

__all__ = ("ProcessId", "end", "this_process")

SAME_S = 1.0  # how exactly systems tell when a process began


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process: its number, and when it began in seconds since 1970 (0.0: it is not known)."""

    pid: int
    began: float

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process that has this number now, if one does."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except (psutil.Error, ValueError, OverflowError):
            return None

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._found() is not None

    def _found(self) -> psutil.Process | None:
        # Numbers that come from a file may be anything.
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.began) < SAME_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.Error, ValueError, OverflowError, TypeError):
            return None


def this_process() -> ProcessId:
    """The process that asks."""
    return ProcessId(os.getpid(), psutil.Process().create_time())


def end(processes: Iterable[ProcessId], patience_s: float, *, kill: bool = True) -> bool:
    """Ask processes to end and wait, then kill those that did not; whether all have ended.

    One whose number is another's now is left alone.
    """
    living = [found for process in processes if (found := process._found()) is not None]  # noqa: SLF001
    for process in living:
        with suppress(psutil.Error):
            process.terminate()
    stubborn = psutil.wait_procs(living, timeout=patience_s)[1]
    if not kill:
        return not stubborn
    for process in stubborn:
        with suppress(psutil.Error):
            process.kill()
    return not psutil.wait_procs(stubborn, timeout=patience_s)[1]
