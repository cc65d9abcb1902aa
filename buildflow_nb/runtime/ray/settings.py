"""What Ray is told before it is imported: it reads most settings once, from the environment.

A Ray of a run's own listens on loopback only, asks for a token that lies in a file of its owner's,
sends no statistics, and writes into one folder, which goes with the run. A cluster that was there
before is left as it is set, its token and its ports, too.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from buildflow_nb.core.process_id import ProcessId
from buildflow_nb.runtime.ray.addresses import Address

__all__ = (
    "LOG",
    "OBJECT_STORE",
    "environment",
    "init_options",
    "left_in",
    "make_folder",
    "remove_folder",
)

LOG = "driver.log"
FOLDER = "RAY_TMPDIR"
REMOVES = 5
REMOVE_AGAIN_S = 0.1
TOKEN = "token"  # noqa: S105  (a file's name)
PREFIX = "buildflow-ray-"
# The elements of a flow never pass through Ray; what does is kilobytes, and more goes to the disk.
OBJECT_STORE = 100 * 2**20
# By its name it is of other systems. Off, the machine is 127.0.0.1 to a Ray that starts, of which
# nothing listens anywhere else then; and who joins a cluster finds a head on loopback where it is.
# Which address this machine has in a cluster is asked there, and so stays as it is.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_OWN = {
    **LOOPBACK,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    # Replicas are the work itself; by default Ray has them yield to everybody (niceness 15).
    "RAY_worker_niceness": "0",
    "RAY_ROTATION_MAX_BYTES": str(10 * 2**20),  # of each log
    "RAY_ROTATION_BACKUP_COUNT": "1",
}
_NOT_OWN = ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_NAMESPACE", "RAY_JOB_CONFIG_JSON_ENV_VAR")


def make_folder() -> Path:
    """A folder for one run, for its owner alone.

    Ray puts sockets 60 letters below it, and a socket's path may have a hundred: so it is in /tmp,
    wherever else the system would have temporary files.
    """
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=temporary()))


def temporary() -> Path:
    """Where folders and locks are."""
    short = Path("/tmp")  # noqa: S108  (what is made there has its owner alone)
    usable = short.is_dir() and os.access(short, os.W_OK | os.X_OK)
    return short if usable else Path(tempfile.gettempdir())


def left_in(folder: Path) -> list[ProcessId]:
    """The processes that Ray has started with this folder: some belong to nobody any more."""
    import psutil

    found = []
    for one in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if one.pid != os.getpid() and one.environ().get(FOLDER) == str(folder):
                found.append(ProcessId(one.pid, one.create_time()))
    return found


def remove_folder(folder: Path) -> None:
    """Remove what `make_folder` made, with what Ray has put there, and puts there meanwhile."""
    for _ in range(REMOVES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(REMOVE_AGAIN_S)


def environment(address: Address, folder: Path) -> dict[str, str]:
    """The environment of the driver, and with a Ray of its own of everything that it starts."""
    made = {**os.environ, "PYTHONPATH": _path(), "PYTHONUNBUFFERED": "1"}
    if not address.own:
        return {**made, **LOOPBACK}
    token = folder / TOKEN
    with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    kept = {name: value for name, value in made.items() if name not in _NOT_OWN}
    return {**kept, **_OWN, FOLDER: str(folder), "RAY_AUTH_TOKEN_PATH": str(token)}


def _path() -> str:
    """Where this process finds modules, but for what every process of its Python finds."""
    known = [Path(place).resolve() for place in (sys.prefix, sys.base_prefix)]
    found = [Path(place or ".").resolve() for place in sys.path]
    others = [one for one in found if not any(one.is_relative_to(place) for place in known)]
    return os.pathsep.join(dict.fromkeys(map(str, others)))


def init_options(address: Address, num_cpus: int) -> Mapping[str, object]:
    """What `ray.init` is called with."""
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    # The names of actors are one run's own, also where many runs are under one job of Ray's.
    quiet["namespace"] = f"buildflow-{uuid4().hex}"
    if not address.own:
        return {"address": address.text, **quiet}
    own = {"include_dashboard": False, "object_store_memory": OBJECT_STORE, "num_cpus": num_cpus}
    return {"address": "local", **own, **quiet}
