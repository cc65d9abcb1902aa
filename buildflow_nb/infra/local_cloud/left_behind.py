"""What a supervisor notes of its processes, for a later one that finds them left behind.

A supervisor that is killed cannot end its emulators. They would hold the ports and the state of the
next cloud, so the next supervisor of the folder ends them before it starts any. The note names who
wrote it: a supervisor never removes the note, nor ends the processes, of one that came after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import psutil

from buildflow_nb.infra.local_cloud.record import ProcessId, is_ours, process_at, this_process

__all__ = ("end_left", "note", "noted_here", "remove_note")

NAME = "children.json"
LEFT_S = 5.0  # for a process that was left behind to end; it is killed then


def note(folder: Path, children: Iterable[ProcessId]) -> None:
    """Write down which processes this one runs."""
    found = {"process": asdict(this_process()), "children": [asdict(child) for child in children]}
    (folder / NAME).write_text(json.dumps(found), encoding="utf-8")


def noted_here(folder: Path) -> bool:
    """Whether the folder's note is of this process."""
    return is_ours(folder / NAME)


def remove_note(folder: Path) -> None:
    """Remove the note, if it is of this process."""
    if noted_here(folder):
        (folder / NAME).unlink(missing_ok=True)


def end_left(folder: Path) -> None:
    """End what another supervisor left behind; itself first, where it lost its lock and lives."""
    supervisor = process_at(folder / NAME)
    if supervisor is not None:
        _end([supervisor])
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
        _end([ProcessId(**process) for process in found["children"]])
    except (OSError, ValueError, TypeError, KeyError):
        return  # none, or damaged: what it told of cannot be known


def _end(left: Iterable[ProcessId]) -> None:
    processes = []
    for process in left:
        with suppress(psutil.Error):
            if process.alive():
                processes.append(psutil.Process(process.pid))
    for living in processes:
        with suppress(psutil.Error):
            living.terminate()
    for stubborn in psutil.wait_procs(processes, timeout=LEFT_S)[1]:
        with suppress(psutil.Error):
            stubborn.kill()
