"""A source of what happens to the files of a folder.

The operating system's watch begins when the source is opened, and it collects changes while
nobody pulls, so nothing between opening and pulling is lost. An event that was not settled well is
delivered again after a pause. Delivery is in memory: what happens while no source is open is not
seen, unless another process takes this one's place (`Env.positions`). Folders and files of tools
(.git, node_modules, editors' swap files …) are left out, as watchfiles does by default.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self, cast

from buildflow_nb.core.errors import DeclarationError, PermanentError, TemporaryError
from buildflow_nb.core.findings import Finding
from buildflow_nb.core.primitive import Batch, Env, Source, Wire
from buildflow_nb.io._check import looked, on_thread
from buildflow_nb.io._paths import absolute
from buildflow_nb.io._seen_files import SeenFiles
from buildflow_nb.types.local import FileChangeStreamEventType, LocalFileChangeEvent

__all__ = ("LocalFileChangeStream",)

REDELIVERY_S = 1.0  # at once would spin on an event that always fails
Changes = set[tuple[Any, str]]


@dataclass(frozen=True, slots=True)
class LocalFileChangeStream:
    """Changes below `file_path` (a folder or a file), of the given types; the path is absolute.

    Raises:
        DeclarationError: an event type is unknown, or there is none.
    """

    cloud: ClassVar[str] = "local"

    file_path: str | os.PathLike[str]
    event_types: Iterable[FileChangeStreamEventType] = (FileChangeStreamEventType.CREATED,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "file_path", absolute(self.file_path))
        object.__setattr__(self, "event_types", _event_types(self.event_types))

    @property
    def primitive_id(self) -> str:
        """The path and the event types."""
        return f"{self.file_path}:{'+'.join(kind.value for kind in self.event_types)}"

    @property
    def label(self) -> str:
        """The folder's name."""
        return f"{Path(self.file_path).name}/"

    @property
    def source_wire(self) -> Wire:
        """`LocalFileChangeEvent` objects."""
        return Wire.OBJECT

    @property
    def max_pullers(self) -> int:
        """One: there is one watch."""
        return 1

    def source(self, env: Env) -> AbstractAsyncContextManager[Source]:
        """Open a source; the watch begins at once where the folder exists."""
        path, positions = str(self.file_path), env.positions
        seen = None if positions is None else SeenFiles(path, self.primitive_id, positions)
        return _ChangeSource(path, tuple(self.event_types), seen)

    async def check(self, env: Env) -> Sequence[Finding]:  # noqa: ARG002
        """Look whether the folder is there and can be read."""
        path = Path(self.file_path)
        return await looked(self, lambda: on_thread(lambda: _look(path)))


