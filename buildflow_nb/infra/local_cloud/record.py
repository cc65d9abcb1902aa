"""Where a project's local cloud is: what its supervisor writes once everything answers.

The file is replaced whole, and it is true only while the process that it names lives: process ids
are used again, so the time at which the process began is compared too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

__all__ = (
    "RECORD",
    "CloudRecord",
    "ProcessId",
    "is_ours",
    "local_folder",
    "of_another_version",
    "process_at",
    "read_record",
    "this_process",
    "write_record",
)

RECORD = "cloud.json"
FORMAT = 1
SAME_S = 1.0  # how exactly systems tell when a process began


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process, told apart from a later one with the same number."""

    pid: int
    began: float

    def alive(self) -> bool:
        """Whether it still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.began) < SAME_S
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


@dataclass(frozen=True, slots=True)
class CloudRecord:
    """A running local cloud: where each service is, and the ports of the engine's providers."""

    process: ProcessId
    endpoints: Mapping[str, str]
    providers: Mapping[str, int]


def local_folder(project: Path) -> Path:
    """The folder of a project's local cloud."""
    return project / ".buildflow" / "local"


def this_process() -> ProcessId:
    """The process that asks."""
    return ProcessId(os.getpid(), psutil.Process().create_time())


def write_record(folder: Path, record: CloudRecord) -> None:
    """Publish it, readable by its owner only."""
    path = folder / RECORD
    partial = path.with_suffix(f".{os.getpid()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"format": FORMAT, **asdict(record)}, file, indent=1)
    partial.replace(path)


def read_record(folder: Path) -> CloudRecord | None:
    """The cloud that runs, or None: no file, a stale one, or one that cannot be understood."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        process = ProcessId(**found["process"])
        record = CloudRecord(process, dict(found["endpoints"]), dict(found["providers"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if found.get("format") == FORMAT and process.alive() else None


def of_another_version(folder: Path) -> bool:
    """Whether a cloud runs whose record only another version of this package understands."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        known = found["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        return False
    process = process_at(folder / RECORD)
    return not known and process is not None and process.alive()


def process_at(path: Path) -> ProcessId | None:
    """The process that a file of the folder says has written it, living or not.

    Every file of every version tells it in the same words: `{"process": {"pid", "began"}}`.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["process"]
        return ProcessId(int(found["pid"]), float(found["began"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_ours(path: Path) -> bool:
    """Whether a file of the folder says that this process has written it."""
    process = process_at(path)
    return process is not None and process.pid == os.getpid()
