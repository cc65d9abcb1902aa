"""Who uses the local cloud: a file for each process that does.

A lease ends with its process, however it ends, so nothing has to be renewed and nothing is left
behind by a kernel that was killed. A lease that is there is whole: one that is being written has
a name with a dot before it, or who counts the living would take it for damaged and remove it.

A lease also says which stores its process has wished for, and how often: so a supervisor that is
started again starts them again, and a store that did not start is tried again for a new wish only.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from buildflow_nb.core.own_json import DamagedError, read_own
from buildflow_nb.core.process_id import ProcessId, this_process
from buildflow_nb.core.project_folder import make_private, write_whole
from buildflow_nb.local_cloud.record import process_at

__all__ = ("WOKEN", "Wish", "living_leases", "take_lease", "wish_for", "wishes")

WOKEN = signal.SIGUSR1  # tells a supervisor that there is a new wish
Wish = tuple[int, int]  # the process, and which of its wishes for the store it is
_writing = threading.Lock()  # between threads that wish for something at once


@dataclass(frozen=True, slots=True)
class _Lease:
    process: ProcessId
    stores: Mapping[str, int] = field(default_factory=dict)


def take_lease(folder: Path) -> None:
    """Keep the cloud running for as long as this process lives."""
    with _writing:
        process = this_process()
        path = _place(folder) / str(process.pid)
        if process_at(path) != process:
            _write(path, _Lease(process))


def wish_for(folder: Path, store: str) -> Wish:
    """Have a store started, and kept running for as long as this process lives."""
    with _writing:
        process = this_process()
        path = _place(folder) / str(process.pid)
        lease = _read(path)
        stores = dict(lease.stores) if lease is not None and lease.process == process else {}
        stores[store] = stores.get(store, 0) + 1
        _write(path, _Lease(process, stores))
        return process.pid, stores[store]


def wishes(folder: Path) -> dict[str, set[Wish]]:
    """What living processes wish for, by store."""
    found: dict[str, set[Wish]] = {}
    for pid in living_leases(folder):
        lease = _read(_place(folder) / str(pid))
        for store, number in (lease.stores if lease is not None else {}).items():
            found.setdefault(store, set()).add((pid, number))
    return found


def _write(path: Path, lease: _Lease) -> None:
    make_private(path.parent)
    write_whole(path, json.dumps(asdict(lease)).encode())


def _read(path: Path) -> _Lease | None:
    try:
        return read_own(path, _Lease)
    except (OSError, DamagedError):
        return None


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
