"""Reads changes of tables out of Postgres's log, and lets go of them once they are done.

Order: as they were committed, transaction by transaction; what failed and was given back comes
again later, out of order. At least once: the slot is moved behind a transaction when all of its
changes, and of those before it, are settled. A run that was killed goes on there, without a gap.

What is done is noted in the folder of the processor, too, before the slot is moved and when `keep`
asks for it: the slot knows nothing of parts of a transaction, and a push may be a part of two. So a
push that was stored once is never given again in part. A slot that was made anew begins without.

Rounds: the log is decoded from where the slot is, so what is not settled yet is decoded again, and
passed over. That is why a round waits a moment for the last one to be settled, and why it reads
more the more is left of those before. When nothing was written to the log, nothing is decoded.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.position import Position
from buildflow_nb.core.primitive import Batch, Env
from buildflow_nb.io.blocking import Turn
from buildflow_nb.io.postgres.database import CALL_S, Database, closed
from buildflow_nb.io.postgres.errors import read_fault
from buildflow_nb.io.postgres.pgoutput import Begin, Commit, Decoder, position_text
from buildflow_nb.io.postgres.publication import Publication
from buildflow_nb.io.postgres.slot import Slot, log_end
from buildflow_nb.io.resuming.progress import Spans

__all__ = ("ChangeSource",)

ROUND = 10_000  # changes; a transaction that begins in a round is read to its end
LAST_S = 5.0  # for the last move, when it is closed
SETTLED_S = 0.25  # that a round waits for the last one
LOOK_S = (0.05, 0.5)  # between looks at an idle log, growing
VERSION = 1
IDLE_MOVE_S = 5.0  # between moves past what is not ours, which cost a write
RETRY_S = (1.0, 60.0)  # before what failed comes again, doubling


Receipt = tuple[str, int]


@dataclass(eq=False, slots=True)
class _Transaction:
    """One of which so many changes were `read`, and `left` are not settled; the others are `done`.

    `end` is known once all were read.
    """

    position: int
    read: int = 0
    left: int = 0
    end: int | None = None
    done: Spans = field(default_factory=Spans)


@dataclass(eq=False, slots=True)
class _Held:
    """A change on its way, and how often it failed."""

    transaction: _Transaction
    number: int
    item: object
    failed: int = 0
    due: float = 0.0

    @property
    def receipt(self) -> Receipt:
        """The same in every run."""
        return (position_text(self.transaction.position), self.number)


class ChangeSource:
    """A source over a slot; one read is under way at a time."""

    def __init__(self, env: Env, database: Database, slot: Slot) -> None:
        self._env = env
        self._database = database
        self._slot = slot
        self._publication = Publication(slot.publication, slot.tables)
        self._found = False  # whether the slot was there in this run
        self._connection: Any = None
        self._pages: AsyncGenerator[list[bytes]] | None = None
        self._decoder = Decoder()
        self._until = 0  # the position up to which the round reads
        self._most = ROUND
        self._rows = self._old = 0  # messages of the round, and those that were read before
        self._over = 0  # changes to pass over of a transaction that was read in part
        self._skips = False  # whether the transaction that is read was handed out before
        self._seen = 0  # the position of the last transaction that was read to its end
        self._begun: _Transaction | None = None
        self._open: deque[_Transaction] = deque()
        self._held: dict[Receipt, _Held] = {}
        self._noted: dict[str, Spans] = {}  # what a run before this one has done of transactions
        self._again: deque[_Held] = deque()  # given back untried
        self._later: list[_Held] = []  # given back, having failed
        self._done_to = 0  # before it everything is settled
        self._moved_to = 0
        self._looked_to = 0  # before it everything was read
        self._idle_looks = 0
        self._moved_at = 0.0
        self._settled = asyncio.Event()
        self._document: Position | None = None
        if env.positions is not None:
            self._document = Position(env.positions, f"changes {slot.name}")
        self._loaded = False
        self._keeping = Turn()
        self._reading: asyncio.Task[list[_Held]] | None = None
        self._fault: PermanentError | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))
            if not self._reading.cancelled():
                self._reading.exception()
        await self._let_go()
        if self._done_to > self._moved_to:
            with suppress(Exception):  # then it is read again
                await self._move_at_last()

    async def pull(self) -> Batch | None:
        """What came back, or the next changes of the log."""
        if self._fault is not None:
            raise self._fault
        back = self._due()
        if back:
            return _batch(back)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        await asyncio.wait((self._reading,))  # not in vain: an empty batch says that it is drained
        task, self._reading = self._reading, None
        return _batch(task.result())

    async def settle(self, receipts: Sequence[Any], *, ok: bool) -> None:
        """Let go of what is done; what failed comes again after a pause."""
        if not ok:
            now = time.monotonic()
            for held in map(self._held.__getitem__, receipts):
                held.due = now + min(RETRY_S[0] * 2**held.failed, RETRY_S[1])
                held.failed += 1
                self._later.append(held)
            return
        for held in map(self._held.pop, receipts):
            held.transaction.left -= 1
            held.transaction.done.add(held.number, held.number + 1)
        self._pass_done()
        self._settled.set()

    async def release(self, receipts: Sequence[Any]) -> None:
        """What nobody has tried comes again at once."""
        self._again.extend(map(self._held.__getitem__, receipts))

    async def keep(self) -> None:
        """Note for good what is done, also of transactions that are not done as a whole.

        Raises:
            TemporaryError: the disk does not take it for now.
        """
        if self._document is None or not self._loaded:
            return
        parts = {name: spans.spans() for name, spans in self._noted.items()}
        parts |= {
            position_text(one.position): one.done.spans(below=one.read)
            for one in self._open
            if one.left < one.read
        }
        document = {"version": VERSION, "done_to": self._done_to, "parts": parts}
        await self._keeping.run(lambda: self._write(document))

    def _write(self, document: dict[str, Any]) -> None:
        assert self._document is not None  # noqa: S101  (whoever calls has looked)
        self._document.write(document)

    async def backlog(self) -> int | None:
        """Nothing is known of what is left in the log."""
        return len(self._again) + len(self._later) or None

    def _due(self) -> list[_Held]:
        """What was given back and may be tried again."""
        if self._again:
            found, self._again = list(self._again), deque()
            return found
        now = time.monotonic()
        found = [receipt for receipt in self._later if receipt.due <= now]
        if found:
            self._later = [receipt for receipt in self._later if receipt.due > now]
        return found

    async def _read(self) -> list[_Held]:
        """A page; after a fault that passes, the next call goes on from where the slot is."""
        try:
            async with asyncio.timeout(CALL_S):
                return await self._page()
        except BaseException as error:
            await self._let_go()
            if isinstance(error, (asyncio.CancelledError, TemporaryError, ConnectionError)):
                raise
            found = read_fault(error, self._database.shown)
            if isinstance(found, PermanentError):
                self._fault = found
            raise found from error

    async def _page(self) -> list[_Held]:
        """The next changes; none only when the log has nothing new."""
        if self._connection is None or self._connection.is_closed():
            await self._dial()
        while True:
            if self._pages is None and not await self._begin_round():
                return []
            messages = await self._fetch()
            if messages is None:
                self._end_round()
                continue
            found = self._receipts(messages)
            if found:
                return found

    async def _begin_round(self) -> bool:
        until = await self._something_new()
        if until is None:
            return False
        self._decoder, self._until = Decoder(), until
        self._rows = self._old = 0
        self._pages = self._slot.messages(self._connection, self._most, until)
        return True

    def _end_round(self) -> None:
        self._pages = None
        if self._rows < self._most:
            self._looked_to = self._until
            self._most = ROUND
        else:  # what was passed over must not take the place of what is new
            self._most = ROUND + 2 * self._old

    async def _fetch(self) -> list[bytes] | None:
        """The next messages of the round, None at its end."""
        assert self._pages is not None  # noqa: S101  (whoever asks has begun a round)
        return await anext(self._pages, None)

    async def _something_new(self) -> int | None:
        """Where the log ends, if there may be changes before; None after a moment without."""
        if self._open:
            self._settled.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), SETTLED_S)
        await self._move()
        await self._publication.look(self._connection)
        until = await log_end(self._connection)
        if until > self._looked_to:
            self._idle_looks = 0
            return until
        pause = min(LOOK_S[0] * 2**self._idle_looks, LOOK_S[1])
        self._idle_looks = min(self._idle_looks + 1, 10)
        await asyncio.sleep(pause)
        return None

    def _receipts(self, messages: Sequence[bytes]) -> list[_Held]:
        found = []
        self._rows += len(messages)
        for message in messages:
            for one in self._decoder.decode(message):
                if isinstance(one, Begin):
                    self._begin(one)
                elif isinstance(one, Commit):
                    self._commit(one)
                elif self._over:
                    self._over -= 1
                elif not self._skips and self._begun is not None:
                    found += self._hold(one, self._begun)
            self._old += self._skips
        return found

    def _begin(self, begin: Begin) -> None:
        done = begin.position <= self._seen or begin.position < self._done_to
        self._skips, self._over = done, 0
        if self._skips:
            return
        if self._begun is not None and self._begun.position == begin.position:
            self._over = self._begun.read  # the connection was lost in the middle of it
        else:
            self._begun = _Transaction(begin.position)

    def _hold(self, change: object, transaction: _Transaction) -> list[_Held]:
        """Take a change in hand, unless another run has done it."""
        if not transaction.read:
            self._open.append(transaction)
            transaction.done = self._noted.pop(position_text(transaction.position), Spans())
        if transaction.read in transaction.done:
            transaction.read += 1
            return []
        held = _Held(transaction, transaction.read, change)
        transaction.read += 1
        transaction.left += 1
        self._held[held.receipt] = held
        return [held]

    def _commit(self, commit: Commit) -> None:
        if self._skips or self._begun is None:
            return
        self._seen = commit.position
        self._begun.end = commit.end
        if not self._begun.read and not self._open:
            self._done_to = commit.end
        self._begun = None
        self._pass_done()

    def _pass_done(self) -> None:
        """Take away the transactions that are settled, from the first one on."""
        while self._open and not self._open[0].left and self._open[0].end is not None:
            self._done_to = self._open.popleft().end or self._done_to

    async def _move(self) -> None:
        """Move the slot behind what is done, and past what is not ours while there is nothing."""
        if self._connection is None or self._connection.is_closed():
            return
        target = self._done_to
        if not self._open and time.monotonic() > self._moved_at + IDLE_MOVE_S:
            target = max(target, self._looked_to)
        if target > self._moved_to:
            await self.keep()  # first, for the slot can be moved behind a part of a push alone
            await self._slot.advance(self._connection, target)
            self._moved_to, self._moved_at = target, time.monotonic()

    async def _dial(self) -> None:
        """Connect, and find the slot; what was read already is read again, and passed over."""
        self._connection = await self._database.connect(self._env)
        self._pages = None
        self._looked_to = 0
        position = await self._slot.find(self._connection)
        await self._publication.open(self._connection, was_read=position is not None)
        document = None
        if self._document is not None and not self._loaded:
            document = await self._keeping.run(self._document.read)
        if position is None:
            lost = self._done_to if self._found else _done_to(document)
            await self._slot.make(self._connection, lost)
            document = None
        self._found = True
        self._moved_to = position or 0  # it cannot be moved back
        if self._document is not None and not self._loaded:
            self._take_up(document)
            self._loaded = True

    def _take_up(self, document: Any) -> None:
        """Go on where another run was; a document that makes no sense counts as none."""
        if not isinstance(document, dict) or document.get("version") != VERSION:
            return
        try:
            self._noted = {name: Spans(spans) for name, spans in document["parts"].items()}
            self._done_to = int(document["done_to"])
        except (KeyError, TypeError, ValueError, AttributeError):
            self._noted = {}

    async def _move_at_last(self) -> None:
        """Move the slot over a connection of its own: the other one may have been in a read."""
        async with asyncio.timeout(LAST_S):
            await self.keep()
            connection = await self._database.connect(self._env)
            try:
                await self._slot.advance(connection, self._done_to)
            finally:
                await closed(connection)

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        pages, self._pages = self._pages, None
        if pages is not None:
            with suppress(Exception):
                await pages.aclose()
        if connection is not None:
            await closed(connection)


def _done_to(document: Any) -> int | None:
    """Up to where another run was done; None if there was none."""
    found = document.get("done_to") if isinstance(document, dict) else None
    return found if isinstance(found, int) else None


def _batch(found: Sequence[_Held]) -> Batch:
    items = [one.item for one in found]
    return Batch(items, [one.receipt for one in found], lambda i: _origin(items[i]))


def _origin(item: Any) -> str:
    change = getattr(item, "raw", item)
    return f"{change.kind.value} of {change.table} at {change.position}"
