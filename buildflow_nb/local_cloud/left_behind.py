"""What a supervisor notes of its processes, for a later one that finds them left behind.

A supervisor that is killed cannot end its emulators. They would hold the ports and the state of the
next cloud, so the next supervisor of the folder ends them before it starts any. The note names who
wrote it: a supervisor never removes the note, nor ends the processes, of one that came after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from buildflow_nb.core.own_json import DamagedError, read_own
from buildflow_nb.core.process_id import ProcessId, end, this_process
from buildflow_nb.core.project_folder import write_whole
from buildflow_nb.local_cloud.record import is_ours, process_at

__all__ = ("end_left", "note", "noted_here", "remove_note")

NAME = "children.json"
LEFT_S = 5.0  # for a process that was left behind to end; it is killed then


@dataclass(frozen=True, slots=True)
class _Note:
    children: list[ProcessId]


def note(folder: Path, children: Iterable[ProcessId]) -> None:
    """Write down which processes this one runs.

    Raises:
        OSError: it cannot be written.
    """
    found = {"process": asdict(this_process()), "children": [asdict(child) for child in children]}
    write_whole(folder / NAME, json.dumps(found).encode())


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
        end([supervisor], LEFT_S)
    try:
        end(read_own(folder / NAME, _Note).children, LEFT_S)
    except (OSError, DamagedError):
        return  # none, or damaged: what it told of cannot be known
