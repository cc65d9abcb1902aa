"""The local cloud's own process: `python -m buildflow_nb.local_cloud FOLDER`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.folder import FolderLock, make_folder
from buildflow_nb.local_cloud.supervisor import IDLE_S, Supervisor

__all__ = ("main",)

OWNER_ONLY = 0o077  # what is made without, here and by the emulators


def main() -> int:
    """Run the local cloud of a project folder; 0 also if another process does already."""
    words = argparse.ArgumentParser(prog="python -m buildflow_nb.local_cloud")
    words.add_argument("project", type=Path, help="the project's folder")
    words.add_argument("--idle", type=float, default=IDLE_S, help="seconds without a client")
    found = words.parse_args()
    os.umask(OWNER_ONLY)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        folder = make_folder(found.project.resolve())
        with FolderLock(folder) as lock:
            if not lock.take():
                return 0
            lock.sign()
            return _supervise(Supervisor(folder, lock, found.idle))
    except (InfraError, OSError) as error:
        return _failed(error)


def _supervise(supervisor: Supervisor) -> int:
    code = 0
    try:
        asyncio.run(supervisor.run())
    except* (InfraError, OSError) as errors:
        for error in errors.exceptions:
            code = _failed(error)
    return code


def _failed(error: BaseException) -> int:
    logging.getLogger(__name__).error("%s", error)
    return 1


if __name__ == "__main__":
    sys.exit(main())
