"""What the doctor looks at in a project folder: its file, keys, local cloud, locks, port, disk."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from buildflow_nb.core.config import FILE_NAME, Config, Stack, find_config
from buildflow_nb.core.credentials import AWSCredentials, GCPCredentials
from buildflow_nb.core.errors import ConfigError
from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.own_json import read_own
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.project_folder import PRIVATE
from buildflow_nb.infra.found_keys import aws_keys, gcp_keys
from buildflow_nb.infra.port_check import look_at_port
from buildflow_nb.infra.pulumi.deployment import Deployment
from buildflow_nb.infra.pulumi.last_state import ROOM_BYTES
from buildflow_nb.infra.pulumi.taking_over import left_behind
from buildflow_nb.local_cloud.client import cloud_status

__all__ = ("looks_at_project",)

PORT = 8000  # where routes are served unless --port says otherwise
FEW_BYTES = 1 << 30  # below this a disk is full soon
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def looks_at_project(folder: Path) -> Mapping[str, Callable[[], Iterable[Finding]]]:
    """Each look by its name."""
    return {
        FILE_NAME: lambda: _file(folder),
        "credentials": lambda: _credentials(folder),
        "passphrase": lambda: _passphrase(folder),
        "local cloud": lambda: _cloud(folder),
        "port": lambda: [look_at_port("127.0.0.1", PORT)],
        "locks": lambda: _locks(folder),
        "left behind": lambda: _left_behind(folder),
        "disk": lambda: _disk(folder),
    }


def _config(folder: Path) -> Config:
    """The folder's configuration; a wrong one is told by its own line."""
    try:
        return find_config(folder)
    except ConfigError:
        return Config.implicit(folder)


def _file(folder: Path) -> Iterator[Finding]:
    try:
        config = find_config(folder)
    except ConfigError as error:
        yield Finding(FILE_NAME, Health.ERROR, str(error), "mend that line")
        return
    names = ", ".join(f"{stack.name} ({stack.cloud})" for stack in config.stacks.values())
    there = (config.folder / FILE_NAME).is_file()
    where = f"in {config.folder}" if there else "there is none, and none is needed"
    yield Finding(FILE_NAME, Health.OK, f"{where}; stacks: {names}")


def _credentials(folder: Path) -> Iterator[Finding]:
    """Those of this machine; only real clouds need them."""
    needed = any(stack.cloud == "real" for stack in _config(folder).stacks.values())
    for found in (aws_keys(AWSCredentials()), gcp_keys(GCPCredentials())):
        if found.health is Health.WARNING and not needed:
            yield Finding(found.subject, Health.OK, "none found, and no stack needs any")
        else:
            yield found


def _passphrase(folder: Path) -> Iterator[Finding]:
    private = _config(folder).folder / PRIVATE
    path = private / "passphrase"
    if not path.exists():
        yield Finding("passphrase", Health.OK, "none yet; the first apply makes one")
        return
    loose = [p for p in (private, path) if os.name == "posix" and p.stat().st_mode & _OTHERS]
    if loose and path in loose:
        said = f"{path} can be read by others"
        yield Finding("passphrase", Health.ERROR, said, f"chmod 600 {path}")
    elif not path.read_text(encoding="utf-8").strip():
        said = f"{path} is empty, and the stack's secrets cannot be read without it"
        yield Finding("passphrase", Health.ERROR, said, "put back the one it was made with")
    else:
        yield Finding("passphrase", Health.OK, f"in {path}, for its owner alone; keep it")


def _cloud(folder: Path) -> Iterator[Finding]:
    status = cloud_status(_config(folder).folder)
    if status.keeper is None:
        said = "does not run; it is started when something needs it"
        yield Finding("local cloud", Health.OK, said)
    elif status.record is not None:
        users = ", ".join(map(str, status.users)) or "nobody"
        said = f"runs as process {status.keeper}, used by {users}, in {status.folder}"
        yield Finding("local cloud", Health.OK, said)
    else:
        what = "is of another version" if status.other_version else "does not say where it is"
        said = f"runs as process {status.keeper}, and {what}"
        cure = "%buildflow cloud stop; it is started again when something needs it"
        yield Finding("local cloud", Health.WARNING, said, cure)


def _locks(folder: Path) -> Iterator[Finding]:
    config, held = _config(folder), False
    for stack in config.stacks.values():
        findings = [one for found in _deployments(config, stack) for one in _turn(found)]
        for finding in (*findings, *_engine_locks(_deployment(config, stack))):
            held = True
            yield finding
    if not held:
        yield Finding("locks", Health.OK, "no stack is being changed")


def _left_behind(folder: Path) -> Iterator[Finding]:
    """Cloud resources whose notebook or program is gone: nothing else would tell of them."""
    config, told = _config(folder), False
    for stack in config.stacks.values():
        for text in left_behind(_deployment(config, stack)):
            told = True
            what, _, cure = text.partition("; ")
            yield Finding(f"stack {stack.name}", Health.WARNING, what, cure)
    if not told:
        yield Finding(
            "left behind", Health.OK, "every applied resource has its notebook or program"
        )


def _deployments(config: Config, stack: Stack) -> Iterator[Deployment]:
    """The app's, and those of the flows that have a state of their own."""
    app = _deployment(config, stack)
    yield app
    for folder in sorted((app.home / "flows").glob("*")):
        yield replace(app, project=folder.name, own=True)


def _deployment(config: Config, stack: Stack) -> Deployment:
    env = Env(stack=stack.name, folder=config.folder)
    return Deployment(config.app, stack, config.folder, config.pulumi_home, env, ())


def _turn(found: Deployment) -> Iterator[Finding]:
    """Who works on a stack, as its lock's file says; it is empty when the work is done."""
    try:
        record = read_own(found.lock, dict[str, Any])
        pid, what = int(record["pid"]), record["operation"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    yield _holder(found, pid, f"{what} since {record.get('since')}")


def _engine_locks(found: Deployment) -> Iterator[Finding]:
    """The engine's own locks, where its state is a folder of this machine."""
    if found.state is None:
        return
    places = found.state.parents[2] / "locks"
    for path in sorted(places.glob(f"**/{found.stack.name}/*.json")):
        try:
            record = read_own(path, dict[str, Any])
            pid, host = int(record["pid"]), record.get("hostname")
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if host == socket.gethostname():
            yield _holder(found, pid, "the engine's own lock")


def _holder(found: Deployment, pid: int, what: str) -> Finding:
    subject = f"lock of stack {found.stack.name}"
    if psutil.pid_exists(pid):
        cure = "wait until it has ended, or interrupt it"
        return Finding(subject, Health.WARNING, f"held by process {pid} ({what})", cure)
    said = f"left by process {pid}, which is dead ({what})"
    cure = "nothing to do: the next preview or apply finds out what was left"
    return Finding(subject, Health.WARNING, said, cure)


def _disk(folder: Path) -> Iterator[Finding]:
    place = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free
    said = f"{free / 1e9:.1f} GB free in {place}"
    if free < ROOM_BYTES:
        yield Finding("disk", Health.ERROR, f"{said}: no room for a state", "make room")
    elif free < FEW_BYTES:
        yield Finding("disk", Health.WARNING, said, "make room soon")
    else:
        yield Finding("disk", Health.OK, said)
