"""Finds a project's local cloud, starts it when it is needed, stops it when it is told to.

A cloud is found by its record; one whose record is missing or of another version is found by the
lock of its folder, so that it can always be stopped, and is never waited for without a reason told.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.process_id import ProcessId, end, process_name
from buildflow_nb.core.project_folder import open_private, read_private
from buildflow_nb.local_cloud.child import clean_environment
from buildflow_nb.local_cloud.emulators import OWN, check_installed
from buildflow_nb.local_cloud.folder import FolderLock, keeper, logs_of, make_folder, writing
from buildflow_nb.local_cloud.lease import WOKEN, Wish, living_leases, take_lease, wish_for
from buildflow_nb.local_cloud.record import (
    CloudRecord,
    local_folder,
    of_another_version,
    read_record,
)
from buildflow_nb.local_cloud.store import forget_password, password_of
from buildflow_nb.local_cloud.stores import STORES, store_named

__all__ = (
    "CloudStatus",
    "cloud_status",
    "find_cloud",
    "reset_cloud",
    "start_cloud",
    "stop_cloud",
    "store_password",
    "wake_store",
)

START_S = 60.0  # about two seconds on an idle machine
ANSWER_S = 10.0  # for one that has started long ago: it looks after its record every two seconds
STOP_S = 30.0  # emulators write their state
ASK_EVERY_S = 0.02
AGAIN_S = 5.0  # after which a wish that nobody seems to have heard is told again
LAST_LINES = 5  # of the log, in an error

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CloudStatus:
    """What a person asks about a local cloud.

    `keeper` is the process that keeps it, None while it does not run. `record` is None also while
    it starts, and where it is of another version of this package.
    """

    folder: Path
    record: CloudRecord | None
    keeper: int | None
    users: tuple[int, ...]
    other_version: bool = False


def find_cloud(project: Path) -> CloudRecord | None:
    """The project's local cloud, if it runs and answers."""
    return read_record(local_folder(project))


def cloud_status(project: Path) -> CloudStatus:
    """Whether it runs, where, and which processes use it."""
    folder = local_folder(project)
    process = keeper(folder)
    return CloudStatus(
        folder,
        read_record(folder),
        None if process is None else process.pid,
        tuple(living_leases(folder)),
        of_another_version(folder),
    )


def start_cloud(project: Path, tell: Callable[[str], None] = lambda _: None) -> CloudRecord:
    """The project's local cloud, started if it does not run; kept up while this process lives.

    `tell` hears, on this thread, that it is being started, which takes seconds: a line for a
    person. It hears nothing of a cloud that runs.

    Raises:
        InfraError: its extra is not installed, its folder cannot be written, or it did not start;
            says what its log ends with, or which process is in the way.
    """
    folder = make_folder(project)
    with writing(folder):
        take_lease(folder)
    found = read_record(folder)
    if found is not None:
        return found
    check_installed()
    _end_other_version(project)
    return _await_record(project, tell)


def wake_store(project: Path, service: str, tell: Callable[[str], None] = lambda _: None) -> str:
    """Start the store that has this endpoint, unless it runs, and the cloud; gives its URL.

    It is kept running while this process lives. `tell` hears what takes seconds.

    Raises:
        InfraError: its extra is not installed, or it did not start; says why.
    """
    store = store_named(service)
    record = start_cloud(project, tell)
    if store.name in record.awake:
        return record.endpoints[service]
    store.check_installed()
    folder = local_folder(project)
    with writing(folder):
        wish = wish_for(folder, store.name)
    tell(f"starting {store.name} of the local cloud")
    return _await_store(project, store.name, wish).endpoints[service]


def _await_store(project: Path, name: str, wish: Wish) -> CloudRecord:
    deadline, told = time.monotonic() + START_S, 0.0
    while time.monotonic() < deadline:
        record = start_cloud(project)
        if name in record.awake:
            return record
        fault = record.faults.get(name)
        if fault is not None and wish in fault.wishes:
            msg = f"the local cloud's {name} did not start: {fault.reason}"
            raise InfraError(msg)
        if time.monotonic() - told > AGAIN_S and record.process.alive():
            os.kill(record.process.pid, WOKEN)
            told = time.monotonic()
        time.sleep(ASK_EVERY_S)
    log = logs_of(local_folder(project)) / f"{name}.log"
    msg = f"the local cloud's {name} did not answer in {START_S:g} s; its log: {log}"
    raise InfraError(msg)


