"""A look into a table of Snowflake.

How many rows there are Snowflake knows without a warehouse; rows themselves are read by one, which
is woken for it and costs, so they are read there only when asked to (`peek`).
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

from buildflow_nb.core.env import Env
from buildflow_nb.core.resource_look import Asked
from buildflow_nb.io.snowflake.client import Account, connect, described
from buildflow_nb.io.snowflake.errors import fault_of
from buildflow_nb.io.table_look import TableFound, absent_table, table_rows

__all__ = ("table_found",)

NOT_READ = "Rows are not shown: reading them wakes a warehouse, which costs. --peek reads them."


def table_found(account: Account, env: Env, asked: Asked) -> TableFound:
    """The table; blocks.

    Raises:
        AbsentError: it is not there.
        TemporaryError: it cannot be reached for now.
        PermanentError: the user is refused.
    """
    local = env.services is not None
    rows = table_rows(asked) if local or asked.peek else 0
    with closing(connect(account, env)) as connection:
        cursor: Any = connection.cursor()
        there = described(cursor, account)
        if not there:
            raise absent_table(account.said)
        try:
            count = cursor.execute(f"SELECT count(*) FROM {account.full_name}").fetchone()  # noqa: S608
            given = _rows(cursor, account, rows)
        except Exception as error:
            raise fault_of(error, account.said) from error
    columns = [(name, column.type) for name, column in there.items()]
    notes = () if local or asked.peek or not asked.rows else (NOT_READ,)
    return TableFound(columns, given, int(count[0]), notes=notes)


def _rows(cursor: Any, account: Account, rows: int) -> list[tuple[object, ...]]:
    if not rows:
        return []
    cursor.execute(f"SELECT * FROM {account.full_name} LIMIT {int(rows)}")  # noqa: S608
    return [tuple(row) for row in cursor.fetchall()]
