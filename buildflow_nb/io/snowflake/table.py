"""A table of Snowflake."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Columns, Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.primitive import Env, Managed, PrimitiveId, Sink, Site, Wire
from buildflow_nb.core.resource_look import Asked, ResourceLook
from buildflow_nb.io.blocking import BlockingSink
from buildflow_nb.io.checks import looked, on_thread
from buildflow_nb.io.columns.element_columns import columns_of
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.looks import seen
from buildflow_nb.io.snowflake.client import Account, connect, described
from buildflow_nb.io.snowflake.column_types import column_type, copy_into, quoted
from buildflow_nb.io.snowflake.existing_types import ExistingColumn
from buildflow_nb.io.snowflake.look import table_found
from buildflow_nb.io.snowflake.places import (
    SnowflakeDatabase,
    SnowflakeSchema,
    SnowflakeStage,
    login_of,
)
from buildflow_nb.io.snowflake.sink import STAGE, SnowflakeWriter
from buildflow_nb.io.table_look import look_into_table

__all__ = ("SnowflakeTable",)

EXTRA = "pip install 'buildflow_nb[snowflake]'"
FLUSH_S = 5.0


@dataclass(frozen=True, slots=True, repr=False)
class SnowflakeTable(Injectable):
    """The table `table` in a database and schema of an account, written as `user` with a key.

    On a local stack it is the local cloud's, whatever account is named. A push is a file on an
    internal stage (`snowflake_stage`, or one of our own), which is copied into the table; so a
    `bucket`, which BuildFlow needed for that, and a `snow_pipe` are accepted and not used. A table
    that is not there is made from the type of the elements, with its database and schema. Names
    are written as they stand, upper and lower case.

    `flush_time_limit_secs` is how long elements wait for more: each COPY wakes a warehouse, which
    is what costs.

    Raises:
        DeclarationError: a name is missing, or the extra is not installed.
    """

    cloud: ClassVar[str] = "agnostic"
    sink_wire: ClassVar[Wire] = Wire.OBJECT  # the sink reads their fields itself, column by column
    max_push: ClassVar[int] = 50_000  # elements in one file
    stores_once: ClassVar[bool] = True
    local_store: ClassVar[str] = "snowflake"

    table: str
    database: str
    schema: str
    bucket: object = None
    account: str | None = None
    user: str | None = None
    private_key: str | Secret | None = None
    snow_pipe: str | None = None
    snowflake_stage: str | None = None
    password: str | Secret | None = field(default=None, kw_only=True)
    flush_time_limit_secs: float = field(default=FLUSH_S, kw_only=True)
    table_schema: type | None = field(default=None, kw_only=True)
    database_managed: bool = field(default=True, kw_only=True)
    schema_managed: bool = field(default=True, kw_only=True)
    stage_managed: bool = field(default=True, kw_only=True)
    snow_pipe_managed: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        optional = ("account", "user", "snow_pipe", "snowflake_stage")
        check_texts(self, ("table", "database", "schema"), optional)
        for name in ("private_key", "password"):
            value = getattr(self, name)
            if isinstance(value, str):
                object.__setattr__(self, name, Secret(value))
            elif value is not None and not isinstance(value, Secret):
                msg = f"SnowflakeTable: {name} must be a text or a Secret"
                raise DeclarationError(msg)
        for name in ("table", "database", "schema"):
            if not getattr(self, name):
                msg = f"SnowflakeTable: {name} must be a name, got ''"
                raise DeclarationError(msg)
        if importlib.util.find_spec("snowflake.connector") is None:
            msg = f"SnowflakeTable {self.label}: its client is not installed: {EXTRA}"
            raise DeclarationError(msg)

    def __repr__(self) -> str:
        account = f", account={self.account!r}" if self.account is not None else ""
        return f"SnowflakeTable({self.table!r}, {self.database!r}, {self.schema!r}{account})"

    def options(
        self,
        database_managed: bool = True,
        schema_managed: bool = True,
        table_schema: type | None = None,
        flush_time_limit_secs: float = 60,
    ) -> Self:
        """With other options: `table_schema` is the type of the rows, where the processor has none.

        A database or a schema that is not managed is left to others by `app.manage`; a sink makes
        what is missing in any case.
        """
        return replace(
            self,
            database_managed=database_managed,
            schema_managed=schema_managed,
            table_schema=table_schema,
            flush_time_limit_secs=flush_time_limit_secs,
        )

    @property
    def label(self) -> str:
        """Database, schema and table."""
        return f"{self.database}.{self.schema}.{self.table}"

    @property
    def primitive_id(self) -> PrimitiveId:
        """Database, schema and table."""
        return PrimitiveId(self.label)

    @property
    def linger_s(self) -> float:
        """Seconds to wait for a fuller push."""
        return float(self.flush_time_limit_secs)

    def lacks(self) -> str:
        """The SDK by which it is managed, if that is not installed."""
        if importlib.util.find_spec("pulumi_snowflake") is None:
            return f"its SDK of Pulumi is not installed: {EXTRA}"
        return ""

    def owned(self) -> tuple[Managed, ...]:
        """Database, schema and stage, but for those that are left to others."""
        account, own = self._account(), self.snowflake_stage is None
        places: tuple[tuple[bool, Managed], ...] = (
            (self.database_managed, SnowflakeDatabase(account)),
            (self.schema_managed, SnowflakeSchema(account)),
            (self.stage_managed and own, SnowflakeStage(account, STAGE)),
        )
        return tuple(place for managed, place in places if managed)

    def parents(self) -> tuple[Managed, ...]:
        """Schema and stage."""
        account = self._account()
        stage = self.snowflake_stage or STAGE
        return SnowflakeSchema(account), SnowflakeStage(account, stage)

    def resources(self, site: Site) -> Mapping[str, Any]:
        """Declare the table with the columns of `table_schema`, and a pipe from the stage to it.

        Without a `table_schema` neither is declared: the first push makes the table.

        Raises:
            DeclarationError: on the real cloud it is not said whose it is.
        """
        columns = columns_of(self.table_schema)
        if columns is None:
            return {}
        import pulumi_snowflake as snowflake

        account = self._account()
        login = login_of(account, site)
        made = snowflake.Table(
            self.label,
            name=self.table,
            database=self.database,
            schema=self.schema,
            columns=[
                snowflake.TableColumnArgs(name=name, type=column_type(kind), nullable=optional)
                for name, kind, optional in columns.columns
            ],
            opts=site.snowflake(login),
        )
        if self.snow_pipe_managed and self.snow_pipe is None:
            stage = f"{account.place}.{quoted(self.snowflake_stage or STAGE)}"
            snowflake.Pipe(
                f"{self.label} pipe",
                name=f"BUILDFLOW_PIPE_{self.table}",
                database=self.database,
                schema=self.schema,
                copy_statement=copy_into(account.full_name, f"@{stage}", columns.columns),
                opts=site.snowflake(login, after=[made]),
            )
        return {"name": made.name}

    def sink(self, env: Env, element: object) -> AbstractAsyncContextManager[Sink]:
        """Open a sink."""
        kind = element or self.table_schema
        return BlockingSink(SnowflakeWriter(self._account(), env, kind, self.snowflake_stage))

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look whether the account answers, and whether the table is there."""

        async def look() -> str:
            found = await on_thread(lambda: self._described(env))
            there = f"is there, with {len(found)} columns" if found else "is made by the first push"
            return f"the account answers; the table {there}"

        return await looked(self, look, role="sink")

    async def columns(self, env: Env) -> Columns | None:
        """The columns of the table, if it is there."""
        found = await on_thread(lambda: self._described(env))
        return Columns(tuple(found)) if found else None

    async def look(self, env: Env, asked: Asked) -> ResourceLook:
        """The columns of the table, how many rows it has, and, where that is free, the first."""

        async def look(empty: ResourceLook) -> ResourceLook:
            found = await on_thread(lambda: table_found(self._account(), env, asked))
            place = self.account if env.services is None else f"stack {env.stack_said}"
            return look_into_table(replace(empty, place=place or ""), asked, found)

        return await seen(self, "Snowflake table", look, within_s=asked.within_s)

    def _described(self, env: Env) -> dict[str, ExistingColumn]:
        with closing(connect(self._account(), env)) as connection:
            cursor: Any = connection.cursor()
            return described(cursor, self._account())

    def _account(self) -> Account:
        key, password = self.private_key, self.password
        return Account(
            self.table,
            self.database,
            self.schema,
            self.account,
            self.user,
            key if isinstance(key, Secret) else None,
            password if isinstance(password, Secret) else None,
        )
