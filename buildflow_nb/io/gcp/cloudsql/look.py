"""A look into databases of Cloud SQL on the local cloud: their tables, and how many rows they have.

On Google's cloud a database is seen as a user of it, who is not the database's to know: a table of
it that names one (`PostgresTable(database=…, user=…, password=…)`) can be looked into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import AbsentError, DeniedError, TemporaryError, told
from buildflow_nb.core.resource_look import Asked, Column, Content, Figure, Held, ResourceLook
from buildflow_nb.io.looks import TAKES_NOTHING, rows_asked

__all__ = ("look_into_database", "look_into_instance")

STORE = "postgres"  # of the local cloud, its superuser, and the database in it
CONNECT_S = 3
MOST_SHOWN = 1_000  # tables, or databases
MOST_COUNTED = 200_000  # rows of a table; of more, Postgres's own estimate is told
# Rows of a partition are those of its table, which has no bytes and may have no estimate itself.
TABLES = """
SELECT n.nspname AS schema, c.relname AS name, COALESCE(p.estimate, c.reltuples)::bigint,
       COALESCE(p.bytes, pg_total_relation_size(c.oid))::bigint,
       CASE c.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END
           || quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT sum(GREATEST(l.reltuples, 0)) AS estimate, sum(pg_total_relation_size(l.oid)) AS bytes
    FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid WHERE t.isleaf
) p ON c.relkind = 'p'
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1, 2
"""
ELSEWHERE = (
    "its tables are seen as a user of it; look at a PostgresTable of it, which names user and "
    "password"
)


def look_into_database(name: str, empty: ResourceLook, env: Env, asked: Asked) -> ResourceLook:
    """Look into the database of this name in the local cloud's Postgres; blocks.

    Raises:
        AbsentError: it is not there.
        DeniedError: it is on Google's cloud.
        TemporaryError: the local cloud's Postgres is out of reach.
    """
    found: list[tuple[str, int, str, int]] = []
    with _connected(env, name) as connection:
        connection.read_only = True
        for schema, table, estimate, size, quoted in connection.execute(TABLES).fetchall():
            count, about = int(estimate), "about"
            if count <= MOST_COUNTED:
                top = 10 * MOST_COUNTED
                some = f"SELECT 1 FROM {quoted} LIMIT {top}"  # noqa: S608
                counted = connection.execute(f"SELECT count(*) FROM ({some}) s").fetchone()  # noqa: S608
                count = int(counted[0])
                about = "at least" if count == top else ""
            named = table if schema == "public" else f"{schema}.{table}"
            found.append((named, count, about, int(size)))
    total, size = sum(row[1] for row in found), sum(row[3] for row in found)
    abouts = {row[2] for row in found}
    about = next((one for one in ("at least", "about") if one in abouts), "")
    columns = (Column("table"), Column("rows"), Column("size", "bytes"))
    rows = [
        (table, f"{about_} {count:,}" if about_ else count, bytes_)
        for table, count, about_, bytes_ in found
    ]
    content = Content("Tables", columns, tuple(rows[: _most(asked)]), elements=False)
    return replace(
        empty,
        figures=(
            Figure("tables", len(found)),
            Figure("rows", total, about=about),
            Figure("size", size, "bytes"),
        ),
        contents=(content,) if asked.rows else (),
        notes=(TAKES_NOTHING,),
        held=Held("rows", total, about, size if total else None),
    )


def look_into_instance(prefix: str, empty: ResourceLook, env: Env, asked: Asked) -> ResourceLook:
    """Look which databases an instance has in the local cloud's Postgres. Raises as the other."""
    query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1"
    with _connected(env, STORE) as connection:
        found: Sequence[Any] = connection.execute(query, [f"{prefix}:"]).fetchall()
    rows = tuple((row[0].partition(":")[2],) for row in found)
    content = Content("Databases", (Column("database"),), rows[: _most(asked)], elements=False)
    return replace(
        empty,
        figures=(Figure("databases", len(rows)),),
        contents=(content,) if asked.rows else (),
        notes=(TAKES_NOTHING,),
        held=Held("databases", len(rows)),
    )


def _most(asked: Asked) -> int:
    return rows_asked(asked, MOST_SHOWN)


def _connected(env: Env, name: str) -> Any:
    import psycopg

    if env.services is None:
        raise DeniedError(ELSEWHERE)
    address = env.services.wake(STORE)
    password = env.services.password(STORE).reveal()
    words: dict[str, Any] = {"user": STORE, "password": password, "dbname": name}
    try:
        return psycopg.connect(address, connect_timeout=CONNECT_S, **words)
    except psycopg.Error as error:
        if "does not exist" in str(error):
            msg = (
                f"database {name.partition(':')[2] or name!r} does not exist (run %buildflow apply)"
            )
            raise AbsentError(msg) from None  # the cause may hold the password
        msg = f"the local cloud's Postgres cannot be reached: {told(error)}"
        raise TemporaryError(msg) from None
