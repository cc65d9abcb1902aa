"""One operation at a time for each stack, also from several kernels and terminals.

Whoever works on a stack holds a lock on a file, which the system takes from a process that dies.
The file says who works and which engine; a text that is left in it means that its writer died in
the middle, and whoever comes next has to recover.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.own_json import DamagedError, parsed
from buildflow_nb.core.process_id import ProcessId, process_name
from buildflow_nb.core.project_folder import make_private, open_private, try_lock
from buildflow_nb.core.status.operations import Operation

__all__ = ("StackLock", "lock_stack", "worked_on")


@dataclass(frozen=True, slots=True)
class _Record:
    """Who works on the stack; `engine` is the process id of the engine, 0 while there is none.

    `engine_began` tells it from a later process of its number. `identity` is the notebook or
    program, as a person knows it. `keys` are the primitives that it works on, by class and id.
    """

    operation: str
    pid: int
    since: str
    engine: int = 0
    identity: str = ""
    engine_began: float = 0.0
    keys: tuple[str, ...] = ()


class StackLock:
    """A lock that is held. `unfinished` is the engine, or none yet, if the last holder died."""

    def __init__(self, file: IO[str], record: _Record) -> None:
        self._file = file
        before = _read(file)
        self.unfinished = (
            ProcessId(before.engine, before.engine_began) if before is not None else None
        )
        self._record = record

    def begin(self) -> None:
        """Say who works; until `finish`, a sudden end leaves something to recover."""
        self._write(json.dumps(asdict(self._record)))

    def engine(self, pid: int) -> None:
        """Note which engine works now."""
        found = ProcessId.of(pid) or ProcessId(pid, 0.0)
        self._record = replace(self._record, engine=pid, engine_began=found.began)
        self._write(json.dumps(asdict(self._record)))

    def finish(self) -> None:
        """Nothing is left to recover."""
        self._write("")

    def nothing_begun(self) -> None:
        """The state is as it was found; what the last holder left unfinished is so still."""
        if self.unfinished is None:
            self.finish()

    def _write(self, text: str) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(text)
        self._file.flush()


@contextmanager
def lock_stack(
    path: Path, stack: str, operation: Operation, identity: str = "", keys: Iterable[str] = ()
) -> Iterator[StackLock]:
    """Hold the stack's lock; `begin` says so, `finish` that the state is known to be whole.

    Raises:
        InfraError: another process works on the stack, which is named; or its lock's file cannot
            be opened.
    """
    try:
        make_private(path.parent)
        handle = open_private(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        msg = f"stack {stack!r} cannot be locked: {error}"
        raise InfraError(msg) from error
    with os.fdopen(handle, "r+", encoding="utf-8", errors="replace") as file:
        if not try_lock(file.fileno()):
            other = _read(file)
            who = _who(other) if other else ""
            msg = (
                f"stack {stack!r} is being changed {who}; only one operation runs at a time: "
                "wait until it has ended, or interrupt it"
            )
            raise InfraError(" ".join(msg.split()))
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        record = _Record(operation.value, os.getpid(), now, identity=identity, keys=tuple(keys))
        yield StackLock(file, record)


def worked_on(path: Path) -> tuple[str, frozenset[str]]:
    """Who holds a stack's lock, and which primitives it applies there; "" if nobody does."""
    try:
        handle = open_private(path, os.O_RDWR)
    except OSError:
        return "", frozenset()
    with os.fdopen(handle, "r+", encoding="utf-8", errors="replace") as file:
        found = None if try_lock(file.fileno()) else _read(file)
    if found is None or found.operation != Operation.APPLY.value:
        return "", frozenset()
    return _who(found), frozenset(found.keys)


def _who(other: _Record) -> str:
    process = f"process {other.pid}"
    who = f"{other.identity} ({process})" if other.identity else process_name(other.pid)
    return f"by {who}: {other.operation} since {other.since}"


def _read(file: IO[str]) -> _Record | None:
    file.seek(0)
    try:
        return parsed(file.read().encode(), _Record)
    except DamagedError:
        return None
