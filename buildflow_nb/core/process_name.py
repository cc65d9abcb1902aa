"""Names another process as the person knows it who started it: a notebook, a command, a folder.

Jupyter tells a kernel which notebook it belongs to by `JPY_SESSION_NAME` in its environment (its
server's `services/sessions`). Of the environment nothing else is looked at. A process of another
user, or one that has ended, tells nothing: then its number has to do.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ("process_name",)

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
