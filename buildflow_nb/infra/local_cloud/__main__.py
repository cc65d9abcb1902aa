"""The local cloud's own process: `python -m buildflow_nb.infra.local_cloud FOLDER`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from buildflow_nb.core.errors import InfraError
from buildflow_nb.infra.file_lock import try_lock
from buildflow_nb.infra.local_cloud.record import local_folder
from buildflow_nb.infra.local_cloud.supervisor import IDLE_S, Supervisor

__all__ = ("main",)


def main() -> int:
    """Run the local cloud of a project folder; 0 also if another process does already."""
    words = argparse.ArgumentParser(prog="python -m buildflow_nb.infra.local_cloud")
    words.add_argument("project", type=Path, help="the project's folder")
    words.add_argument("--idle", type=float, default=IDLE_S, help="seconds without a client")
    found = words.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    folder = local_folder(found.project.resolve())
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("a") as lock:
        if not try_lock(lock.fileno()):
            return 0
        return _supervise(Supervisor(folder, found.idle))


def _supervise(supervisor: Supervisor) -> int:
    try:
        asyncio.run(supervisor.run())
    except* (InfraError, OSError) as errors:
        for error in errors.exceptions:
            logging.getLogger(__name__).error("%s", error)  # noqa: TRY400  (said in one line)
        failed = True
    else:
        failed = False
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
