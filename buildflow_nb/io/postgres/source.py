"""Reads the rows of a query: once, or again and again, from a cursor column on if there is one.

Rows come through a cursor of the server, page by page, in one transaction that only reads: a
consistent view, in memory that does not grow with the table. A value that Python does not have
fails its row alone. A read that is cancelled goes on; its rows come with the next pull.

Where the connection is lost, a query with a cursor column goes on where it was. Without one nobody
knows which rows are left, so it fails, unless none was handed out yet.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from buildflow_nb.core.errors import BuildFlowError, PermanentError, TemporaryError, told
from buildflow_nb.core.position import Position
from buildflow_nb.core.primitive import Batch, Env, Malformed
from buildflow_nb.io.blocking import Turn
from buildflow_nb.io.postgres.columns import quoted
from buildflow_nb.io.postgres.cursor_position import CursorPosition
from buildflow_nb.io.postgres.database import Database, closed
from buildflow_nb.io.postgres.errors import read_fault
from buildflow_nb.io.postgres.values import Unfit, set_codecs

__all__ = ("QuerySource", "Reading")

PAGE = 2_000  # rows; more are hardly faster, and are kept in memory meanwhile
PULL_S = 1.0  # that a pull waits for the next round, at most
FETCH_S = 600.0  # for a page; a query may have to sort a table first
KEEP_EVERY_S = 0.25  # a sync of the disk takes some milliseconds
AT = "buildflow_cursor"  # the cursor column as text, beside the query's own columns
TEMPORARY = (TemporaryError, ConnectionError, TimeoutError)
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read: `every_s` makes it endless, `cursor` names a growing column of the query.

    `name` is what the position of a query with a cursor is kept under.
    """

    query: str
    every_s: float | None = None
    cursor: str | None = None
    name: str = ""


