"""A source of what happens to the files of a folder.

The operating system's watch begins when the source is opened, and it collects changes while
nobody pulls, so nothing between opening and pulling is lost. What was told and settled is kept
(`Env.positions`): what came, changed or went while no source was open is told by the next one, and
so is what was not settled. The first one ever tells what is new from then on. An event that was not
settled well is delivered again, after a pause that grows.

Events of one path come in an order that ends with what is there: created last where the file is,
deleted last where it is not. Folders and files of tools (.git, node_modules, editors' swap files …)
are left out, as watchfiles does by default.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Self, cast

from buildflow_nb.core.errors import (
    BuildFlowError,
    PermanentError,
    TemporaryError,
)
from buildflow_nb.core.findings import Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.position import Position
from buildflow_nb.core.primitive import Batch, Env, PrimitiveId, Source, Wire
from buildflow_nb.io.checks import looked, on_thread
from buildflow_nb.io.fields import event_types_of
from buildflow_nb.io.files.paths import absolute
from buildflow_nb.io.input_types import never_becomes
from buildflow_nb.io.local.folder_watch import Changes, FolderWatch, missing
from buildflow_nb.io.local.seen_files import Found, SeenFiles
from buildflow_nb.types.local import FileChangeStreamEventType, LocalFileChangeEvent

__all__ = ("LocalFileChangeStream",)

REDELIVERY_S = 1.0  # at once would spin on an event that always fails; doubled each time
LONGEST_REDELIVERY_S = 60.0
IDLE_S = 1.0  # a pull that has found nothing by then says so
MOST = 1_000  # events of one batch; a folder that is moved in may hold any number
REWATCH_S = 0.5  # between two watches, since each begins with a look at all files
WRITE_S = 0.5  # between two writes of what is settled
WRITE_SHARE = 20  # a write that takes long is followed by a pause of this many times that


@dataclass(frozen=True, slots=True)
class LocalFileChangeStream(Injectable):
    """Changes below `file_path` (a folder or a file), of the given types; none given means all.

    The path is absolute.

    Raises:
        DeclarationError: an event type is unknown.
    """

    cloud: ClassVar[str] = "local"
    source_wire: ClassVar[Wire] = Wire.OBJECT
    max_pullers: ClassVar[int] = 1  # there is one watch

    file_path: str | os.PathLike[str]
    event_types: Iterable[FileChangeStreamEventType] = (FileChangeStreamEventType.CREATED,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "file_path", absolute(self.file_path))
        kinds = event_types_of(
            "LocalFileChangeStream",
            FileChangeStreamEventType,
            self.event_types,
            tuple(FileChangeStreamEventType),
        )
        object.__setattr__(self, "event_types", kinds)

    @property
    def primitive_id(self) -> PrimitiveId:
        """The path and the event types."""
        return PrimitiveId(f"{self.file_path}:{'+'.join(kind.value for kind in self.event_types)}")

    @property
    def label(self) -> str:
        """The folder's name."""
        return f"{Path(self.file_path).name}/"

    def check_input(self, hint: object) -> str:
        """What is wrong with a parameter of this type, if anything is."""
        return never_becomes(self, LocalFileChangeEvent, hint)

    def source(self, env: Env) -> AbstractAsyncContextManager[Source]:
        """Open a source; the watch begins at once where the folder exists."""
        path, positions = str(self.file_path), env.positions
        position = None if positions is None else Position(positions, self.primitive_id)
        return _ChangeSource(path, tuple(self.event_types), SeenFiles(path, position))

    async def check(self, env: Env) -> Sequence[Finding]:  # noqa: ARG002
        """Look whether the folder is there and can be read."""
        path = Path(self.file_path)
        return await looked(self, lambda: on_thread(lambda: _look(path)))


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """An event that is under way: the receipt for it."""

    event: LocalFileChangeEvent
    found: Found
    tries: int = 0