def store_password(project: Path, store: str) -> Secret:
    """The password of a store of the project's local cloud, made when it is first asked for.

    Raises:
        InfraError: there is no such store, or the password cannot be kept.
    """
    folder = make_folder(project)
    with writing(folder):
        return password_of(folder, store_named(store).name)


def _end_other_version(project: Path) -> None:
    folder = local_folder(project)
    if not of_another_version(folder):
        return
    users = [user for user in living_leases(folder) if user != os.getpid()]
    if users:
        msg = (
            f"the local cloud of {project} is of another version of buildflow_nb, and is used by"
            f" {', '.join(map(process_name, users))}; end that first, then this one starts its own"
        )
        raise InfraError(msg)
    _log.warning("the local cloud of %s is of another version and is started again", project)
    stop_cloud(project)


def _await_record(project: Path, tell: Callable[[str], None]) -> CloudRecord:
    folder = local_folder(project)
    deadline = time.monotonic() + _patience(keeper(folder))
    tell(f"starting the local cloud of {project}; that takes a few seconds, once")
    process: subprocess.Popen[bytes] | None = None
    while time.monotonic() < deadline:
        record = read_record(folder)
        if record is not None:
            return record
        if process is not None and process.returncode:
            raise InfraError(_not_started(folder))
        # One that ends with 0 found another, which may have been about to end.
        if (process is None or process.returncode == 0) and keeper(folder) is None:
            process = _spawn(project)
        time.sleep(ASK_EVERY_S)
    raise InfraError(_not_answering(folder))


def _patience(process: ProcessId | None) -> float:
    """How long to wait for a record, in seconds."""
    return START_S if process is None or time.time() - process.began < START_S else ANSWER_S


def _spawn(project: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-P", "-m", OWN, str(project)]
    folder = local_folder(project)
    with writing(folder):
        handle = open_private(_log_file(folder), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with os.fdopen(handle, "ab") as file:
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
    return process


def _log_file(folder: Path) -> Path:
    return logs_of(folder) / "cloud.log"


def _not_started(folder: Path) -> str:
    log = _log_file(folder)
    try:
        lines = read_private(log).decode(errors="replace").splitlines()[-LAST_LINES:]
    except OSError as error:
        return f"the local cloud did not start, and its log cannot be read: {error}"
    return f"the local cloud did not start; {log} ends with: {' | '.join(lines)}"


def _not_answering(folder: Path) -> str:
    process = keeper(folder)
    if process is None:
        return _not_started(folder)
    return (
        f"the local cloud does not answer: process {process.pid} holds the lock of {folder} but has"
        f" not told where it is; end it (`kill {process.pid}`), or look at {_log_file(folder)}"
    )


def stop_cloud(project: Path) -> bool:
    """Stop it, with its state kept; whether it ran.

    Raises:
        InfraError: it did not stop.
    """
    found = keeper(local_folder(project))
    if found is None:
        return False
    if not end([found], STOP_S, kill=False):
        msg = (
            f"the local cloud (process {found.pid}) did not stop in {STOP_S:g} s;"
            f" `kill -9 {found.pid}` ends it, without its last state"
        )
        raise InfraError(msg)
    return True


def reset_cloud(project: Path) -> None:
    """Stop it and forget everything that was in it.

    Raises:
        InfraError: it did not stop, others start it again and again, or a file cannot be removed.
    """
    folder = local_folder(project)
    if not folder.is_dir():
        return
    deadline = time.monotonic() + STOP_S
    while time.monotonic() < deadline:
        stop_cloud(project)
        with writing(folder), FolderLock(folder) as lock:
            if lock.take():  # a process that uses the cloud may have started it again by now
                for name in ("aws", "gcp", "storage", *STORES):
                    if (folder / name).exists():
                        shutil.rmtree(folder / name)
                for name in STORES:
                    forget_password(folder, name)
                return
    users = ", ".join(map(process_name, living_leases(folder)))
    msg = f"the local cloud cannot be reset while processes start it again: end {users} first"
    raise InfraError(msg)
