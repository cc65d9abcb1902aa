"""A look into a Postgres table, in a transaction that may only read.

Rows are counted where there are few; of a large table Postgres's own estimate is told, as it was
when it was last analysed (PostgreSQL documentation, "System Catalogs": pg_class.reltuples).
"""

from __future__ import annotations

from typing import Any

from buildflow_nb.io.postgres.columns import existing
from buildflow_nb.io.table_look import TableFound, absent_table

__all__ = ("table_found",)

MOST_COUNTED = 200_000  # rows by the estimate; counting a million takes a tenth of a second
FACTS = """
SELECT reltuples::bigint AS estimate, pg_total_relation_size(oid) AS bytes
FROM pg_class WHERE oid = to_regclass($1)
"""


async def table_found(connection: Any, table: str, what: str, rows: int) -> TableFound:
    """The table `table`, quoted for SQL, with so many rows.

    Raises:
        AbsentError: it is not there; `what` names it.
        asyncpg.PostgresError: it may not be read.
    """
    async with connection.transaction(readonly=True):
        there = await existing(connection, table)
        if there is None:
            raise absent_table(what)
        facts = await connection.fetchrow(FACTS, table)
        estimate = int(facts["estimate"])
        if estimate > MOST_COUNTED:
            count, about = estimate, "about"
        else:  # never analysed, or few
            top = 10 * MOST_COUNTED
            some = f"SELECT 1 FROM {table} LIMIT {top}"  # noqa: S608  (quoted)
            count = int(await connection.fetchval(f"SELECT count(*) FROM ({some}) s"))  # noqa: S608
            about = "at least" if count == top else ""
        given = await connection.fetch(f"SELECT * FROM {table} LIMIT $1", rows)  # noqa: S608
    columns = [(one.name, one.shown) for one in there.columns.values()]
    key = min(map(sorted, there.unique), key=len, default=[])
    return TableFound(columns, map(tuple, given), count, about, int(facts["bytes"]), key)
