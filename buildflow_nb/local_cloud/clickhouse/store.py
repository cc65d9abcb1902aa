"""How the local cloud's ClickHouse is started."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.project_folder import check_tree, make_private
from buildflow_nb.local_cloud.child import Command
from buildflow_nb.local_cloud.store import Store

__all__ = ("CLICKHOUSE", "PASSWORD", "USER")

PROGRAM = __name__.rpartition(".")[0]
PASSWORD = "BUILDFLOW_CLICKHOUSE_PASSWORD"  # noqa: S105  (the variable's name)
USER = "default"


def _start(state: Path, ports: Mapping[str, int], password: Secret) -> Command:
    check_tree(make_private(state), own_links=True)  # a table is a link to its parts
    port = ports["clickhouse"]
    words = [sys.executable, "-P", "-m", PROGRAM, "--state", str(state), "--port", str(port)]
    return Command("clickhouse", words, (port,), {PASSWORD: password.reveal(), "TZ": "UTC"})


CLICKHOUSE = Store(
    "clickhouse",
    ("clickhouse",),
    _start,
    extra="buildflow_nb[local-clickhouse]",
    modules=("chdb",),
)
