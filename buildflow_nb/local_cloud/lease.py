"""Who uses the local cloud: a file for each process that does.

A lease ends with its process, however it ends, so nothing has to be renewed and nothing is left
behind by a kernel that was killed. A lease that is there is whole: one that is being written has
a name with a dot before it, or who counts the living would take it for damaged and remove it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from buildflow_nb.core.process_id import this_process
from buildflow_nb.core.project_folder import make_private, write_whole
from buildflow_nb.local_cloud.record import process_at

__all__ = ("living_leases", "take_lease")


def take_lease(folder: Path) -> None:
    """Keep the cloud running for as long as this process lives."""
    process = this_process()
    path = _place(folder) / str(process.pid)
    if process_at(path) == process:
        return
    make_private(path.parent)
    write_whole(path, json.dumps({"process": asdict(process)}).encode())


def living_leases(folder: Path) -> list[int]:
    """The ids of the processes that use the cloud; files of dead ones are removed."""
    living = []
    for path in sorted(_place(folder).glob("[!.]*")):
        version = _version(path)
        process = process_at(path)
        if process is not None and process.alive():
            living.append(process.pid)
        elif version is not None and version == _version(path):  # not one written meanwhile
            with suppress(OSError):  # of a folder that may only be read: nothing is lost by it
                path.unlink(missing_ok=True)
    return living


def _version(path: Path) -> tuple[int, int] | None:
    """What tells a file from one that takes its place; None where there is none."""
    try:
        found = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _place(folder: Path) -> Path:
    return folder / "leases"
