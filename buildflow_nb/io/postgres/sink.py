"""Writes elements to a Postgres table: one transaction a push, over a connection of its own.

A push is stored whole, but for the elements at fault. Those whose values are none of their column's
are found before anything is sent. What only Postgres can tell (NOT NULL, CHECK, a value too long)
is narrowed down inside of the transaction: it says at which row it stopped, so that the rows before
and behind it are written again, without it.

`push_once` notes the push in the table `buildflow_pushes`, in its elements' transaction, with the
elements at fault and why, so that one that is repeated after a crash is known, and tells them
again: the run that was cut off may have told nobody. A table that was dropped and made anew is
another one.

A push that is cancelled goes on to its end: half of a COPY would cost the connection.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

from buildflow_nb.core.errors import BuildFlowError, ConversionError, TemporaryError, told
from buildflow_nb.core.primitive import Env, PushId
from buildflow_nb.io.columns.element_columns import columns_of
from buildflow_nb.io.partial_push import Failures, raise_failed
from buildflow_nb.io.postgres.columns import quoted
from buildflow_nb.io.postgres.database import CALL_S, Database, closed
from buildflow_nb.io.postgres.errors import element_fault, fault, row_of, state_of
from buildflow_nb.io.postgres.rows import Rows, rows_of
from buildflow_nb.io.postgres.target import TAKEN, Prepared, Target
from buildflow_nb.io.postgres.values import send_last_days

__all__ = ("LEDGER", "PostgresSink")

LEDGER = "buildflow_pushes"
KEPT = 100_000  # elements of a writer whose faults are remembered; more than the last pushes have
ALTERED = ("42P01", "42703", "42804", "42P10", "0A000")  # since it was looked at
SAID = "rows cannot be written"


class PostgresSink:
    """Appends to a table or replaces rows of the same key; pushes take turns."""

    def __init__(self, env: Env, database: Database, target: Target) -> None:
        self._env = env
        self._database = database
        self._target = target
        self._turn = asyncio.Lock()
        self._connection: Any = None
        self._prepared: Prepared | None = None
        self._ledger = ""
        self._exact = False  # about the last moment that there is
        self._pushes: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        try:
            with suppress(TemporaryError):
                await self._open()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pushes:
            await asyncio.wait(self._pushes, timeout=CALL_S)
        await self._close()

    async def push(self, items: Sequence[object]) -> None:
        """Write the items."""
        await self._in_turn(items, None)

    async def push_once(self, items: Sequence[object], push: PushId) -> None:
        """Write the items, unless this very push was written before; its faults are told again."""
        await self._in_turn(items, push)

    async def _in_turn(self, items: Sequence[object], push: PushId | None) -> None:
        if not items:
            return
        task = asyncio.create_task(self._push(items, push))
        self._pushes.add(task)
        task.add_done_callback(self._done)
        await asyncio.shield(task)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._pushes.discard(task)
        if not task.cancelled():
            task.exception()  # whoever was cancelled does not ask for it

    async def _push(self, items: Sequence[object], push: PushId | None) -> None:
        async with self._turn:
            try:
                async with asyncio.timeout(CALL_S):
                    failed = await self._written(items, push)
            except BaseException as error:
                if not state_of(error) and not isinstance(error, BuildFlowError):
                    await self._close()  # in the middle of what, nobody knows
                if isinstance(error, Exception):
                    raise fault(error, self._database.shown) from error
                raise
        raise_failed(failed, len(items), SAID)

    async def _written(self, items: Sequence[object], push: PushId | None) -> Failures:
        """Write the items and give those at fault; a table that was altered is looked at again."""
        try:
            return await self._write(items, push)
        except Exception as error:
            if state_of(error) not in ALTERED:
                raise
            self._prepared, self._ledger = None, ""
            return await self._write(items, push)

    async def _write(self, items: Sequence[object], push: PushId | None) -> Failures:
        prepared = await self._open(items)
        if isinstance(prepared, dict):
            return prepared
        rows = rows_of(prepared.columns, prepared.converts, items)
        failed = dict(rows.faults)
        if rows.extreme and not self._exact:
            await send_last_days(self._connection)
            self._exact = True
        whole = rows.only(prepared.last_of_each(rows))
        if push is not None and not self._ledger:
            self._ledger = await _made_ledger(self._connection, self._target.schema)
        try:
            if push is None and not self._target.key:
                await prepared.write(self._connection, whole)
                return failed
            async with self._connection.transaction():
                noted = await self._noted(push)
                if push is not None and noted is None:
                    return await self._faults_of(push)
                await prepared.write(self._connection, whole)
                await self._note_faults(push, noted, failed)
                return failed
        except Exception as error:
            if element_fault(error) is None or not self._usable():
                raise
        async with self._connection.transaction():
            noted = await self._noted(push)
            if push is not None and noted is None:
                return await self._faults_of(push)
            # One that is checked at the end of a transaction would name no element, and end it all.
            await self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            faults = await self._narrowed(prepared, rows)
            failed |= {rows.kept[i]: error for i, error in faults.items()}
            await self._note_faults(push, noted, failed)
        return failed

    async def _narrowed(self, prepared: Prepared, rows: Rows) -> Failures:
        """Write the rows that Postgres takes, within a transaction, and give the others' faults."""
        failed: Failures = {}
        pieces = [(0, len(rows))]
        while pieces:
            first, behind = pieces.pop()
            piece = rows.part(first, behind)
            if not len(piece):
                continue
            chosen = prepared.last_of_each(piece)
            try:
                async with self._connection.transaction():
                    await prepared.write(self._connection, piece.only(chosen))
                await prepared.clear(self._connection)
            except Exception as error:
                reason = element_fault(error)
                if reason is None:
                    raise
                row = row_of(error)
                if row is None and len(piece) > 1:
                    middle = first + len(piece) // 2
                    pieces += [(middle, behind), (first, middle)]
                    continue
                at = first + (chosen[row] if row is not None and row < len(chosen) else 0)
                failed[at] = reason
                pieces += [(at + 1, behind), (first, at)]
        return failed

    async def _noted(self, push: PushId | None) -> str | None:
        """Note a push in this transaction, and give the faults that its writer's others had.

        None where it, or a later one, was noted before, or where there is none to note.
        """
        if push is None:
            return None
        noted = await self._connection.fetchrow(
            f"INSERT INTO {self._ledger} AS old (target, writer, relation, first, count) "  # noqa: S608
            "VALUES ($1, $2, to_regclass($1)::oid, $3, $4) ON CONFLICT (target, writer) DO UPDATE "
            "SET relation = EXCLUDED.relation, first = EXCLUDED.first, count = EXCLUDED.count, "
            "faults = CASE WHEN old.relation = EXCLUDED.relation THEN old.faults END, "
            "stored_at = now() WHERE old.relation IS DISTINCT FROM EXCLUDED.relation "
            "OR EXCLUDED.first >= old.first + old.count RETURNING faults",
            self._target.table,
            push.writer,
            push.first,
            push.count,
        )
        return None if noted is None else noted["faults"] or "{}"

    async def _faults_of(self, push: PushId) -> Failures:
        """The elements at fault of a push that was stored before."""
        noted = await self._connection.fetchval(
            f"SELECT faults FROM {self._ledger} WHERE target = $1 AND writer = $2",  # noqa: S608
            self._target.table,
            push.writer,
        )
        found = {int(at) - push.first: said for at, said in json.loads(noted or "{}").items()}
        return {at: ConversionError(said) for at, said in found.items() if 0 <= at < push.count}

    async def _note_faults(self, push: PushId | None, noted: str | None, failed: Failures) -> None:
        """Note the elements at fault in this transaction, beside those `noted` of late."""
        if push is None or noted is None or not failed:
            return
        kept = json.loads(noted).items()
        faults = {at: said for at, said in kept if int(at) >= push.first - KEPT}
        faults |= {str(push.first + at): told(error) for at, error in failed.items()}
        await self._connection.execute(
            f"UPDATE {self._ledger} SET faults = $3 WHERE target = $1 AND writer = $2",  # noqa: S608
            self._target.table,
            push.writer,
            json.dumps(faults),
        )

    async def _open(self, items: Sequence[object] = ()) -> Any:
        """Connect and prepare, as far as that is not done; faults of all items where none fits."""
        try:
            if not self._usable():
                await self._close()
                self._connection = await self._database.connect(self._env)
            if self._prepared is None and (items or columns_of(self._target.element) is not None):
                self._prepared = await self._target.prepare(self._connection, items)
        except ConversionError as error:
            return dict.fromkeys(range(len(items)), error)
        except BuildFlowError:
            raise
        except Exception as error:
            raise fault(error, self._database.shown) from error
        return self._prepared

    def _usable(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        self._exact = False
        self._prepared, self._ledger = None, ""
        if connection is not None:
            await closed(connection)


async def _made_ledger(connection: Any, schema: str) -> str:
    """Make the table of pushes of a schema, unless it is there; gives its quoted name.

    One that is there from before the faults were noted gets their column. It is asked for first:
    ALTER waits for every transaction that is under way, also where nothing is missing.
    """
    ledger = quoted(schema, LEDGER)
    statement = (
        f"CREATE TABLE IF NOT EXISTS {ledger} (target text, writer text, relation oid, "
        "first bigint, count bigint, stored_at timestamptz DEFAULT now(), faults text, "
        "PRIMARY KEY (target, writer))"
    )
    try:
        await connection.execute(statement)
    except Exception as error:
        if state_of(error) not in TAKEN:  # somebody else made it in this moment
            raise
    whole = await connection.fetchval(
        "SELECT true FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = 'faults'",
        ledger,
    )
    if not whole:
        await connection.execute(f"ALTER TABLE {ledger} ADD COLUMN IF NOT EXISTS faults text")
    return ledger
