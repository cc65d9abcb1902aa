"""Connections to Snowflake: where to, as whom, with deadlines.

Source: Snowflake documentation, "Python Connector API".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import PermanentError
from buildflow_nb.io.snowflake.column_types import quoted
from buildflow_nb.io.snowflake.errors import ABSENT, fault_of
from buildflow_nb.io.snowflake.existing_types import ExistingColumn
from buildflow_nb.io.snowflake.key_file import der_of

__all__ = ("Account", "connect", "described")

LOGIN_S, CALL_S, LOCAL_S = 10, 60, 20
# The client would ask the addresses of cloud machines what it runs on, to tell Snowflake of it.
NOWHERE_ELSE = {"platform_detection_timeout_seconds": 0.0}
SILENT = {"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False}


@dataclass(frozen=True, slots=True)
class Account:
    """Where a table is, and as whom it is written; the stack's own where no account is named."""

    table: str
    database: str
    schema: str
    account: str | None
    user: str | None
    private_key: Secret | None
    password: Secret | None

    @property
    def place(self) -> str:
        """Its schema, quoted."""
        return f"{quoted(self.database)}.{quoted(self.schema)}"

    @property
    def full_name(self) -> str:
        """The table, quoted, with its schema."""
        return f"{self.place}.{quoted(self.table)}"

    @property
    def said(self) -> str:
        """The table, for a line."""
        return f"SnowflakeTable {self.database}.{self.schema}.{self.table}"


def connect(account: Account, env: Env) -> Any:
    """A connection of its own; blocks.

    Raises:
        TemporaryError: it cannot be reached for now.
        PermanentError: the user is refused, or it is not said who that is.
    """
    from snowflake import connector

    where = _local(env) if env.services is not None else _real(account, env)
    try:
        return connector.connect(
            **{"network_timeout": CALL_S, **where},
            **NOWHERE_ELSE,
            login_timeout=LOGIN_S,
            application="buildflow_nb",
            session_parameters=SILENT,
        )
    except Exception as error:
        raise fault_of(error, account.said) from error


def described(cursor: Any, account: Account) -> dict[str, ExistingColumn]:
    """The columns of the table and their types; none where it is not there.

    Raises:
        TemporaryError: it cannot be reached for now.
        PermanentError: it may not be looked at.
    """
    # All of its columns, since the local cloud lacks one.
    sql = (
        f"SELECT * FROM {quoted(account.database)}.information_schema.columns"  # noqa: S608
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position"
    )
    try:
        rows = cursor.execute(sql, (account.schema, account.table)).fetchall()
        names = [column[0].lower() for column in cursor.description]
    except Exception as error:
        if getattr(error, "errno", None) == ABSENT:  # the database
            return {}
        raise fault_of(error, account.said) from error
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return {row["column_name"]: ExistingColumn.of(row) for row in found}


def _local(env: Env) -> dict[str, Any]:
    assert env.services is not None  # noqa: S101  (the caller has looked)
    url = urlsplit(env.services.wake("snowflake"))
    password = env.services.password("snowflake").reveal()
    return {
        "account": "local",
        "user": "buildflow",
        "password": password,
        "host": url.hostname,
        "port": url.port,
        "protocol": "http",
        "network_timeout": LOCAL_S,  # it is here, or it is not
    }


def _real(account: Account, env: Env) -> dict[str, Any]:
    if not account.account or not account.user:
        msg = f"{account.said}: stack {env.stack!r} has no Snowflake of its own; give it account="
        msg += " and user=, with private_key=read_private_key_file(…)"
        raise PermanentError(msg)
    found: dict[str, Any] = {"account": account.account, "user": account.user}
    if account.private_key is not None:
        found["private_key"] = der_of(account.private_key, account.said)
    elif account.password is not None:
        found["password"] = account.password.reveal()
    else:
        msg = f"{account.said}: nobody is let in without a private_key; read_private_key_file(…)"
        raise PermanentError(msg)
    return found
