"""`cloud status|start|stop|reset`, in the same words for a notebook and a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from os import getpid
from pathlib import Path
from urllib.parse import urlsplit

from buildflow_nb.core.process_id import process_name
from buildflow_nb.core.project_folder import PRIVATE
from buildflow_nb.local_cloud.client import (
    CloudStatus,
    cloud_status,
    reset_cloud,
    start_cloud,
    stop_cloud,
)
from buildflow_nb.local_cloud.memory import memory_by_port
from buildflow_nb.local_cloud.record import CloudRecord
from buildflow_nb.local_cloud.stores import STORES

__all__ = ("steer",)


def steer(project: Path, action: str) -> str:
    """Do it, and say what is so afterwards.

    Raises:
        InfraError: the local cloud did not start, or did not stop.
    """
    if action == "start":
        start_cloud(project)
    if action == "stop":
        if not stop_cloud(project):
            return _NOT_RUNNING
        return f"the local cloud is stopped; what was in it is kept{_still_used(project)}"
    if action == "reset":
        reset_cloud(project)
        done = "the local cloud is stopped and empty; `apply` makes the resources again"
        return done + _kept_positions(project) + _still_used(project)
    return _described(cloud_status(project))


WIDTH = 16  # of the longest name of an endpoint


def _asleep(endpoint: str, record: CloudRecord) -> str:
    """What there is to say of a store besides its address."""
    store = next((store for store in STORES.values() if endpoint in store.ports), None)
    if store is None or store.name in record.awake:
        return ""
    fault = record.faults.get(store.name)
    return " (sleeps until something needs it)" if fault is None else f" ({fault.reason})"


def _memory(found: Mapping[int, int], url: str) -> str:
    size = found.get(urlsplit(url).port or 0)
    return "" if size is None else f" ({size / 2**20:,.0f} MiB)"


def _kept_positions(project: Path) -> str:
    """Sources that resume go on behind what the sinks have lost."""
    positions = project / PRIVATE / "positions"
    if not positions.is_dir():
        return ""
    return f"; sources with resume=True go on where they were: remove {positions} to read all again"


_NOT_RUNNING = "the local cloud does not run; it is started when something needs it"


def _still_used(project: Path) -> str:
    """Who will undo a stop: a processor that runs asks for its endpoints, and so starts it."""
    users = cloud_status(project).users
    if not users:
        return ""
    names = [process_name(user) for user in users if user != getpid()]
    if getpid() in users:
        names.append(f"this process ({getpid()})")
    if len(names) == 1:
        return f"; {names[0]} uses it and will start it again when it needs it"
    return f"; {', '.join(names)} use it and will start it again when they need it"


def _described(status: CloudStatus) -> str:
    if status.record is None:
        return _unanswered(status)
    users = ", ".join(map(process_name, status.users)) or "nobody; it will stop by itself"
    memory = memory_by_port(status.record.process.pid)
    rows = [
        f"  {name:<{WIDTH}} {url}{_asleep(name, status.record) or _memory(memory, url)}"
        for name, url in sorted(status.record.endpoints.items())
    ]
    return "\n".join(
        [
            f"the local cloud runs as process {status.record.process.pid}, used by: {users}",
            *rows,
            f"  state and logs: {status.folder}",
        ]
    )


def _unanswered(status: CloudStatus) -> str:
    if status.keeper is None:
        return _NOT_RUNNING
    if status.other_version:
        return (
            f"the local cloud runs as process {status.keeper}, of another version of buildflow_nb;"
            " `cloud stop` ends it, and it is started again when something needs it"
        )
    return (
        f"the local cloud is kept by process {status.keeper}, which does not say where it is: it"
        " starts, or finds its record again; ask in a few seconds, or end it with `cloud stop`"
    )
