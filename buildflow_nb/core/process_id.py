"""A process, told apart from a later one of its number, and the one way in which one is ended.

Numbers of processes are used again. So whoever writes one down writes beside it when the process
began, and nothing is ended, or believed to live, whose beginning is another. A number without a
beginning (0.0) is nobody's.

A person knows another process as what they started: a notebook, a command, a folder. Jupyter tells
a kernel which notebook it belongs to by `JPY_SESSION_NAME` in its environment (its server's
`services/sessions`); of the environment nothing else is looked at. A process of another user, or
one that has ended, tells nothing: then its number has to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


__all__ = ("ProcessId", "end", "process_name", "this_process")

SAME_S = 1.0  # how exactly systems tell when a process began


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process: its number, and when it began in seconds since 1970 (0.0: it is not known)."""

    pid: int
    began: float

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process that has this number now, if one does."""
        import psutil

        try:
            return cls(pid, psutil.Process(pid).create_time())
        except (psutil.Error, ValueError, OverflowError):
            return None

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._found() is not None

    def _found(self) -> psutil.Process | None:
        import psutil

        # Numbers that come from a file may be anything.
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.began) < SAME_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.Error, ValueError, OverflowError, TypeError):
            return None


def this_process() -> ProcessId:
    """The process that asks."""
    import psutil

    return ProcessId(os.getpid(), psutil.Process().create_time())


def end(processes: Iterable[ProcessId], patience_s: float, *, kill: bool = True) -> bool:
    """Ask processes to end and wait, then kill those that did not; whether all have ended.

    One whose number is another's now is left alone.
    """
    import psutil

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


NOTEBOOK = "JPY_SESSION_NAME"
COMMAND = "buildflow"
KERNEL = "ipykernel_launcher"
LONGEST = 80  # letters of a path


def process_name(pid: int) -> str:
    """What a process is, with its number: `notebook a.ipynb (process 123)`, or `process 123`."""
    what = _what(pid)
    number = f"process {pid}, this one" if pid == os.getpid() else f"process {pid}"
    return f"{what} ({number})" if what else number


def _what(pid: int) -> str:
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            words = process.cmdline()
            name = process.name()
        return _notebook(process) or _told(words, _folder(process)) or _visible(name)
    except (psutil.Error, OSError, ValueError, OverflowError):
        return ""


def _notebook(process: object) -> str:
    import psutil

    try:
        path = process.environ().get(NOTEBOOK, "")  # type: ignore[attr-defined]
    except (psutil.Error, OSError):
        return ""
    return f"notebook {_visible(Path(path).name)}" if path else ""


def _folder(process: object) -> str:
    import psutil

    try:
        return str(process.cwd())  # type: ignore[attr-defined]
    except (psutil.Error, OSError):
        return ""


def _told(words: list[str], folder: str) -> str:
    """What the words say with which it was started; none of its arguments, which may be secrets."""
    where = f" in {_visible(folder)}" if folder else ""
    if KERNEL in words:
        return f"a notebook's kernel{where}"
    for number, word in enumerate(words[:3]):
        if Path(word).name == COMMAND:
            verb = words[number + 1 : number + 2]
            said = [COMMAND, *(v for v in verb if v.isidentifier())]
            return " ".join(said) + where
        if word.endswith(".py"):
            return f"{_visible(Path(word).name)}{where}"
    return ""


def _visible(text: str) -> str:
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if len(clean) <= LONGEST else f"…{clean[-LONGEST:]}"
