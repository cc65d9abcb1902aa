"""A table of ClickHouse."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Columns, Finding, Health
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.primitive import Env, PrimitiveId, Sink, Wire, label_of
from buildflow_nb.core.resource_look import Asked, ResourceLook
from buildflow_nb.io.checks import looked
from buildflow_nb.io.clickhouse.client import Server, connected, described, told_in_the_clear
from buildflow_nb.io.clickhouse.look import table_found
from buildflow_nb.io.clickhouse.sink import opened
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.looks import seen
from buildflow_nb.io.table_look import look_into_table, table_rows

__all__ = ("ClickhouseTable",)

EXTRA = "pip install 'buildflow_nb[clickhouse]'"


@dataclass(frozen=True, slots=True, repr=False)
class ClickhouseTable(Injectable):
    """The table `table` of `database` at `host`, "name" or "name:port".

    Without a host it is the stack's own: the local cloud's ClickHouse. On a local stack that is
    also what any host beyond this machine stands for, so nothing leaves it. With `secure` it is
    spoken to by TLS, which is assumed of port 8443 and 443.

    A table that is not there is made from the type of the elements: a MergeTree, or with `key`, one
    column or several, a ReplacingMergeTree, in which of rows of the same key the last one stays
    once parts are merged; `SELECT … FINAL` gives them so at once. A push that is repeated under the
    same id is stored once.

    Raises:
        DeclarationError: a name is missing, or the extra is not installed.
    """

    cloud: ClassVar[str] = "agnostic"
    sink_wire: ClassVar[Wire] = Wire.OBJECT  # the sink reads their fields itself, column by column
    # Each push is a part on disk, which is merged later: few big ones are what the server wants.
    linger_s: ClassVar[float] = 0.5
    stores_once: ClassVar[bool] = True

    database: str
    table: str
    host: str | None = None
    username: str = "default"
    password: str | Secret | None = None
    port: int | None = field(default=None, kw_only=True)
    secure: bool | None = field(default=None, kw_only=True)
    key: str | Sequence[str] | None = field(default=None, kw_only=True)
    schema: type | None = field(default=None, kw_only=True)
    batch_size: int = field(default=10_000, kw_only=True)

    def __post_init__(self) -> None:
        check_texts(self, ("database", "table", "username"), ("host",))
        if isinstance(self.password, str):
            object.__setattr__(self, "password", Secret(self.password))
        object.__setattr__(self, "key", _key(self.key))
        if not self.table or not self.database:
            msg = "ClickhouseTable: database and table must be names, got ''"
            raise DeclarationError(msg)
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            msg = f"ClickhouseTable: batch_size must be 1 or more, got {self.batch_size!r}"
            raise DeclarationError(msg)
        if importlib.util.find_spec("clickhouse_connect") is None:
            msg = f"ClickhouseTable {self.label}: its client is not installed: {EXTRA}"
            raise DeclarationError(msg)

    def __repr__(self) -> str:
        host = f", host={self.host!r}" if self.host is not None else ""
        key = f", key={self.key!r}" if self.key else ""
        return f"ClickhouseTable({self.database!r}, {self.table!r}{host}{key})"

    @classmethod
    def from_local_options(  # noqa: PLR0913  (as in BuildFlow)
        cls,
        local_options: object,
        *,
        host: str,
        username: str,
        password: str,
        database: str,
        table: str,
    ) -> Self:
        """The table at a host, as BuildFlow's portable primitives made it."""
        del local_options
        return cls(database, table, host, username, password)

    def options(
        self,
        destroy_protection: bool = False,
        schema: type | None = None,
        batch_size: int = 10_000,
    ) -> Self:
        """With other options: `schema` is the type of the rows, where the processor has none.

        A table is never destroyed, so `destroy_protection` has nothing to protect.
        """
        del destroy_protection
        return replace(self, schema=schema, batch_size=batch_size)

    @property
    def label(self) -> str:
        """The database's and the table's name."""
        return f"{self.database}.{self.table}"

    @property
    def primitive_id(self) -> PrimitiveId:
        """The host, the database, the table."""
        return PrimitiveId(f"{self.host or 'clickhouse'}/{self.label}")

    @property
    def local_store(self) -> str:
        """The local cloud's store that it is in on a local stack."""
        return "clickhouse" if self._server().of_the_stack else ""

    @property
    def max_push(self) -> int:
        """Elements in one INSERT."""
        return self.batch_size

    def sink(self, env: Env, element: object) -> AbstractAsyncContextManager[Sink]:
        """Open a sink."""
        keys = self.key or ()
        return opened(self._server(), env, element or self.schema, tuple(keys))

    async def check(self, env: Env) -> Sequence[Finding]:
        """Look whether the server answers, and whether the table is there."""

        async def look() -> str:
            async with connected(self._server(), env) as client:
                found = await described(client, self._server())
            count = len(found)
            there = f"is there, with {count} columns" if found else "is made by the first push"
            return f"the server answers; the table {there}"

        found = await looked(self, look, role="sink")
        if told_in_the_clear(self._server(), env):
            said = f"the password goes to {self.host} in the clear"
            cure = "secure=True, and the port at which the server speaks TLS"
            found.append(Finding(label_of(self), Health.WARNING, said, cure, role="sink"))
        return found

    async def columns(self, env: Env) -> Columns | None:
        """The columns of the table, if it is there."""
        async with connected(self._server(), env) as client:
            found = await described(client, self._server())
        return Columns(tuple(found)) if found else None

    async def look(self, env: Env, asked: Asked) -> ResourceLook:
        """The columns of the table, how many rows it has, and the first of them."""

        async def look(empty: ResourceLook) -> ResourceLook:
            async with connected(self._server(), env) as client:
                found = await table_found(client, self._server(), table_rows(asked))
            named = replace(empty, place=self.host or f"stack {env.stack_said}")
            return look_into_table(named, asked, replace(found, key=tuple(self.key or ())))

        return await seen(self, "ClickHouse table", look, within_s=asked.within_s)

    def _server(self) -> Server:
        password = self.password if isinstance(self.password, Secret) else None
        return Server(
            self.database, self.table, self.host, self.port, self.secure, self.username, password
        )


def _key(key: object) -> tuple[str, ...] | None:
    found = (key,) if isinstance(key, str) else key
    if found is None or found == ():
        return None
    if not isinstance(found, Sequence) or not all(isinstance(one, str) and one for one in found):
        msg = f"ClickhouseTable: key must be the name of a column, or several, got {key!r}"
        raise DeclarationError(msg)
    return tuple(found)
