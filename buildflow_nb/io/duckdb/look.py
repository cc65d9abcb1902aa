"""A look into a DuckDB table by a connection that writes nothing."""

from __future__ import annotations

from pathlib import Path

from buildflow_nb.io.duckdb.checks import opened_to_look
from buildflow_nb.io.duckdb.connection import CLOUD, quoted
from buildflow_nb.io.table_look import TableFound, absent_table

__all__ = ("table_found",)

ELSEWHERE = "A table at MotherDuck is not looked into: that would open a session there. Query it."


def table_found(database: str, table: str, rows: int) -> TableFound:
    """The table, with so many rows; blocks.

    Raises:
        AbsentError: the file or the table is not there.
        TemporaryError: another process keeps the file.
        PermanentError: it is no DuckDB file.
    """
    import duckdb

    if database.startswith(CLOUD):
        return TableFound((), notes=(ELSEWHERE,))
    what = f"table {table!r} of DuckDB file {database}"
    if not Path(database).exists():
        raise absent_table(what)
    with opened_to_look(database) as connection:
        try:
            found = connection.sql(f"FROM {quoted(table)}")
            columns = list(zip(found.columns, map(str, found.types), strict=True))
            count = connection.execute(f"SELECT count(*) FROM {quoted(table)}").fetchone()[0]  # noqa: S608  (quoted)
            given = connection.execute(f"FROM {quoted(table)} LIMIT ?", [rows]).fetchall()
        except duckdb.CatalogException as error:
            raise absent_table(what) from error
    return TableFound(columns, given, int(count))