class _ChangeSource:
    def __init__(
        self, path: str, event_types: tuple[FileChangeStreamEventType, ...], seen: SeenFiles
    ) -> None:
        self._path = path
        self._event_types = event_types
        self._seen = seen
        self._watch = FolderWatch(path)
        self._changes: Changes = set()  # told by the watch, and not yet looked at
        self._look_around = False
        self._looking: asyncio.Task[list[Found]] | None = None
        self._due: deque[_Told] = deque()
        self._paused: dict[_Told, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._watch_from = 0.0

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._seen.begin)
        with suppress(TemporaryError):  # the first pull says so
            await self._watch.begin()
        # With the watch in place: rather told twice than not at all.
        if self._watch.alive or not self._seen.resumed:
            await self._look_at_all()
        self._look_around = not self._watch.alive
        await self._write()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        for timer in self._paused.values():
            timer.cancel()
        await self._watch.end()
        left = {task for task in (self._looking, self._writing) if task is not None}
        if left:
            await asyncio.wait(left)
        await self._write()

    async def pull(self) -> Batch:
        """Wait for changes, or for an event that is due again."""
        clock = asyncio.get_running_loop().time
        late = clock() + IDLE_S
        while True:
            if self._changes or self._looking is not None:
                await self._look()
            if not self._due and not self._watch.alive:
                await self._watch_again()
            if self._look_around and not self._due:
                await self._look_at_all()
            if self._due:
                return self._batch()
            if clock() >= late:
                self._seen.is_quiet()
                return Batch([], receipts=[])
            self._wake.clear()
            self._changes = await self._watch.changes(self._wake, late - clock())

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Forget the events, or deliver them again after a pause that grows."""
        for told in cast("Sequence[_Told]", receipts):
            if ok:
                self._seen.keep(told.found)
            else:
                self._pause(told)
        if receipts and ok:
            self._write_soon()

    async def release(self, receipts: Sequence[object]) -> None:
        """Deliver events again that nobody has tried."""
        self._due.extend(cast("Sequence[_Told]", receipts))
        self._wake.set()

    async def backlog(self) -> int | None:
        """What is known and not delivered; what the system has collected cannot be told."""
        return len(self._due) + len(self._paused)

    def _batch(self) -> Batch:
        told = [self._due.popleft() for _ in range(min(MOST, len(self._due)))]
        names = [os.path.basename(one.event.file_path) for one in told]  # noqa: PTH119
        return Batch(
            [one.event for one in told], receipts=told, origin=lambda i: _printable(names[i])
        )

    def _note(self, found: list[Found]) -> None:
        """Make events of what was found; what nobody wants to be told of is settled."""
        self._seen.learn(found)
        unwanted = [one for one in found if one.kind not in self._event_types]
        for one in unwanted:
            self._seen.keep(one)
        self._due.extend(_Told(_event(one), one) for one in found if one.kind in self._event_types)
        if unwanted:
            self._write_soon()

    async def _watch_again(self) -> None:
        """Begin another watch, and look for what happened meanwhile.

        Raises:
            TemporaryError: there is nothing to watch, or it cannot be watched for now.
            PermanentError: it must not be watched.
        """
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._watch_from - clock()))
        self._look_around = True
        await self._watch.begin()
        self._watch_from = clock() + REWATCH_S

    async def _look_at_all(self) -> None:
        self._look_around = True
        await self._look()

    async def _look(self) -> None:
        """Look at what is to be looked at; a cancelled look is finished by the next one."""
        if self._looking is None:
            if self._changes:
                look = partial(self._seen.look_at, self._changes)
            else:
                look = partial(self._seen.look_around, remade=self._watch.remade)
                self._look_around = self._watch.remade = False
            self._changes = set()
            self._looking = asyncio.create_task(asyncio.to_thread(look))
        try:
            found = await asyncio.shield(self._looking)
        except Exception:
            self._looking, self._look_around = None, True
            raise
        self._looking = None
        self._note(found)

    def _pause(self, told: _Told) -> None:
        again = _Told(told.event, told.found, told.tries + 1)
        pause = min(REDELIVERY_S * 2**told.tries, LONGEST_REDELIVERY_S)
        loop = asyncio.get_running_loop()
        self._paused[again] = loop.call_later(pause, self._redeliver, again)

    def _redeliver(self, told: _Told) -> None:
        del self._paused[told]
        self._due.append(told)
        self._wake.set()

    def _write_soon(self) -> None:
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_now_and_then())

    async def _write_now_and_then(self) -> None:
        """Write what is settled for as long as there is more; ends with the source."""
        clock = asyncio.get_running_loop().time
        while self._seen.changed and not self._closing.is_set():
            began = clock()
            await self._write()
            pause = max(WRITE_S, WRITE_SHARE * (clock() - began))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause)

    async def _write(self) -> None:
        """Write down what is settled; where that fails, the next write has it too."""
        write = self._seen.writing()
        if write is None:
            return
        try:
            await asyncio.to_thread(write)
        except BuildFlowError:
            self._seen.changed = True


def _event(found: Found) -> LocalFileChangeEvent:
    from watchfiles import Change

    kind = Change[found.kind.value]
    return LocalFileChangeEvent(
        found.path, found.kind, {"event_type": kind, "src_path": found.path}
    )


def _printable(name: str) -> str:
    """A name as people can read it; of one that is not UTF-8 the odd bytes."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _look(path: Path) -> str:
    """Look whether a folder could be watched; raises as a pull."""
    if not path.exists():
        raise missing(str(path))
    if not os.access(path, os.R_OK):
        msg = f"folder {path} cannot be read; make it readable for you"
        raise PermanentError(msg)
    return "is there, and can be watched"
