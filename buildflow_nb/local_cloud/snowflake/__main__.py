"""The server as a program: `python -m buildflow_nb.local_cloud.snowflake --state … --port …`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import uvicorn

from buildflow_nb.core.credentials import Secret
from buildflow_nb.local_cloud.snowflake.front import application
from buildflow_nb.local_cloud.snowflake.store import PASSWORD

__all__ = ("main",)

STOP_S = 5  # for statements under way


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m buildflow_nb.local_cloud.snowflake")
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps everything")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    made = application(given.state.resolve(), Secret(os.environ.pop(PASSWORD)))
    uvicorn.run(
        made,
        host="127.0.0.1",
        port=given.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=STOP_S,
    )


if __name__ == "__main__":
    main()
