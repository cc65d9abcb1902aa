"""A source that goes on where the last run was done, and tells elements apart for that.

What was settled is never read again, everything else is: what had not been reached, what was in
flight, and what failed and was given back. A piece (the file, a part of a folder, a table) that is
not any more what it was is read from its beginning, and the log says so.

How far it is gets written when elements are settled, at once and then at most four times a second,
and when the source is closed. So after a kill nothing is lost, and at most what was settled within
that time is read again, with what was not settled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.position import Position
from buildflow_nb.core.primitive import Batch, Env, Readable, label_of
from buildflow_nb.io.blocking import BlockingSource, Turn
from buildflow_nb.io.resuming.offset import ResumableReader
from buildflow_nb.io.resuming.progress import Progress, Receipt

__all__ = ("ResumingReader", "ResumingSource", "source_over")

KEEP_EVERY_S = 0.25  # a sync of the disk takes some milliseconds
_LOGGER = logging.getLogger(__name__)


def source_over(
    reader: ResumableReader, env: Env, primitive: Readable, *, resume: bool
) -> BlockingSource:
    """A source over a reader; with `resume`, where positions are kept, one that goes on."""
    label = label_of(primitive)
    if not resume or env.positions is None:
        return BlockingSource(reader, label)
    position = Position(env.positions, primitive.primitive_id)
    return ResumingSource(ResumingReader(reader, position, label), label)


class ResumingSource(BlockingSource):
    """A bounded source over a `ResumingReader`."""

    def __init__(self, reader: ResumingReader, label: str) -> None:
        super().__init__(reader, label)
        self._resuming = reader
        self._keeping = Turn()  # of its own: a settled element does not wait for a slow read
        self._keeper: asyncio.Task[None] | None = None
        self._unkept = False

    async def __aexit__(self, *error: object) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait((self._keeper,))
        try:
            await self._keep()
        finally:
            await super().__aexit__(*error)

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Note what is done; what is given back is left for the next run."""
        if not ok or not receipts:
            return
        self._resuming.settled(receipts)
        self._unkept = True
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.ensure_future(self._keep_on())

    async def keep(self) -> None:
        """Write down what is done, now.

        Raises:
            TemporaryError: the disk does not take it for now.
        """
        await self._keeping.run(self._resuming.keep)

    async def _keep_on(self) -> None:
        while self._unkept:
            await self._keep()
            await asyncio.sleep(KEEP_EVERY_S)

    async def _keep(self) -> None:
        if not self._unkept:
            return
        self._unkept = False
        try:
            await self._keeping.run(self._resuming.keep)
        except BuildFlowError as error:  # the elements are done all the same
            self._unkept = True
            _LOGGER.warning("%s; what was done since the last time is read again", error)
        except asyncio.CancelledError:
            self._unkept = True
            raise


class ResumingReader:
    """A reader over another, which keeps its progress at `position`; `label` is for messages."""

    def __init__(self, reader: ResumableReader, position: Position, label: str) -> None:
        self._reader = reader
        self._position = position
        self._label = label
        self._progress: Progress | None = None

    @property
    def goes_on(self) -> bool:
        """Whether it goes on where it was after a temporary fault."""
        return bool(getattr(self._reader, "goes_on", False))

    def open(self) -> None:
        """Begin to read, where the last run was done."""
        self._reader.open()
        if self._progress is None:
            self._progress = Progress(self._position.read())
        for offset, number, reached in self._progress.starts():
            try:
                same = reached is None or self._reader.still(reached)
                found = same and self._reader.go_to(offset, number)
            except (KeyError, TypeError, ValueError, OverflowError):  # a document of another time
                found = False
            if not found:
                self._progress.forget(offset.piece)
                what = f"{offset.piece} of {self._label}" if offset.piece else self._label
                _LOGGER.warning(
                    "%s is not any more what was read up to element %d; it is read from its "
                    "beginning",
                    what,
                    number,
                )

    def read(self) -> Batch | None:
        """The next elements that are not done, each with a receipt."""
        while True:
            batch = self._reader.read()
            if batch is None:
                waits_for = self._reader.waits_for
                if waits_for:
                    _LOGGER.warning(
                        "%s has no end yet; with resume=True it is read once it has one", waits_for
                    )
                return None
            left = self._left_of(batch)
            if left.items:
                return left

    def left(self) -> int | None:
        """Elements not yet read, roughly."""
        return self._reader.left()

    def close(self) -> None:
        """Let go of everything."""
        self._reader.close()

    def settled(self, receipts: Sequence[Any]) -> None:
        """Note that these elements are done."""
        if self._progress is not None:
            self._progress.settle(receipts)

    def keep(self) -> None:
        """Write down what is done.

        Raises:
            TemporaryError: the disk does not take it for now.
        """
        if self._progress is not None:
            self._position.write(self._progress.document())

    def _left_of(self, batch: Batch) -> Batch:
        assert self._progress is not None  # noqa: S101  (it is made by `open`)
        offset = self._reader.began
        left = self._progress.begin(offset, len(batch.items))
        self._progress.reach(self._reader.here)
        receipts: list[Receipt] = [(offset.piece, offset.number + i) for i in left]
        if len(left) == len(batch.items):
            return Batch(batch.items, receipts, batch.origin)
        items = [batch.items[i] for i in left]
        return Batch(items, receipts, _origin(batch.origin, left))


def _origin(
    origin: Callable[[int], str] | None, left: Sequence[int]
) -> Callable[[int], str] | None:
    return None if origin is None else lambda i: origin(left[i])
