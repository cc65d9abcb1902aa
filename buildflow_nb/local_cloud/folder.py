"""The folder of a project's local cloud: made for its owner alone, and kept by one supervisor.

Who keeps it holds a lock on a file in it and has written its own process there, so that a cloud can
be found and stopped even when the record of where it answers is gone. The system lets go of the
lock when its holder dies, however it dies. Whoever removes the folder takes it from its keeper: a
new file in the same place is another one, whatever its name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.process_id import ProcessId, this_process
from buildflow_nb.core.project_folder import make_private, open_private, private_folder, try_lock
from buildflow_nb.local_cloud.record import RECORD, local_folder, process_at

__all__ = ("FolderLock", "keeper", "logs_of", "make_folder", "writing")

LOCK = "lock"


def make_folder(project: Path) -> Path:
    """The folder of a project's local cloud, made with its logs' folder where it is not yet there.

    Raises:
        InfraError: it cannot be made, since a file is in its place or it may not be written.
    """
    private_folder(project)
    folder = local_folder(project)
    with writing(folder):
        make_private(logs_of(folder))
    return folder


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Tell of what cannot be written in the folder.

    Raises:
        InfraError: in place of an `OSError`, which names the file.
    """
    try:
        yield
    except OSError as error:
        mend = "move away what is in its place, or make its folder writable for you"
        msg = f"the local cloud cannot keep its files in {folder}: {error}; {mend}"
        raise InfraError(msg) from error


def logs_of(folder: Path) -> Path:
    """Where the logs of a folder's cloud lie."""
    return folder / "logs"


def keeper(folder: Path) -> ProcessId | None:
    """The living process that keeps the folder's cloud, whether or not it has told where."""
    for name in (LOCK, RECORD):  # a cloud of an older version has not signed its lock
        process = process_at(folder / name)
        if process is not None and process.alive():
            return process
    return None


class FolderLock:
    """The lock of a folder; let go of when it is left."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        handle = open_private(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._file = os.fdopen(handle, "a+", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def take(self) -> bool:
        """Take it, if no other process has."""
        return try_lock(self._file.fileno())

    def sign(self) -> None:
        """Write down that this process keeps the folder; only its holder may."""
        self._file.truncate(0)
        json.dump({"process": asdict(this_process())}, self._file)
        self._file.flush()

    def in_place(self) -> bool:
        """Whether the file that is locked is still the folder's."""
        try:
            return os.path.samestat(self._path.lstat(), os.fstat(self._file.fileno()))
        except OSError:
            return False
