"""Connections to ClickHouse: where to, with deadlines, and what a table has.

Two processes never share a session, so that pushes may be under way at once.
Source: clickhouse-connect documentation, "Driver API".
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import PermanentError
from buildflow_nb.io.checks import on_thread
from buildflow_nb.io.clickhouse.column_types import quoted
from buildflow_nb.io.clickhouse.errors import NO_DATABASE, NO_TABLE, code_of, fault_of
from buildflow_nb.io.clickhouse.existing_types import ExistingColumn

__all__ = ("Server", "connected", "described", "told_in_the_clear")

CONNECT_S, CALL_S = 5, 60
PORT, SECURE_PORT = 8123, 8443
SECURE_PORTS = (SECURE_PORT, 443)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Server:
    """Where a table is: a host of one's own, or the stack's server where that is None."""

    database: str
    table: str
    host: str | None
    port: int | None
    secure: bool | None
    username: str
    password: Secret | None

    @property
    def of_the_stack(self) -> bool:
        """Whether a local stack has one of its own in its place."""
        return (self.host or "").partition(":")[0] not in LOOPBACK

    @property
    def full_name(self) -> str:
        """The table, quoted, with its database."""
        return f"{quoted(self.database)}.{quoted(self.table)}"

    @property
    def said(self) -> str:
        """The table, for a line."""
        return f"ClickhouseTable {self.database}.{self.table}"


@asynccontextmanager
async def connected(server: Server, env: Env) -> AsyncIterator[Any]:
    """A client, closed when it is left.

    Raises:
        TemporaryError: it cannot be reached for now.
        PermanentError: there is no host to reach, or it refuses the user.
    """
    import clickhouse_connect

    where = await _where(server, env)
    try:
        client = await clickhouse_connect.get_async_client(
            **where,
            connect_timeout=CONNECT_S,
            send_receive_timeout=CALL_S,
            autogenerate_session_id=False,
            query_retries=0,
            client_name="buildflow_nb",
        )
    except Exception as error:
        raise fault_of(error, server.said) from error
    try:
        yield client
    finally:
        await client.close()


async def described(client: Any, server: Server) -> dict[str, ExistingColumn]:
    """The columns of the table and their types; none where it, or its database, is not there.

    Raises:
        TemporaryError: it cannot be reached for now.
        PermanentError: it may not be looked at.
    """
    try:
        found = await client.query(f"DESCRIBE TABLE {server.full_name}")
    except Exception as error:
        if code_of(error) in (NO_TABLE, NO_DATABASE):
            return {}
        raise fault_of(error, server.said) from error
    return {row[0]: ExistingColumn(row[1], row[2]) for row in found.result_rows}


def told_in_the_clear(server: Server, env: Env) -> bool:
    """Whether a password goes to another machine without TLS."""
    if server.password is None or not server.host or not server.of_the_stack:
        return False  # nobody else hears it
    if env.services is not None:
        return False  # the local cloud's own is spoken to
    name, _, port = server.host.partition(":")
    return not _given(server, name, port)["secure"]


async def _where(server: Server, env: Env) -> dict[str, Any]:
    services = env.services
    name, _, port = (server.host or "").partition(":")
    if services is not None and server.of_the_stack:
        url = urlsplit(await on_thread(lambda: services.wake("clickhouse")))
        password = await on_thread(lambda: services.password("clickhouse"))
        return {
            "host": url.hostname,
            "port": url.port,
            "username": "default",
            "password": password.reveal(),
            "interface": "http",
        }
    if not server.host:
        msg = f"{server.said}: stack {env.stack!r} has no ClickHouse of its own; give it a host"
        raise PermanentError(msg)
    return _given(server, name, port)


def _given(server: Server, name: str, port: str) -> dict[str, Any]:
    if port and not port.isdigit():
        msg = f"{server.said}: host must be a name or name:port, got {server.host!r}"
        raise PermanentError(msg)
    number = server.port or (int(port) if port else None)
    secure = number in SECURE_PORTS if server.secure is None else server.secure
    return {
        "host": name,
        "port": number or (SECURE_PORT if secure else PORT),
        "username": server.username,
        "password": server.password.reveal() if server.password else "",
        "secure": secure,
        "interface": "https" if secure else "http",
    }
