"""How the local cloud's BigQuery is started."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.own_json import DamagedError, read_own
from buildflow_nb.core.project_folder import check_tree, make_private
from buildflow_nb.local_cloud.child import Command
from buildflow_nb.local_cloud.store import Store

__all__ = ("BIGQUERY",)

PROGRAM = __name__.rpartition(".")[0]
REST, STORAGE = "bigquery", "bigquery-storage"


def _start(state: Path, ports: Mapping[str, int], password: Secret) -> Command:
    check_tree(make_private(state))
    rest, storage = ports[REST], ports[STORAGE]
    words = [sys.executable, "-P", "-m", PROGRAM, "--state", str(state)]
    words += ["--port", str(rest), "--storage-port", str(storage)]
    if (files := _cloud_storage(state.parent)) is not None:
        words += ["--cloud-storage-port", str(files)]
    secret = {"BUILDFLOW_BIGQUERY_PASSWORD": password.reveal()}
    return Command("bigquery", words, (rest, storage), secret)


def _cloud_storage(cloud: Path) -> int | None:
    """The port of the Cloud Storage beside it, from which `gs://` is loaded."""
    try:
        return read_own(cloud / "ports.json", dict[str, int])["storage"]
    except (OSError, DamagedError, KeyError):
        return None


BIGQUERY = Store(
    "bigquery",
    (REST, STORAGE),
    _start,
    extra="buildflow_nb[local-bigquery]",
    modules=("google.cloud.bigquery_storage_v1", "sqlglot"),
)
