"""The server as a program: `python -m buildflow_nb.local_cloud.bigquery --state FOLDER`.

Standard output gets one line when it is ready, `{"port": …, "storage_port": …}`; the log goes to
standard error. SIGTERM and SIGINT stop it cleanly. The password comes by the environment, which
only this user's processes can read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.local_cloud.bigquery.server import BigQueryServer

__all__ = ("main",)

PASSWORD = "BUILDFLOW_BIGQUERY_PASSWORD"  # noqa: S105  (the variable's name)

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes; gives the exit status."""
    chosen = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    password = os.environ.pop(PASSWORD, "")
    if not password:
        logger.error("no password: %s is not set", PASSWORD)
        return 1
    try:
        asyncio.run(_serve(chosen, Secret(password)))
    except (BuildFlowError, OSError, duckdb.Error) as error:
        logger.error("%s", error)  # noqa: TRY400 (the message is for a person)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m buildflow_nb.local_cloud.bigquery",
        description="BigQuery on this machine.",
    )
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps everything")
    parser.add_argument("--port", type=int, default=0, help="of REST; 0 takes a free one")
    parser.add_argument("--storage-port", type=int, default=0, help="of Storage Write and Read")
    parser.add_argument(
        "--cloud-storage-port", type=int, help="of the Cloud Storage that gs:// is loaded from"
    )
    return parser


async def _serve(chosen: argparse.Namespace, password: Secret) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # The loop's own handlers do not exist on Windows.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopping.set))
    server = BigQueryServer(chosen.state, password, chosen.cloud_storage_port)
    try:
        port, storage = await server.start(chosen.port, chosen.storage_port)
        sys.stdout.write(json.dumps({"port": port, "storage_port": storage}) + "\n")
        sys.stdout.flush()
        await stopping.wait()
    finally:
        await server.stop()


if __name__ == "__main__":
    sys.exit(main())
