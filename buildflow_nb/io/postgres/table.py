"""A Postgres table: a sink that appends or replaces by a key, and a bounded source of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import ClassVar

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import BuildFlowError, DeclarationError, TemporaryError
from buildflow_nb.core.findings import Columns, Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.primitive import Env, PrimitiveId, Sink, Source, Wire
from buildflow_nb.core.primitive_clients import DatabasePrimitive
from buildflow_nb.core.resource_look import Asked, ResourceLook
from buildflow_nb.io.checks import looked
from buildflow_nb.io.looks import seen
from buildflow_nb.io.postgres.columns import existing
from buildflow_nb.io.postgres.database import Database, closed, database_of
from buildflow_nb.io.postgres.errors import fault
from buildflow_nb.io.postgres.look import table_found
from buildflow_nb.io.postgres.names import named_table
from buildflow_nb.io.postgres.sink import PostgresSink
from buildflow_nb.io.postgres.source import QuerySource, Reading
from buildflow_nb.io.postgres.target import Target
from buildflow_nb.io.table_look import look_into_table, table_rows

__all__ = ("PostgresTable",)

OWNER = "PostgresTable"


@dataclass(frozen=True, slots=True, repr=False)
class PostgresTable(Injectable):
    """The table `table` of a Postgres database, made from the declared type by the first push.

    The database is that of `url` (any URL of Postgres, also as a `Secret`), or `database`, a
    primitive like `CloudSQLDatabase` with `user` and `password`; without either the stack's own.
    "sales.orders" is a table of the schema `sales`, unless `schema` says where the table is.

    With a `key`, one column or several, a sink replaces the row of the same key instead of adding
    one; of two elements of one key in a push the last one stays. With `evolve` columns that the
    table lacks are added to it. As a source it gives the rows of the moment when it is opened.

    Raises:
        DeclarationError: a field is wrong, or asyncpg is not installed.
    """

    cloud: ClassVar[str] = "local"
    source_wire: ClassVar[Wire] = Wire.RECORD
    max_pullers: ClassVar[int] = 1  # it has one cursor
    sink_wire: ClassVar[Wire] = Wire.OBJECT  # the sink reads their fields itself, column by column
    max_push: ClassVar[int] = 10_000  # rows of one COPY; more are hardly faster
    # While one COPY is under way, the elements for the next one gather.
    linger_s: ClassVar[float] = 0.0
    stores_once: ClassVar[bool] = True

    table: str
    url: str | Secret | None = None
    schema: str | None = None
    key: str | Sequence[str] | None = None
    evolve: bool = False
    database: DatabasePrimitive | None = None
    user: str | None = None
    password: str | Secret | None = None

    def __post_init__(self) -> None:
        found = database_of(OWNER, self.url, self.database, self.user, self.password)
        object.__setattr__(self, "url", found.url)
        object.__setattr__(self, "password", found.password)
        schema, table = named_table(OWNER, self.schema, self.table)
        object.__setattr__(self, "schema", schema)
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "key", _key(self.key))

    def __repr__(self) -> str:
        key = f", key={self.key!r}" if self.key else ""
        evolve = ", evolve=True" if self.evolve else ""
        return f"{OWNER}({self._name!r}, {self._database.shown!r}{key}{evolve})"

    @property
    def local_store(self) -> str:
        """The local cloud's store that it is in on a local stack."""
        return "postgres" if self.url is None else ""

    @property
    def primitive_id(self) -> PrimitiveId:
        """The database, without credentials, and the table."""
        return PrimitiveId(f"{self._database.known_as}/{self._name}")

    @property
    def label(self) -> str:
        """The table, after its schema where that is not `public`."""
        return self.table if self.schema == "public" else self._name

    def source(self, env: Env) -> AbstractAsyncContextManager[Source]:
        """Open a source over all rows."""
        query = f"SELECT * FROM {self._target(None).table}"  # noqa: S608
        return QuerySource(env, self._database, Reading(query))

    def sink(self, env: Env, element: object) -> AbstractAsyncContextManager[Sink]:
        """Open a sink that appends rows, or replaces them by their key."""
        return PostgresSink(env, self._database, self._target(element))

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look whether the database can be reached, and whether the table is there."""

        async def to_read() -> str:
            names = await self._columns(env)
            if names is None:
                msg = f"table {self._name!r} does not exist (yet); what writes it?"
                raise TemporaryError(msg)
            return f"can be read, with {len(names)} column{'s' if len(names) != 1 else ''}"

        async def to_write() -> str:
            there = await self._columns(env) is not None
            return "is there" if there else "is made by the first push"

        found = await looked(self, to_read, load=lambda: self._database.load(env), role="source")
        return [*found, *await looked(self, to_write, role="sink")]

    async def columns(self, env: Env) -> Columns | None:
        """The columns of the table, if it is there."""
        names = await self._columns(env)
        return None if names is None else Columns(names)

    async def look(self, env: Env, asked: Asked) -> ResourceLook:
        """The columns of the table, how many rows it has, and the first of them."""

        async def look(empty: ResourceLook) -> ResourceLook:
            connection = await self._database.connect(env)
            try:
                what = f"table {self._name!r}"
                table, rows = self._target(None).table, table_rows(asked)
                found = await table_found(connection, table, what, rows)
            except (BuildFlowError, TimeoutError):
                raise
            except Exception as error:
                raise fault(error, self._database.shown) from error
            finally:
                await closed(connection)
            named = replace(empty, name=self.label, place=self._database.shown)
            return look_into_table(named, asked, found)

        load = lambda: self._database.load(env)  # noqa: E731  (as a check has it)
        return await seen(self, "Postgres table", look, load=load, within_s=asked.within_s)

    async def _columns(self, env: Env) -> tuple[str, ...] | None:
        connection = await self._database.connect(env)
        try:
            found = await existing(connection, self._target(None).table)
        finally:
            await closed(connection)
        return None if found is None else tuple(found.columns)

    @property
    def _name(self) -> str:
        return f"{self.schema}.{self.table}"

    @property
    def _database(self) -> Database:
        return database_of(OWNER, self.url, self.database, self.user, self.password)

    def _target(self, element: object) -> Target:
        key = tuple(self.key or ())
        return Target(str(self.schema), self.table, key, self.evolve, element)


def _key(key: object) -> tuple[str, ...] | None:
    if key is None:
        return None
    names = (key,) if isinstance(key, str) else tuple(key) if isinstance(key, Sequence) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        msg = f"{OWNER}: key must be the name of a column, or several, got {key!r}"
        raise DeclarationError(msg)
    if len(set(names)) < len(names):
        msg = f"{OWNER}: key names a column twice: {', '.join(names)}"
        raise DeclarationError(msg)
    return names
