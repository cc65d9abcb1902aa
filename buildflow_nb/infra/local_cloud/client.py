"""Finds a project's local cloud, starts it when it is needed, stops it when it is told to."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from buildflow_nb.core.errors import InfraError
from buildflow_nb.infra.local_cloud.child import clean_environment
from buildflow_nb.infra.local_cloud.emulators import check_installed
from buildflow_nb.infra.local_cloud.lease import living_leases, take_lease
from buildflow_nb.infra.local_cloud.record import CloudRecord, local_folder, read_record

__all__ = ("CloudStatus", "cloud_status", "find_cloud", "reset_cloud", "start_cloud", "stop_cloud")

START_S = 60.0  # about two seconds on an idle machine
STOP_S = 30.0  # emulators write their state
ASK_EVERY_S = 0.02
LAST_LINES = 5  # of the log, in an error


@dataclass(frozen=True, slots=True)
class CloudStatus:
    """What a person asks about a local cloud; `record` is None while it does not run."""

    folder: Path
    record: CloudRecord | None
    users: tuple[int, ...]


def find_cloud(project: Path) -> CloudRecord | None:
    """The project's local cloud, if it runs."""
    return read_record(local_folder(project))


def cloud_status(project: Path) -> CloudStatus:
    """Whether it runs, where, and which processes use it."""
    folder = local_folder(project)
    return CloudStatus(folder, read_record(folder), tuple(living_leases(folder)))


def start_cloud(project: Path) -> CloudRecord:
    """The project's local cloud, started if it does not run; kept up while this process lives.

    Raises:
        InfraError: its extra is not installed, or it did not start; says what its log ends with.
    """
    folder = local_folder(project)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    take_lease(folder)
    found = read_record(folder)
    if found is not None:
        return found
    check_installed()
    log = folder / "logs" / "cloud.log"
    log.parent.mkdir(exist_ok=True)
    words = [sys.executable, "-P", "-m", "buildflow_nb.infra.local_cloud", str(project)]
    with log.open("ab") as file:
        process = subprocess.Popen(  # noqa: S603  (this interpreter, and no shell)
            words,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=clean_environment(),
            start_new_session=True,
        )
    # It outlives this process; if it ends first, somebody has to take note of that.
    threading.Thread(target=process.wait, name="local cloud", daemon=True).start()
    return _await_record(folder, process, log)


def _await_record(folder: Path, process: subprocess.Popen[bytes], log: Path) -> CloudRecord:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        record = read_record(folder)
        if record is not None:
            return record
        if process.returncode:  # a second supervisor ends with 0, and the first is waited for
            break
        time.sleep(ASK_EVERY_S)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
    msg = f"the local cloud did not start; {log} ends with: {' | '.join(lines)}"
    raise InfraError(msg)


def stop_cloud(project: Path) -> bool:
    """Stop it, with its state kept; whether it ran.

    Raises:
        InfraError: it did not stop.
    """
    record = find_cloud(project)
    if record is None:
        return False
    try:
        process = psutil.Process(record.process.pid)
        process.terminate()
        process.wait(STOP_S)
    except psutil.NoSuchProcess:
        pass
    except psutil.TimeoutExpired as error:
        msg = f"the local cloud (process {record.process.pid}) did not stop in {STOP_S:g} s"
        raise InfraError(msg) from error
    return True


def reset_cloud(project: Path) -> None:
    """Stop it and forget everything that was in it."""
    stop_cloud(project)
    folder = local_folder(project)
    for name in ("aws", "gcp", "storage"):
        shutil.rmtree(folder / name, ignore_errors=True)