class _ChangeSource:
    def __init__(
        self,
        path: str,
        event_types: tuple[FileChangeStreamEventType, ...],
        seen: SeenFiles | None,
    ) -> None:
        self._path = path
        self._event_types = event_types
        self._seen = seen
        self._missed: Changes = set()
        self._again: list[LocalFileChangeEvent] = []
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._watch: AsyncGenerator[Changes, None] | None = None
        self._next: asyncio.Task[Changes] | None = None

    async def __aenter__(self) -> Self:
        if self._seen is not None:
            await asyncio.to_thread(self._seen.begin)
        with suppress(TemporaryError):  # the first pull says so
            await self._begin()
        if self._seen is not None:  # with the watch in place: rather told twice than not at all
            self._missed = await asyncio.to_thread(self._seen.since)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end()
        if self._seen is not None:
            await asyncio.to_thread(self._seen.end)

    async def pull(self) -> Batch:
        """Wait for changes, or for an event that is due again."""
        while True:
            if self._again:
                events, self._again = self._again, []
                self._tell(event.file_path for event in events)
                return _batch(events)
            self._wake.clear()
            changes, self._missed = self._missed or await self._changes(), set()
            events = self._events(changes)
            self._tell(path for _, path in changes)
            if events:
                return _batch(events)

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Forget the events, or deliver them again after a pause."""
        if not ok and receipts:
            events = [cast("LocalFileChangeEvent", receipt) for receipt in receipts]
            if self._seen is not None:
                self._seen.forget(event.file_path for event in events)
            asyncio.get_running_loop().call_later(REDELIVERY_S, self._redeliver, events)

    async def backlog(self) -> int | None:
        """What waits to be delivered again; what the system has collected cannot be told."""
        return len(self._again)

    def _tell(self, paths: Iterable[str]) -> None:
        if self._seen is not None:
            self._seen.tell(paths)

    def _exists(self) -> bool:
        return Path(self._path).exists()

    def _redeliver(self, events: list[LocalFileChangeEvent]) -> None:
        self._again += events
        self._wake.set()

    async def _begin(self) -> None:
        """Start the watch and wait until it is in place."""
        if not self._exists():
            raise _missing(self._path)
        from watchfiles import awatch

        self._stop = asyncio.Event()
        self._watch = cast(
            "AsyncGenerator[Changes, None]", awatch(self._path, stop_event=self._stop)
        )
        self._next = asyncio.ensure_future(anext(self._watch))
        # One turn of the loop runs awatch up to its first wait, and by then the watch is in place.
        await asyncio.sleep(0)

    async def _end(self) -> None:
        self._stop.set()
        if self._next is not None:
            await asyncio.wait({self._next})  # the watch looks for the stop every 50 ms
            if not self._next.cancelled():
                self._next.exception()  # fetched, so that asyncio does not report it as forgotten
            self._next = None
        if self._watch is not None:
            await self._watch.aclose()
            self._watch = None

    async def _changes(self) -> Changes:
        """The next changes, none when woken up; a cancelled call leaves them to the next one."""
        if self._next is None or self._watch is None:
            await self._begin()
        task = cast("asyncio.Task[Changes]", self._next)
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({task, woken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
        if not task.done():
            return set()
        return await self._taken(task)

    async def _taken(self, task: asyncio.Task[Changes]) -> Changes:
        try:
            changes = task.result()
        except (StopAsyncIteration, OSError) as error:
            self._next = None
            msg = f"folder {self._path} cannot be watched: {error}"
            denied = isinstance(error, PermissionError)
            raise (PermanentError(msg) if denied else TemporaryError(msg)) from error
        if self._exists() and self._watch is not None:
            self._next = asyncio.ensure_future(anext(self._watch))
        else:  # the folder itself has gone, and with it the watch; the next pull waits for another
            await self._end()
        return changes

    def _events(self, changes: Changes) -> list[LocalFileChangeEvent]:
        found = []
        for change, path in sorted(changes, key=lambda pair: (pair[1], pair[0])):
            kind = FileChangeStreamEventType(change.raw_str())
            if kind in self._event_types:
                metadata = {"event_type": change, "src_path": path}
                found.append(LocalFileChangeEvent(path, kind, metadata))
        return found


def _look(path: Path) -> str:
    """Look whether a folder could be watched; raises as a pull."""
    if not path.exists():
        raise _missing(str(path))
    if not os.access(path, os.R_OK):
        msg = f"folder {path} cannot be read; make it readable for you"
        raise PermanentError(msg)
    return "is there, and can be watched"


def _missing(path: str) -> TemporaryError:
    return TemporaryError(f"folder {path} does not exist (yet); create it, or mend the path")


def _batch(events: list[LocalFileChangeEvent]) -> Batch:
    return Batch(events, receipts=events, origin=lambda i: Path(events[i].file_path).name)


def _event_types(given: Iterable[Any]) -> tuple[FileChangeStreamEventType, ...]:
    values = (given,) if isinstance(given, (str, FileChangeStreamEventType)) else tuple(given)
    known = ", ".join(member.name for member in FileChangeStreamEventType)
    if not values:
        msg = f"LocalFileChangeStream: event_types is empty; give some of {known}"
        raise DeclarationError(msg)
    try:
        return tuple(dict.fromkeys(FileChangeStreamEventType(value) for value in values))
    except ValueError as error:
        msg = f"LocalFileChangeStream: event_types must be of {known}, got {values!r}"
        raise DeclarationError(msg) from error
