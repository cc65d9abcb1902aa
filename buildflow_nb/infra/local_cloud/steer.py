"""`cloud status|start|stop|reset`, in the same words for a notebook and a terminal."""

from __future__ import annotations

from pathlib import Path

from buildflow_nb.infra.local_cloud.client import (
    CloudStatus,
    cloud_status,
    reset_cloud,
    start_cloud,
    stop_cloud,
)

__all__ = ("steer",)


def steer(project: Path, action: str) -> str:
    """Do it, and say what is so afterwards.

    Raises:
        InfraError: the local cloud did not start, or did not stop.
    """
    if action == "start":
        start_cloud(project)
    if action == "stop":
        ran = stop_cloud(project)
        return "the local cloud is stopped; what was in it is kept" if ran else _NOT_RUNNING
    if action == "reset":
        reset_cloud(project)
        return "the local cloud is stopped and empty; `apply` makes the resources again"
    return _described(cloud_status(project))


_NOT_RUNNING = "the local cloud does not run; it is started when something needs it"


def _described(status: CloudStatus) -> str:
    record = status.record
    if record is None:
        return _NOT_RUNNING
    users = ", ".join(map(str, status.users)) or "nobody; it will stop by itself"
    rows = [f"  {name:<8} {url}" for name, url in sorted(record.endpoints.items())]
    return "\n".join(
        [
            f"the local cloud runs as process {record.process.pid}, used by: {users}",
            *rows,
            f"  state and logs: {status.folder}",
        ]
    )