class QuerySource:
    """A source over a query."""

    def __init__(self, env: Env, database: Database, reading: Reading) -> None:
        self._env = env
        self._database = database
        self._query = reading.query
        self._every_s = reading.every_s
        self._cursor = reading.cursor
        self._document: Position | None = None
        if reading.cursor is not None and env.positions is not None:
            self._document = Position(env.positions, reading.name)
        self._position = CursorPosition(None)
        self._connection: Any = None
        self._pages: Any = None
        self._transaction: Any = None
        self._unfit: list[Unfit] = []
        self._reading: asyncio.Task[Batch | None] | None = None
        self._fault: PermanentError | None = None
        self._handed_out = False
        self._over = False
        self._next_at = 0.0
        self._keeping = Turn()
        self._keeper: asyncio.Task[None] | None = None
        self._kept: str | None = None

    async def __aenter__(self) -> Self:
        if self._document is not None:
            document = await self._keeping.run(self._document.read)
            value = document.get("reached") if isinstance(document, dict) else None
            self._kept = value if isinstance(value, str) else None
            self._position = CursorPosition(self._kept)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (self._reading, self._keeper):
            if task is not None:
                task.cancel()
                await asyncio.wait((task,))
                if not task.cancelled():
                    task.exception()
        try:
            await self._keep()
        finally:
            await self._let_go()

    async def pull(self) -> Batch | None:
        """Read the next rows."""
        if self._over:
            return None
        if self._fault is not None:
            raise self._fault
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        await asyncio.wait((self._reading,))  # not in vain: an empty batch would say "no rows left"
        task, self._reading = self._reading, None
        return task.result()

    async def settle(self, receipts: Sequence[Any], *, ok: bool) -> None:
        """Note what is done; what is given back is left for the next run."""
        if not ok or not receipts or self._document is None:
            return
        self._position.settle(receipts)
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep_on())

    async def backlog(self) -> int | None:
        """Nothing is known of what is left."""
        return 0 if self._over else None

    async def _read(self) -> Batch | None:
        """A page; after a fault that passes, the next call goes on."""
        try:
            return await self._page()
        except asyncio.CancelledError:
            raise
        except TEMPORARY as error:
            if self._pages is not None and self._connection.is_closed():
                self._lose()
            if self._fault is not None:
                raise self._fault from error
            raise
        except BaseException as error:
            found = read_fault(error, self._database.shown)
            if isinstance(found, TemporaryError):
                await self._let_go()
                self._lose()
                raise (self._fault or found) from error
            msg = f"the query of {self._database.shown} cannot be read on: {told(found)}"
            self._fault = PermanentError(msg)
            await self._let_go()
            raise self._fault from error

    async def _page(self) -> Batch | None:
        if self._pages is None:
            left = self._next_at - time.monotonic()
            if left > 0:
                await asyncio.sleep(min(left, PULL_S))
                return Batch(())
            await self._begin()
        async with asyncio.timeout(FETCH_S):
            rows = await self._fetch()
        if rows:
            self._handed_out = True
            return self._batch(rows)
        await self._end()
        return None if self._over else Batch(())

    async def _fetch(self) -> list[Any]:
        self._unfit.clear()
        found: list[Any] = await self._pages.fetch(PAGE)
        return found

    async def _begin(self) -> None:
        """Open a cursor over the query, in a transaction of its own."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._database.connect(self._env)
            self._unfit = await set_codecs(self._connection)
        self._transaction = self._connection.transaction(isolation="repeatable_read", readonly=True)
        await self._transaction.start()
        query, values = self._query, list[str]()
        if self._cursor is not None:
            query, values = await self._from_cursor(self._cursor)
        statement = await self._connection.prepare(query)
        _refuse_doubles([attribute.name for attribute in statement.get_attributes()])
        self._pages = await statement.cursor(*values)

    async def _from_cursor(self, cursor: str) -> tuple[str, list[str]]:
        """The query from where all is done, in the order of its cursor column."""
        inner = f"SELECT * FROM ({self._query}\n) AS rows"  # noqa: S608
        statement = await self._connection.prepare(inner)
        types = {each.name: each.type for each in statement.get_attributes()}
        if cursor not in types:
            names = ", ".join(types)
            msg = f"the query has no column {cursor!r} to go by; it has {names}"
            raise PermanentError(msg)
        name = quoted(cursor)
        query = f"SELECT *, {name}::text AS {AT} FROM ({self._query}\n) AS rows"  # noqa: S608
        since = f"{name} IS NOT NULL"
        values = list[str]()
        reached = self._position.read_on
        if reached is not None:
            kind = types[cursor]
            since, values = f"{name} > ($1::text)::{quoted(kind.schema, kind.name)}", [reached]
        return f"{query} WHERE {since} ORDER BY {name}", values

    async def _end(self) -> None:
        """Close the round; an endless source begins another one later."""
        self._pages = None
        await self._transaction.rollback()
        self._position.ended()
        if self._every_s is None:
            self._over = True
            await self._let_go()
        else:
            self._next_at = time.monotonic() + self._every_s

    def _batch(self, rows: Sequence[Any]) -> Batch:
        items: list[object] = [dict(row) for row in rows]
        receipts = None
        if self._cursor is not None:
            values = [item.pop(AT) for item in items]  # type: ignore[attr-defined]
            receipts = self._position.read(values)
        if self._unfit:
            items = [_sound(item) for item in items]
        return Batch(items, receipts, lambda i: f"row {i + 1} of a page of {self._database.shown}")

    def _lose(self) -> None:
        """Say what it means that the connection is gone: read on, read anew, or an end."""
        self._pages = None
        if self._cursor is None and self._handed_out:
            msg = (
                f"the connection to {self._database.shown} was lost in the middle of a query, so "
                "which rows are left is not known; run it again, or give cursor="
            )
            self._fault = PermanentError(msg)

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        self._pages = None
        if connection is not None:
            await closed(connection)

    async def _keep_on(self) -> None:
        while self._position.reached != self._kept:
            await self._keep()
            await asyncio.sleep(KEEP_EVERY_S)

    async def _keep(self) -> None:
        document, reached = self._document, self._position.reached
        if document is None or reached == self._kept:
            return
        try:
            await self._keeping.run(lambda: document.write({"reached": reached}))
            self._kept = reached
        except BuildFlowError as error:  # the elements are done all the same
            _LOGGER.warning("%s; what was done since the last time is read again", error)


def _refuse_doubles(names: Sequence[str]) -> None:
    """Raises: PermanentError: two columns have one name, of which a record would keep one."""
    doubles = [name for name, count in Counter(names).items() if count > 1]
    if doubles:
        msg = f"the query has the column {doubles[0]!r} twice; name them apart with AS"
        raise PermanentError(msg)


def _sound(item: Any) -> object:
    for name, value in item.items():
        found = _first_unfit(value)
        if found is not None:
            return Malformed(item, f"column {name!r}: {found.reason}")
    return item


def _first_unfit(value: object) -> Unfit | None:
    if isinstance(value, Unfit):
        return value
    if isinstance(value, list):
        return next((found for part in value if (found := _first_unfit(part))), None)
    return None
