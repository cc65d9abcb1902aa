"""Sources and sinks over blocking code: files, DuckDB, and what users write themselves.

Reading and writing are plain sequential code (`Reader`, `Writer`) that knows nothing of asyncio.
Here it is run in a thread, one call at a time, in the order of the calls. A cancelled caller waits
for the call under way, so a connection is never closed under a running call, and what the call has
read is kept for the next pull.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self, TypeVar

from buildflow_nb.core.errors import TemporaryError
from buildflow_nb.core.primitive import Batch

__all__ = ("BlockingSink", "BlockingSource", "Reader", "Writer")

T = TypeVar("T")


class Reader(Protocol):
    """Sequential blocking code that reads; `open` may be called again after it failed."""

    def open(self) -> None:
        """Begin to read."""
        ...

    def read(self) -> Batch | None:
        """The next batch, `None` at the end."""
        ...

    def left(self) -> int | None:
        """Elements not yet read, roughly; `None` where that cannot be told. Never blocks."""
        ...

    def close(self) -> None:
        """Let go of everything; also after `open` failed."""
        ...


class Writer(Protocol):
    """Sequential blocking code that writes; `open` may be called again after it failed."""

    def open(self) -> None:
        """Get ready to write, and check what can be checked."""
        ...

    def write(self, items: Sequence[object]) -> None:
        """Write as `Sink.push` says."""
        ...

    def close(self) -> None:
        """Let go of everything; also after `open` failed."""
        ...


class _Turn:
    """Runs blocking calls off the loop, one after another."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def run(self, call: Callable[[], T]) -> T:
        async with self._lock:
            task = asyncio.ensure_future(asyncio.to_thread(call))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                while not task.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait((task,))
                if not task.cancelled():
                    task.exception()  # fetched, so that asyncio does not report it as forgotten
                raise


class BlockingSource:
    """A bounded source over a `Reader`, opened by the first pull.

    A missing file is therefore met by `pull`, which is asked again, and never by opening.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._turn = _Turn()
        self._opened = False
        self._ended = False
        self._kept: Batch | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._turn.run(self._reader.close)

    async def pull(self) -> Batch | None:
        """Read the next batch."""
        if self._kept is None and not self._ended:
            await self._turn.run(self._read)
        found, self._kept = self._kept, None
        return found

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Nothing to do: what was read cannot be given back."""

    async def backlog(self) -> int | None:
        """Elements left to pull."""
        if self._ended:
            return 0
        return self._reader.left()

    def _read(self) -> None:
        if self._kept is not None or self._ended:
            return
        if not self._opened:
            self._reader.open()
            self._opened = True
        self._kept = self._reader.read()
        self._ended = self._kept is None


class BlockingSink:
    """A sink over a `Writer`.

    Opening it opens the writer, so that a wrong declaration is told at once; a temporary fault is
    left to the first push, which is asked again.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._turn = _Turn()
        self._opened = False

    async def __aenter__(self) -> Self:
        try:
            with suppress(TemporaryError):
                await self._turn.run(self._open)
        except BaseException:
            await self._turn.run(self._writer.close)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._turn.run(self._writer.close)

    async def push(self, items: Sequence[object]) -> None:
        """Write the items."""
        if items:
            await self._turn.run(lambda: self._write(items))

    def _open(self) -> None:
        if not self._opened:
            self._writer.open()
            self._opened = True

    def _write(self, items: Sequence[object]) -> None:
        self._open()
        self._writer.write(items)
