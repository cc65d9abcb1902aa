"""A look into a table of ClickHouse: counts are kept by it, and the first rows read no more."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from buildflow_nb.io.clickhouse.client import Server, described
from buildflow_nb.io.clickhouse.errors import fault_of
from buildflow_nb.io.table_look import TableFound, absent_table

__all__ = ("table_found",)


async def table_found(client: Any, server: Server, rows: int) -> TableFound:
    """The table, with so many rows.

    Raises:
        AbsentError: it is not there.
        TemporaryError: it cannot be reached for now.
        PermanentError: it may not be looked at.
    """
    there = await described(client, server)
    if not there:
        raise absent_table(server.said)
    try:
        count = await client.query(f"SELECT count() FROM {server.full_name}")  # noqa: S608
        given = await client.query(f"SELECT * FROM {server.full_name} LIMIT {int(rows)}")  # noqa: S608
    except Exception as error:
        raise fault_of(error, server.said) from error
    columns = [(name, column.type) for name, column in there.items()]
    total = int(count.result_rows[0][0])
    return TableFound(columns, given.result_rows, total, bytes=await _bytes(client, server))


async def _bytes(client: Any, server: Server) -> int | None:
    """What its parts take on disk, where the user may see that."""
    sql = (
        "SELECT sum(bytes_on_disk) FROM system.parts "
        "WHERE active AND database = {database:String} AND table = {table:String}"
    )
    words = {"database": server.database, "table": server.table}
    with suppress(Exception):
        return int((await client.query(sql, parameters=words)).result_rows[0][0])
    return None
