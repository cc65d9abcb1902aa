"""How the local cloud's Snowflake is started."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.project_folder import check_tree, make_private
from buildflow_nb.local_cloud.child import Command
from buildflow_nb.local_cloud.store import Store

__all__ = ("PASSWORD", "SNOWFLAKE")

PROGRAM = __name__.rpartition(".")[0]
PASSWORD = "BUILDFLOW_SNOWFLAKE_PASSWORD"  # noqa: S105  (the variable's name)


def _start(state: Path, ports: Mapping[str, int], password: Secret) -> Command:
    check_tree(make_private(state))
    port = ports["snowflake"]
    words = [sys.executable, "-P", "-m", PROGRAM, "--state", str(state), "--port", str(port)]
    return Command("snowflake", words, (port,), {PASSWORD: password.reveal(), "TZ": "UTC"})


SNOWFLAKE = Store(
    "snowflake",
    ("snowflake",),
    _start,
    extra="buildflow_nb[local-snowflake]",
    modules=("fakesnow", "uvicorn"),
)
