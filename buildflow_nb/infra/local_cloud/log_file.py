"""Keeps the size of a log bounded while a process writes to it.

The process holds its log open for appending (`O_APPEND`), so a log that is emptied under it goes on
from the start; one that is moved away would go on growing. What is written between the copy and the
emptying is lost, and a log that is not there or cannot be read is passed over: these are logs for a
person who looks for a reason, not records.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from buildflow_nb.core.project_folder import open_private, write_whole

__all__ = ("OLD", "bound", "bound_all")

LOG_BYTES = 2_000_000  # of a log, and of what is kept of the one before: days of warnings
OLD = ".old.log"


def bound_all(logs: Path) -> None:
    """Bound every log of a folder."""
    for path in logs.glob("*.log"):
        if not path.name.endswith(OLD):
            bound(path)


def bound(path: Path) -> None:
    """Empty a log that grew beyond `LOG_BYTES`; its end is kept beside it, as `NAME.old.log`."""
    with suppress(OSError), os.fdopen(open_private(path, os.O_RDWR), "rb+") as file:
        if file.seek(0, os.SEEK_END) <= LOG_BYTES:
            return
        file.seek(-LOG_BYTES, os.SEEK_END)
        last = file.read(LOG_BYTES)
        with suppress(OSError):  # on a full disk, room is worth more than the copy
            write_whole(path.with_suffix(OLD), last)
        file.truncate(0)
