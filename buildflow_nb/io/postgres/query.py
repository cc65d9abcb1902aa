"""A query over a Postgres database, as a source of records: once, or every few seconds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import ClassVar

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import DeclarationError, PermanentError
from buildflow_nb.core.findings import Columns, Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.primitive import Env, PrimitiveId, Source, Wire
from buildflow_nb.core.primitive_clients import DatabasePrimitive
from buildflow_nb.io.checks import looked
from buildflow_nb.io.postgres.database import Database, closed, database_of
from buildflow_nb.io.postgres.errors import fault
from buildflow_nb.io.postgres.source import QuerySource, Reading

__all__ = ("PostgresQuery",)

OWNER = "PostgresQuery"
SHORTEST_S = 0.05


@dataclass(frozen=True, slots=True, repr=False)
class PostgresQuery(Injectable):
    """What the query `sql` gives, as records; the database is named as for `PostgresTable`.

    With `every_s` the query is carried out again so many seconds after it was read. With `cursor`,
    a column of its result that only grows (an id, a time of change), each time from the last value
    on, and in the next run from the last value that was done. The column should be unique: of rows
    that share a value, those that are committed after it was read are not seen. Rows without a
    value in it are left out.

    Raises:
        DeclarationError: a field is wrong, or asyncpg is not installed.
    """

    cloud: ClassVar[str] = "local"
    source_wire: ClassVar[Wire] = Wire.RECORD
    max_pullers: ClassVar[int] = 1  # it has one cursor

    sql: str
    url: str | Secret | None = None
    every_s: float | None = None
    cursor: str | None = None
    database: DatabasePrimitive | None = None
    user: str | None = None
    password: str | Secret | None = None

    def __post_init__(self) -> None:
        found = database_of(OWNER, self.url, self.database, self.user, self.password)
        object.__setattr__(self, "url", found.url)
        object.__setattr__(self, "password", found.password)
        if not isinstance(self.sql, str) or not self.sql.strip(" \n\t;"):
            msg = f"{OWNER}: sql must be a query, got {self.sql!r}"
            raise DeclarationError(msg)
        object.__setattr__(self, "sql", self.sql.strip().rstrip("; \n\t"))
        if self.every_s is not None and not (
            isinstance(self.every_s, (int, float)) and self.every_s >= SHORTEST_S
        ):
            msg = f"{OWNER}: every_s must be seconds, {SHORTEST_S:g} or more, got {self.every_s!r}"
            raise DeclarationError(msg)
        if self.cursor is not None and (not isinstance(self.cursor, str) or not self.cursor):
            msg = f"{OWNER}: cursor must be the name of a column, got {self.cursor!r}"
            raise DeclarationError(msg)

    def __repr__(self) -> str:
        every = f", every_s={self.every_s!r}" if self.every_s is not None else ""
        cursor = f", cursor={self.cursor!r}" if self.cursor else ""
        return f"{OWNER}({self.sql!r}, {self._database.shown!r}{every}{cursor})"

    @property
    def local_store(self) -> str:
        """The local cloud's store that it is in on a local stack."""
        return "postgres" if self.url is None else ""

    @property
    def primitive_id(self) -> PrimitiveId:
        """The database, without credentials, and a short name of the query."""
        return PrimitiveId(f"{self._database.known_as}/query-{self._digest}")

    @property
    def label(self) -> str:
        """The database and a short name of the query."""
        return f"{self._database.shown} / query-{self._digest}"

    def source(self, env: Env) -> AbstractAsyncContextManager[Source]:
        """Open a source over the query."""
        name = f"{self.primitive_id} {self.cursor}"
        reading = Reading(self.sql, self.every_s, self.cursor, name)
        return QuerySource(env, self._database, reading)

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look whether the database can be reached, and knows what the query asks for."""

        async def look() -> str:
            names = await self._names(env)
            if self.cursor is not None and self.cursor not in names:
                msg = f"the query has no column {self.cursor!r} to go by; it has {', '.join(names)}"
                raise PermanentError(msg)
            return f"can be read, with {len(names)} column{'s' if len(names) != 1 else ''}"

        return await looked(self, look, load=lambda: self._database.load(env))

    async def columns(self, env: Env) -> Columns | None:
        """The columns of the result."""
        return Columns(await self._names(env))

    async def _names(self, env: Env) -> tuple[str, ...]:
        connection = await self._database.connect(env)
        try:
            statement = await connection.prepare(self.sql)
            return tuple(attribute.name for attribute in statement.get_attributes())
        except Exception as error:
            raise fault(error, self._database.shown) from error
        finally:
            await closed(connection)

    @property
    def _database(self) -> Database:
        return database_of(OWNER, self.url, self.database, self.user, self.password)

    @property
    def _digest(self) -> str:
        return hashlib.blake2s(self.sql.encode(), digest_size=4).hexdigest()
