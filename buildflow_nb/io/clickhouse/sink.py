"""Writes elements to a table of ClickHouse: one Arrow table, one INSERT a push.

An INSERT is bounded in bytes, and a push of more is several. One of one block is stored whole or
not at all, and under a deduplication token once. What does not fit the declared type, or the types
of a table that is there, is found before anything is sent; what a table that is not ours refuses
all the same is narrowed down by halving.
Source: ClickHouse documentation, "Deduplicating inserts on retries".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import ConversionError, PermanentError
from buildflow_nb.core.primitive import PushId
from buildflow_nb.io.clickhouse.client import Server, connected, described
from buildflow_nb.io.clickhouse.column_types import (
    adapted,
    column_type,
    quoted,
    strange_times,
)
from buildflow_nb.io.clickhouse.errors import NO_DATABASE, NO_TABLE, code_of, fault_of
from buildflow_nb.io.clickhouse.existing_types import ExistingColumn, differing, misfits
from buildflow_nb.io.columns.element_columns import ElementColumns, columns_of, columns_seen
from buildflow_nb.io.columns.misfits import taken
from buildflow_nb.io.partial_push import Failures, raise_failed

__all__ = ("opened",)

MOST_BYTES = 64 << 20  # of one INSERT; servers and proxies bound bodies
TOKENS = 1_000  # of the last INSERTs that a table remembers


@asynccontextmanager
async def opened(
    server: Server, env: Env, element: object, key: tuple[str, ...]
) -> AsyncIterator[ClickhouseSink]:
    """A sink, with its table made or looked at as far as the columns are known.

    Raises:
        TemporaryError: the server cannot be reached for now.
        PermanentError: it refuses the user, or the table has other columns.
    """
    async with connected(server, env) as client:
        sink = ClickhouseSink(server, client, columns_of(element), key)
        await sink.prepare()
        yield sink


class ClickhouseSink:
    """A sink over one client."""

    def __init__(
        self, server: Server, client: Any, columns: ElementColumns | None, key: tuple[str, ...]
    ) -> None:
        self._server = server
        self._client = client
        self._columns = columns
        self._key = key
        self._differing: dict[str, ExistingColumn] = {}  # columns with types that are not ours
        self._ready = False  # whether the table is there and has the columns

    async def prepare(self) -> None:
        """Make the table, or look at its columns, if those of the elements are known."""
        if self._columns is None:
            return
        self._demand_key_in(self._columns)
        existing = await described(self._client, self._server)
        if existing:
            self._check(existing, self._columns)
        else:
            await self._make(self._columns)
        self._ready = True

    async def push(self, items: Sequence[object]) -> None:
        """Write the items; where some do not fit, their neighbours."""
        await self._write(items, {})

    async def push_once(self, items: Sequence[object], push: PushId) -> None:
        """The same, stored once under the push's id."""
        await self._write(items, {"insert_deduplication_token": str(push)})

    async def _write(self, items: Sequence[object], settings: dict[str, str]) -> None:
        if not items:
            return
        if self._columns is None:
            self._columns = columns_seen(items)
        if not self._ready:
            await self.prepare()
        fitted = self._columns.fit(items)
        failed: Failures = dict(fitted.faults)
        columns, kept = self._columns.columns, list(fitted.kept)
        table = adapted(fitted.table, columns)
        strange = dict(misfits(table, self._differing))
        for row, name in strange_times(fitted.table, columns):
            strange[row] = f"{name!r} is not in the years 1900 to 2299"
        for row, reason in strange.items():
            failed[kept[row]] = ConversionError(f"{self._server.said}: {reason}")
        if strange:
            rows = [row for row in range(len(kept)) if row not in strange]
            table, kept = taken(table, rows), [kept[row] for row in rows]
        if kept:
            await self._insert(table, kept, settings, failed)
        raise_failed(failed, len(items), "elements cannot be written")

    async def _insert(
        self, table: Any, places: list[int], settings: dict[str, str], failed: Failures
    ) -> None:
        """Insert what is not too much at once, in halves else; those at fault by halving, too."""
        if table.nbytes > MOST_BYTES and len(places) > 1:
            await self._insert_halves(table, places, settings, failed)
            return
        try:
            await self._insert_table(table, settings)
        except ConversionError as error:
            if len(places) == 1:
                failed[places[0]] = error
                return
            await self._insert_halves(table, places, settings, failed)

    async def _insert_halves(
        self, table: Any, places: list[int], settings: dict[str, str], failed: Failures
    ) -> None:
        """Insert halves under tokens of their own, the same ones when the push is repeated."""
        middle = len(places) // 2
        for part, some in ((table.slice(0, middle), places[:middle]),
                           (table.slice(middle), places[middle:])):  # fmt: skip
            named = {name: f"{token}-{some[0]}" for name, token in settings.items()}
            await self._insert(part, some, named, failed)

    async def _insert_table(self, table: Any, settings: dict[str, str]) -> None:
        """Insert; where somebody has dropped the table since, it is made again."""
        for again in (False, True):
            try:
                await self._client.insert_arrow(self._server.full_name, table, settings=settings)
            except Exception as error:
                gone = code_of(error) in (NO_TABLE, NO_DATABASE)
                if again or not gone or self._columns is None:
                    raise fault_of(error, self._server.said) from error
                await self._make(self._columns)
                self._differing = {}
            else:
                return

    async def _make(self, columns: ElementColumns) -> None:
        parts = [f"{quoted(name)} {column_type(kind)}" for name, kind, _ in columns.columns]
        order = ", ".join(map(quoted, self._key))
        engine = f"ReplacingMergeTree ORDER BY ({order})" if order else "MergeTree ORDER BY tuple()"
        await self._command(f"CREATE DATABASE IF NOT EXISTS {quoted(self._server.database)}")
        await self._command(
            f"CREATE TABLE IF NOT EXISTS {self._server.full_name} ({', '.join(parts)}) "
            f"ENGINE = {engine} SETTINGS non_replicated_deduplication_window = {TOKENS}"
        )

    async def _command(self, statement: str) -> None:
        try:
            await self._client.command(statement)
        except Exception as error:
            raise fault_of(error, self._server.said) from error

    def _check(self, existing: dict[str, ExistingColumn], columns: ElementColumns) -> None:
        missing = [column.name for column in columns.columns if column.name not in existing]
        if missing:
            msg = (
                f"{self._server.said} has no column {', '.join(map(repr, missing))} (it has "
                f"{', '.join(existing)}); add it, drop the table, or write to another one"
            )
            raise PermanentError(msg)
        self._differing = differing(existing, columns.columns)

    def _demand_key_in(self, columns: ElementColumns) -> None:
        known = {column.name: column for column in columns.columns}
        for name in self._key:
            if name not in known:
                msg = f"{self._server.said}: key {name!r} is no field of the elements; name one"
                raise PermanentError(msg)
            if known[name].optional:
                msg = f"{self._server.said}: key {name!r} may be missing; declare it without None"
                raise PermanentError(msg)
