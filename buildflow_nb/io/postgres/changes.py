"""Changes of Postgres tables, as they are committed: a source of events out of the server's log."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import ClassVar

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import DeclarationError, TemporaryError
from buildflow_nb.core.findings import Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.primitive import Env, PrimitiveId, Source, Wire
from buildflow_nb.core.primitive_clients import DatabasePrimitive
from buildflow_nb.io.checks import looked
from buildflow_nb.io.input_types import never_becomes
from buildflow_nb.io.postgres.change_source import ChangeSource
from buildflow_nb.io.postgres.columns import existing, quoted
from buildflow_nb.io.postgres.database import Database, closed, database_of
from buildflow_nb.io.postgres.errors import fault
from buildflow_nb.io.postgres.names import named_table
from buildflow_nb.io.postgres.slot import Slot, drop_all
from buildflow_nb.types.postgres import PostgresChange

__all__ = ("PostgresChanges",)

OWNER = "PostgresChanges"


@dataclass(frozen=True, slots=True, repr=False)
class PostgresChanges(Injectable):
    """The changes of one table or several, each as a `PostgresChange`.

    They come from when a processor first ran; the database is named as for `PostgresTable`.

    Postgres keeps a place in its log for each processor of each flow (a replication slot, with a
    publication beside it, both named `buildflow_…`), so that none is missed while it does not run.
    That holds its log back on its disk: call `drop` once nobody is to read it any more. It needs
    `wal_level=logical`, and a user that may replicate and owns the tables.

    Raises:
        DeclarationError: a field is wrong, or asyncpg is not installed.
    """

    cloud: ClassVar[str] = "local"
    source_wire: ClassVar[Wire] = Wire.OBJECT
    max_pullers: ClassVar[int] = 1  # a slot has one reader
    replays: ClassVar[bool] = True  # from the log, in its order

    tables: str | Sequence[str]
    url: str | Secret | None = None
    database: DatabasePrimitive | None = None
    user: str | None = None
    password: str | Secret | None = None

    def __post_init__(self) -> None:
        found = database_of(OWNER, self.url, self.database, self.user, self.password)
        object.__setattr__(self, "url", found.url)
        object.__setattr__(self, "password", found.password)
        given = (self.tables,) if isinstance(self.tables, str) else self.tables
        if not isinstance(given, Sequence) or not given:
            msg = f"{OWNER}: tables must be the name of a table, or several, got {given!r}"
            raise DeclarationError(msg)
        names = dict.fromkeys(".".join(named_table(OWNER, None, table)) for table in given)
        object.__setattr__(self, "tables", tuple(names))

    def __repr__(self) -> str:
        return f"{OWNER}({', '.join(self.tables)!r}, {self._database.shown!r})"

    @property
    def local_store(self) -> str:
        """The local cloud's store that it is in on a local stack."""
        return "postgres" if self.url is None else ""

    @property
    def primitive_id(self) -> PrimitiveId:
        """The database, without credentials, and the tables."""
        return PrimitiveId(f"{self._database.known_as}/changes of {','.join(self.tables)}")

    @property
    def label(self) -> str:
        """The tables."""
        return ", ".join(table.removeprefix("public.") for table in self.tables)

    def check_input(self, hint: object) -> str:
        """What is wrong with a parameter of this type, if anything is."""
        return never_becomes(self, PostgresChange, hint)

    def source(self, env: Env) -> AbstractAsyncContextManager[Source]:
        """Open a source; the slot is made by its first pull."""
        return ChangeSource(env, self._database, self.slot(env))

    def slot(self, env: Env) -> Slot:
        """The slot of the processor whose environment this is, and the publication."""
        place = env.positions.parts[-2:] if env.positions is not None else ()
        word = re.sub(r"[^a-z0-9]+", "_", place[-1].lower()).strip("_") if place else ""
        digest = _digest("/".join(place))
        name = "_".join(part for part in (self._publication, digest, word[:24]) if part)
        tables = [named_table(OWNER, None, table) for table in self.tables]
        return Slot(name, self._publication, tables)

    def drop(self, env: Env) -> int:
        """Drop the slots of all its processors, and the publication; gives how many slots.

        Blocks; `env` is the stack's, `app.place.env()`. What had not been read is lost.

        Raises:
            TemporaryError: the database cannot be reached, or a slot is in use.
            PermanentError: credentials or names are wrong.
        """

        async def go() -> int:
            connection = await self._database.connect(env)
            try:
                return await drop_all(connection, self._publication)
            except Exception as error:
                raise fault(error, self._database.shown) from error
            finally:
                await closed(connection)

        return asyncio.run(go())

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look whether the database can be reached, whether it tells changes, and of the tables."""

        async def look() -> str:
            connection = await self._database.connect(env)
            try:
                for schema, table in self.slot(env).tables:
                    if await existing(connection, quoted(schema, table)) is None:
                        msg = f"table '{schema}.{table}' does not exist (yet); what makes it?"
                        raise TemporaryError(msg)
                level = await connection.fetchval("SHOW wal_level")
            finally:
                await closed(connection)
            if level != "logical":
                msg = f"wal_level is {level}; set it to logical, and restart Postgres"
                raise TemporaryError(msg)
            return "tells its changes"

        return await looked(self, look, load=lambda: self._database.load(env))

    @property
    def _publication(self) -> str:
        return f"buildflow_{_digest(','.join(sorted(self.tables)))}"

    @property
    def _database(self) -> Database:
        return database_of(OWNER, self.url, self.database, self.user, self.password)


def _digest(text: str) -> str:
    return hashlib.blake2s(text.encode(), digest_size=5).hexdigest()
