"""Where a project's local cloud is: what its supervisor writes once everything answers.

The file is replaced whole, and it is true only while the process that it names lives: process ids
are used again, so the time at which the process began is compared too. Its format names this
package: a cloud that starts its parts by modules of another name is of another version, even if it
says everything in the same words.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from buildflow_nb.core.own_json import DamagedError, read_own
from buildflow_nb.core.process_id import ProcessId
from buildflow_nb.core.project_folder import PRIVATE, write_whole

__all__ = (
    "RECORD",
    "CloudRecord",
    "StoreFault",
    "is_ours",
    "local_folder",
    "of_another_version",
    "process_at",
    "read_record",
    "write_record",
)

RECORD = "cloud.json"
FORMAT = f"3 {__package__}"  # the package whose modules a cloud starts its parts by


@dataclass(frozen=True, slots=True)
class StoreFault:
    """Why a store did not start, and whose wishes that answers (`lease.Wish`)."""

    reason: str
    wishes: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class CloudRecord:
    """A running local cloud: where each service is, and the ports of the engine's providers.

    A store has an endpoint also while it sleeps; `awake` are those that run. `faults` are stores
    that did not start.
    """

    process: ProcessId
    endpoints: Mapping[str, str]
    providers: Mapping[str, int]
    awake: tuple[str, ...] = ()
    faults: Mapping[str, StoreFault] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Told:
    """What files of every version say in the same words."""

    process: ProcessId
    format: object = None


def local_folder(project: Path) -> Path:
    """The folder of a project's local cloud."""
    return project / PRIVATE / "local"


def write_record(folder: Path, record: CloudRecord) -> None:
    """Publish it, readable by its owner only.

    Raises:
        OSError: it cannot be written.
    """
    told = json.dumps({"format": FORMAT, **asdict(record)}, indent=1)
    write_whole(folder / RECORD, told.encode())


def read_record(folder: Path) -> CloudRecord | None:
    """The cloud that runs, or None: no file, a stale one, or one that cannot be understood."""
    told = _told(folder / RECORD)
    if told is None or told.format != FORMAT or not told.process.alive():
        return None
    try:
        return read_own(folder / RECORD, CloudRecord)
    except (OSError, DamagedError):
        return None


def of_another_version(folder: Path) -> bool:
    """Whether a cloud runs whose record only another version of this package understands."""
    told = _told(folder / RECORD)
    known = told is None or told.format is None or told.format == FORMAT
    return not known and told is not None and told.process.alive()


def process_at(path: Path) -> ProcessId | None:
    """The process that a file of the folder says has written it, living or not.

    Every file of every version tells it in the same words: `{"process": {"pid", "began"}}`.
    """
    told = _told(path)
    return None if told is None else told.process


def is_ours(path: Path) -> bool:
    """Whether a file of the folder says that this process has written it."""
    process = process_at(path)
    return process is not None and process.pid == os.getpid()


def _told(path: Path) -> _Told | None:
    try:
        return read_own(path, _Told)
    except (OSError, DamagedError):
        return None
