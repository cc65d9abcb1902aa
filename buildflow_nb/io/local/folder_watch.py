"""The system's watch of a folder or file, through watchfiles: what it tells, and when it is broken.

A watch tells where something happened, in no order, and not always all of it: of a folder that is
moved in it tells the folder only, a name that is not UTF-8 breaks it, and one whose folder is taken
away watches nothing any more. So a broken watch is not an error but a reason to begin another and
to look for oneself.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncGenerator
from typing import Any, cast

from buildflow_nb.core.errors import PermanentError, TemporaryError, told

__all__ = ("Changes", "FolderWatch", "missing")

Changes = set[tuple[Any, str]]  # what happened, as watchfiles has it, and where
_TOO_MANY = (errno.ENOSPC, errno.EMFILE, errno.ENFILE)


class FolderWatch:
    """A watch that may be begun and ended many times; used on the loop only."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stop = asyncio.Event()
        self._told: AsyncGenerator[Changes, None] | None = None
        self._next: asyncio.Task[Changes] | None = None
        self._watched: tuple[int, int] | None = None
        self.remade = False  # whether another folder has come to the path; for others to reset

    @property
    def alive(self) -> bool:
        """Whether there is a watch, and it watches what is at the path now."""
        return self._next is not None and self._watched == _identity(self._path)

    async def begin(self) -> None:
        """Start the watch, and wait until it is in place.

        Raises:
            TemporaryError: there is nothing to watch, or it cannot be watched for now.
            PermanentError: it must not be watched.
        """
        await self.end()
        found = _identity(self._path)
        if found is None:
            raise missing(self._path)
        self.remade = self.remade or self._watched not in (None, found)
        self._watched = found
        from watchfiles import awatch

        self._stop = asyncio.Event()
        self._told = cast(
            "AsyncGenerator[Changes, None]", awatch(self._path, stop_event=self._stop)
        )
        self._next = asyncio.ensure_future(anext(self._told))
        # One turn of the loop runs awatch up to its first wait, and by then the watch is in place.
        await asyncio.sleep(0)
        if self._next.done():
            await self._take(self._next)

    async def changes(self, wake: asyncio.Event, timeout_s: float) -> Changes:
        """The next changes; none when woken up, when the time is over, or when it has broken.

        A cancelled call leaves them to the next one.

        Raises:
            TemporaryError: it cannot be watched for now.
            PermanentError: it must not be watched.
        """
        task = self._next
        if task is None:
            return set()
        woken = asyncio.ensure_future(wake.wait())
        try:
            await asyncio.wait(
                {task, woken}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            woken.cancel()
        return await self._take(task) if task.done() else set()

    async def _take(self, task: asyncio.Task[Changes]) -> Changes:
        """What a finished wait found, with the next one begun where that makes sense."""
        self._next = None
        error = task.exception() if not task.cancelled() else None
        if error is None and not task.cancelled():
            changes = task.result()
            gone = any(path == self._path and change.name == "deleted" for change, path in changes)
            self.remade = self.remade or gone
            if self._told is not None and not gone:
                self._next = asyncio.ensure_future(anext(self._told))
            return changes
        await self.end()
        if error is not None:
            _refuse(self._path, _innermost(error))
        return set()

    async def end(self) -> None:
        """Stop the watch."""
        self._stop.set()
        if self._next is not None:
            await asyncio.wait({self._next})  # the watch looks for the stop every 50 ms
            if not self._next.cancelled():
                self._next.exception()  # fetched, so that asyncio does not report it as forgotten
            self._next = None
        if self._told is not None:
            await self._told.aclose()
            self._told = None


def missing(path: str) -> TemporaryError:
    """The error for a path where nothing is."""
    return TemporaryError(f"folder {path} does not exist (yet); create it, or mend the path")


def _identity(path: str) -> tuple[int, int] | None:
    """Which file or folder is at a path; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  (a Path for every look is not needed)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _innermost(error: BaseException) -> BaseException:
    """The one error that a task group has wrapped."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _refuse(path: str, error: BaseException) -> None:
    """Say what is wrong, unless another watch mends it.

    Raises:
        TemporaryError: it passes, or may.
        PermanentError: it does not.
    """
    text = told(error)
    if "Unable to decode path" in text or isinstance(
        error, (StopAsyncIteration, FileNotFoundError)
    ):
        return
    if isinstance(error, (PermissionError, UnicodeError)):
        cure = "make it readable for you" if isinstance(error, OSError) else "rename it"
        msg = f"folder {path!r} cannot be watched: {text}; {cure}"
        raise PermanentError(msg) from error
    if getattr(error, "errno", None) in _TOO_MANY or "limit" in text or "Too many" in text:
        msg = (
            f"folder {path} cannot be watched, since this machine watches too much: {text}; raise "
            "fs.inotify.max_user_watches (or max_user_instances), or watch a smaller folder"
        )
        raise TemporaryError(msg) from error
    msg = f"folder {path} cannot be watched for now: {text}"
    raise TemporaryError(msg) from error
