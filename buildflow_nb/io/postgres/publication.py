"""What Postgres publishes of its log for readers of changes, and whether it still does.

Postgres knows the tables of a publication by what they are and not by their names: one that is
dropped and made anew, or renamed with another in its place, is not published. So it is looked at
on every round, and what is missing is published again. Changes of the time between are nowhere in
the log that a reader gets, which nobody but the log of the flow can tell: it says since when.

Source: PostgreSQL documentation, "Publication", "ALTER PUBLICATION".
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from typing import Any

from buildflow_nb.core.errors import TemporaryError
from buildflow_nb.io.postgres.columns import quoted
from buildflow_nb.io.postgres.errors import ABSENT, state_of
from buildflow_nb.io.postgres.target import TAKEN

__all__ = ("Publication",)

_LOGGER = logging.getLogger(__name__)
AT_ONCE = ("42710", "XX000", *TAKEN)  # another reader publishes the same in this moment


class Publication:
    """The publication `name` of `tables`, given by schema and name, as one reader sees it."""

    def __init__(self, name: str, tables: Sequence[tuple[str, str]]) -> None:
        self._name = name
        self._tables = sorted(tables)
        self._looked_at: dt.datetime | None = None

    async def open(self, connection: Any, *, was_read: bool) -> None:
        """Publish the tables, as far as they are not; `was_read` says that a reader counts on it.

        Raises:
            TemporaryError: a table is not there yet.
        """
        await self._look(connection, self._tables, was_read=was_read)

    async def look(self, connection: Any) -> None:
        """Publish what was made anew; a table that is gone is waited for."""
        if await self._is_whole(connection):
            self._looked_at = dt.datetime.now(dt.UTC)
            return
        rows = await connection.fetch(
            "SELECT i FROM unnest($1::text[]) WITH ORDINALITY AS one (name, i) "
            "WHERE to_regclass(name) IS NOT NULL",
            [quoted(*table) for table in self._tables],
        )
        there = [self._tables[row[0] - 1] for row in rows]
        await self._look(connection, there, was_read=True)

    async def _look(
        self, connection: Any, tables: Sequence[tuple[str, str]], *, was_read: bool
    ) -> None:
        published = await self._published(connection)
        missing = [table for table in tables if table not in published]
        if missing or (published - set(self._tables) and len(tables) == len(self._tables)):
            await self._publish(connection, tables)
        if missing and was_read:
            self._warn(missing)
        self._looked_at = dt.datetime.now(dt.UTC)

    def _warn(self, missing: Sequence[tuple[str, str]]) -> None:
        since = "it was last read" if self._looked_at is None else f"{self._looked_at:%F %T} UTC"
        _LOGGER.warning(
            "%s was not published any more (dropped and made anew, or publication %s was dropped), "
            "and is again; changes since %s may be lost: compare the table, or copy it anew",
            ", ".join(".".join(table) for table in missing),
            self._name,
            since,
        )

    async def _is_whole(self, connection: Any) -> bool:
        return await self._published(connection) == set(self._tables)

    async def _published(self, connection: Any) -> set[tuple[str, str]]:
        rows = await connection.fetch(
            "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = $1",
            self._name,
        )
        return {(row[0], row[1]) for row in rows}

    async def _publish(self, connection: Any, tables: Sequence[tuple[str, str]]) -> None:
        there = await connection.fetchval(
            "SELECT true FROM pg_publication WHERE pubname = $1", self._name
        )
        names = ", ".join(quoted(*table) for table in tables)
        own = quoted(self._name)
        statement = (
            f"ALTER PUBLICATION {own} SET TABLE {names}"
            if there
            else f"CREATE PUBLICATION {own} FOR TABLE {names} "
            "WITH (publish_via_partition_root = true)"
        )
        try:
            await connection.execute(statement)
        except Exception as error:
            if state_of(error) == ABSENT:
                msg = f"{getattr(error, 'message', error)} (yet); what makes it?"
                raise TemporaryError(msg) from error
            if state_of(error) not in AT_ONCE:
                raise
