"""Sources and sinks over blocking code: files, DuckDB, and what users write themselves.

Reading and writing are plain sequential code (`Reader`, `Writer`) that knows nothing of asyncio.
Here it is run in a thread, one call at a time, in the order of the calls. A cancelled caller waits
for the call under way, so a connection is never closed under a running call, and what the call has
read is kept for the next pull.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol, Self, TypeVar, runtime_checkable

from buildflow_nb.core.errors import PermanentError, TemporaryError, told
from buildflow_nb.core.primitive import Batch, PushId

__all__ = ("BlockingSink", "BlockingSource", "OnceWriter", "Reader", "Resting", "Turn", "Writer")

T = TypeVar("T")
TEMPORARY = (TemporaryError, ConnectionError, TimeoutError)  # what `pull` may raise and go on


class Reader(Protocol):
    """Sequential blocking code that reads; `open` may be called again after it failed.

    One that goes on where it was after a temporary fault of `read` says so by an attribute
    `goes_on = True`; then it is believed when it says right afterwards that it is at its end.
    """

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


@runtime_checkable
class OnceWriter(Protocol):
    """A writer that knows a push that it has written before."""

    def write_once(self, items: Sequence[object], push: PushId) -> None:
        """Write as `IdempotentSink.push_once` says."""
        ...


@runtime_checkable
class Resting(Protocol):
    """A writer that lets go of what others may want when nothing was written for `rest_s`."""

    @property
    def rest_s(self) -> float:
        """Seconds without a write."""
        ...

    def rest(self) -> None:
        """Let go; the next write takes it again."""
        ...


class Turn:
    """Runs blocking calls off the loop, one after another.

    What is no `Exception` would end the loop instead of the call, and a `StopIteration` the call
    without an end; so both leave the thread as a `PermanentError`.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def run(self, call: Callable[[], T]) -> T:
        """Run it, once its turn has come, to its end even if the caller is cancelled."""
        async with self._lock:
            task = asyncio.ensure_future(asyncio.to_thread(_contained, call))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                while not task.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait((task,))
                if not task.cancelled():
                    task.exception()  # fetched, so that asyncio does not report it as forgotten
                raise


def _contained(call: Callable[[], T]) -> T:
    try:
        return call()
    except StopIteration as error:
        raise _for_good(error) from error
    except Exception:
        raise
    except BaseException as error:
        raise _for_good(error) from error


def _for_good(error: BaseException, what: str = "") -> PermanentError:
    """The error as one that asking again cannot mend; `what` opens the message."""
    if isinstance(error, PermanentError):
        return error
    kind, text = type(error).__name__, told(error)
    return PermanentError(what + kind if text == kind else f"{what}{kind}: {text}")


class BlockingSource:
    """A bounded source over a `Reader`, opened by the first pull.

    A missing file is therefore met by `pull`, which is asked again, and never by opening. A reader
    that has raised anything but a temporary fault is closed and not asked again: each pull raises
    the same error. One that says it is at its end right after a fault is not believed, unless the
    fault was that it could not be opened, or it `goes_on`. `label` names it in messages.
    """

    ends = True  # so what is left of it says how far it is

    def __init__(self, reader: Reader, label: str = "the source") -> None:
        self._reader = reader
        self._label = label
        self._goes_on = bool(getattr(reader, "goes_on", False))
        self._turn = Turn()
        self._opened = False
        self._ended = False
        self._kept: Batch | None = None
        self._waits: Exception | None = None
        self._fault: PermanentError | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
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
        if self._fault is not None:
            raise self._fault
        try:
            found = self._next()
        except TEMPORARY as error:
            self._waits = error
            raise
        except BaseException as error:
            self._fault = _for_good(error, f"{self._label} cannot be read on: ")
            with suppress(Exception):
                self._reader.close()
            raise self._fault from error
        if found is None and self._waits is not None:
            found = Batch(())  # so that the end is not taken for one that follows the fault
            self._ended = True
        self._waits = None
        self._kept = found
        self._ended = self._ended or found is None

    def _next(self) -> Batch | None:
        if not self._opened:
            self._reader.open()
            self._opened = True
            return self._reader.read()
        found = self._reader.read()
        if found is None and self._waits is not None and not self._goes_on:
            msg = (
                f"{self._label} could not be read ({self._waits}) and then said that it has ended, "
                "so what it had left is not known; a reader that failed must go on where it was"
            )
            raise PermanentError(msg)
        return found


class BlockingSink:
    """A sink over a `Writer`.

    Opening it opens the writer, so that a wrong declaration is told at once; a temporary fault is
    left to the first push, which is asked again.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._resting = writer if isinstance(writer, Resting) else None
        self._turn = Turn()
        self._opened = False
        self._rests: asyncio.Task[None] | None = None
        self._used_at = 0.0

    async def __aenter__(self) -> Self:
        try:
            with suppress(TemporaryError):
                await self._turn.run(self._open)
        except BaseException:
            await self._turn.run(self._writer.close)
            raise
        self._used_at = time.monotonic()
        self._rest_later()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._rests is not None:
            self._rests.cancel()
            await asyncio.wait((self._rests,))
        await self._turn.run(self._writer.close)

    async def push(self, items: Sequence[object]) -> None:
        """Write the items."""
        if not items:
            return
        try:
            await self._turn.run(lambda: self._write(items, self._writer.write))
        finally:
            self._rest_later()

    async def push_once(self, items: Sequence[object], push: PushId) -> None:
        """Write the items, unless this very push was written before.

        Raises:
            PermanentError: the writer cannot tell that.
        """
        if not isinstance(self._writer, OnceWriter):
            msg = f"{type(self._writer).__name__} has no `write_once`"
            raise PermanentError(msg)
        write = partial(self._writer.write_once, push=push)
        try:
            await self._turn.run(lambda: self._write(items, write))
        finally:
            self._rest_later()

    def _open(self) -> None:
        if not self._opened:
            self._writer.open()
            self._opened = True

    def _write(self, items: Sequence[object], write: Callable[[Sequence[object]], None]) -> None:
        try:
            self._open()
            write(items)
        finally:
            self._used_at = time.monotonic()

    def _rest_later(self) -> None:
        if self._resting is not None and (self._rests is None or self._rests.done()):
            self._rests = asyncio.ensure_future(self._rest(self._resting))

    async def _rest(self, writer: Resting) -> None:
        """Let the writer rest once; the next push begins anew."""
        rested = False
        while not rested:
            await asyncio.sleep(max(0.0, self._used_at + writer.rest_s - time.monotonic()))
            rested = await self._turn.run(partial(self._let_go, writer))

    def _let_go(self, writer: Resting) -> bool:
        if time.monotonic() < self._used_at + writer.rest_s:  # this waited behind a push
            return False
        with suppress(Exception):  # what it has let go of is in doubt; the next push says why
            writer.rest()
        return True
