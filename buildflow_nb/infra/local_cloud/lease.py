"""Who uses the local cloud: a file for each process that does.

A lease ends with its process, however it ends, so nothing has to be renewed and nothing is left
behind by a kernel that was killed.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from buildflow_nb.infra.local_cloud.record import ProcessId, this_process

__all__ = ("living_leases", "take_lease")


def take_lease(folder: Path) -> None:
    """Keep the cloud running for as long as this process lives."""
    process = this_process()
    path = _place(folder) / str(process.pid)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(process)), encoding="utf-8")


def living_leases(folder: Path) -> list[int]:
    """The ids of the processes that use the cloud; files of dead ones are removed."""
    living = []
    for path in sorted(_place(folder).glob("*")):
        try:
            process = ProcessId(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            process = ProcessId(0, 0.0)
        if process.alive():
            living.append(process.pid)
        else:
            path.unlink(missing_ok=True)
    return living


def _place(folder: Path) -> Path:
    return folder / "leases"
