"""The server as a program: `python -m buildflow_nb.local_cloud.clickhouse --state … --port …`.

The password of the user `default` comes by the environment, which only this user's processes can
read. SIGTERM and SIGINT stop it, with everything that was acknowledged on disk.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from aiohttp import web

from buildflow_nb.core.credentials import Secret
from buildflow_nb.local_cloud.clickhouse.engine import Engine
from buildflow_nb.local_cloud.clickhouse.front import Front
from buildflow_nb.local_cloud.clickhouse.store import PASSWORD

__all__ = ("main",)

STOP_S = 5.0  # for statements under way


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m buildflow_nb.local_cloud.clickhouse")
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps the tables")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    engine = Engine(given.state)
    front = Front(engine, Secret(os.environ.pop(PASSWORD)))
    try:
        web.run_app(
            front.application(),
            host="127.0.0.1",
            port=given.port,
            print=None,
            access_log=None,
            shutdown_timeout=STOP_S,
        )
    finally:
        if not engine.close():
            os._exit(0)  # a statement that does not end; what it was to do was not acknowledged


if __name__ == "__main__":
    main()
