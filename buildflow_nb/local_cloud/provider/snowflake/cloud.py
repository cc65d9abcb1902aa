"""The way from a provider instance of the `snowflake` package to the local cloud's Snowflake.

Snowflake's own client is loaded, and the server started, when a resource first needs them. Each
call has a connection of its own, which costs next to nothing on this machine.
Source: Snowflake documentation, "Python Connector API".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from buildflow_nb.core.errors import InfraError, told
from buildflow_nb.core.primitive import Services
from buildflow_nb.local_cloud.provider.clients import loopback
from buildflow_nb.local_cloud.provider.codec import Plain, Unknown

__all__ = ("SnowflakeCloud", "quoted")

STORE = "snowflake"
CALL_S = 20
ABSENT = frozenset({2003, 2043})  # it does not exist, or may not be seen
Rows = Sequence[tuple[Any, ...]]


class SnowflakeCloud:
    """Host and port of a provider instance."""

    def __init__(self, arguments: Mapping[str, Plain], services: Services | None = None) -> None:
        """Read a configuration.

        Raises:
            InfraError: the host is not of this machine.
        """
        self._arguments = arguments
        self._services = services
        host = arguments.get("host")
        if isinstance(host, str) and host:
            loopback(f"http://{host}:1", "host of the provider snowflake")

    def require(self, service: str) -> None:
        """Make sure that the server may be called.

        Raises:
            InfraError: the provider was given no host.
        """
        host = self._arguments.get("host")
        if not isinstance(host, Unknown) and not (isinstance(host, str) and host):
            msg = (
                f"the provider {service} has no host, and the local cloud's provider dials no other"
                " than this machine's; give it host='127.0.0.1'"
            )
            raise InfraError(msg)

    def run(self, *statements: str) -> None:
        """Run statements, one after the other.

        Raises:
            InfraError: one was refused, or the server cannot be reached.
        """
        for statement in statements:
            self.rows(statement)

    def rows(self, statement: str) -> Rows:
        """What a statement gives; nothing where its object is not there.

        Raises:
            InfraError: it was refused, or the server cannot be reached.
        """
        from snowflake.connector import errors

        try:
            with closing(self._connected()) as connection:
                found: Rows = connection.cursor().execute(statement).fetchall()
        except errors.Error as error:
            if error.errno in ABSENT and statement.startswith(("SELECT", "SHOW", "DESCRIBE")):
                return ()
            reason = " ".join((error.raw_msg or told(error)).split())
            raise InfraError(reason) from error
        return found

    def _connected(self) -> Any:
        from snowflake import connector

        services = self._services
        if services is None:
            msg = "the local cloud's Snowflake needs its stores; apply by way of a local stack"
            raise InfraError(msg)
        where = loopback(services.wake(STORE), "Snowflake")
        return connector.connect(
            account="local",
            user="buildflow",
            password=services.password(STORE).reveal(),
            host=where.hostname,
            port=where.port,
            protocol="http",
            login_timeout=CALL_S,
            network_timeout=CALL_S,
            platform_detection_timeout_seconds=0.0,  # by asking addresses of cloud machines
            session_parameters={"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False},
        )


def quoted(*names: str) -> str:
    """A name as an identifier, after those that it is in."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)
