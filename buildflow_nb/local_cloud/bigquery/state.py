"""The DuckDB file in which everything is: rows, metadata, jobs that wrote, write streams.

Whoever writes does so inside `writing`, one after another, each in one transaction: what has been
answered is in the file, and what was killed half-way is not. Readers have snapshots and wait for
nobody. The engine reaches no file but its own, whatever a query says.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.project_folder import make_private

__all__ = ("OWN", "Database", "insert_rows", "keep")

FORMAT = 1  # of what is in the file
OWN = "buildflow"  # the schema of what is ours; a dataset's has a dot in its name
PUSHED = "buildflow_rows"  # the name under which Arrow rows are seen by their own cursor
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "threads": "4",
}
_TABLES = (
    "format (number INTEGER)",
    "resources (project VARCHAR, dataset VARCHAR, name VARCHAR, body VARCHAR)",
    "jobs (project VARCHAR, id VARCHAR, body VARCHAR, made TIMESTAMP DEFAULT current_timestamp)",
    "streams (name VARCHAR, body VARCHAR)",
)


class Database:
    """An open file; used from any thread.

    Raises:
        OSError: the folder cannot be used.
        duckdb.Error: the file is another process's, or none of DuckDB's.
        InfraError: another version has written it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = make_private(folder)
        before = os.umask(0o077)
        try:
            self._root = duckdb.connect(str(folder / "bigquery.duckdb"), config=SETTINGS)
        finally:
            os.umask(before)
        self.lock = threading.RLock()
        self._root.execute("SET python_enable_replacements = false")
        self._root.execute("SET GLOBAL TimeZone = 'UTC'")
        self._root.execute(f"CREATE SCHEMA IF NOT EXISTS {OWN}")
        for table in _TABLES:
            self._root.execute(f"CREATE TABLE IF NOT EXISTS {OWN}.{table}")
        self._check_format()
        self._writer = self.cursor()

    def _check_format(self) -> None:
        found = self._root.execute(f"SELECT number FROM {OWN}.format").fetchall()  # noqa: S608
        if not found:
            self._root.execute(f"INSERT INTO {OWN}.format VALUES ({FORMAT})")  # noqa: S608
        elif found != [(FORMAT,)]:
            self._root.close()
            msg = (
                f"the local BigQuery's state has format {found[0][0]}, and this version reads "
                f"{FORMAT}; take the version that wrote it, or reset the local cloud"
            )
            raise InfraError(msg)

    def close(self) -> None:
        """Write everything into the file itself, and let go of it."""
        with self.lock:
            self._writer.close()
            self._root.execute("CHECKPOINT")
            self._root.close()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection to read by; close it."""
        made = self._root.cursor()
        made.execute("SET TimeZone = 'UTC'")
        return made

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that sees one state of everything."""
        with self.cursor() as cursor:
            yield cursor

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction, when all before it are over; kept unless something is raised."""
        with self.lock:
            self._writer.begin()
            try:
                yield self._writer
                self._writer.commit()
            except BaseException:
                self._undo()
                raise

    def _undo(self) -> None:
        try:
            self._writer.rollback()
        except duckdb.TransactionException:  # DuckDB has done it
            pass
        except duckdb.Error as error:
            if "invalidated" in str(error):  # nothing works any more; who watches starts us again
                os._exit(1)
            raise


def insert_rows(
    cursor: duckdb.DuckDBPyConnection, into: str, table: pa.Table, names: list[str]
) -> None:
    """Insert an Arrow table into a table, given as SQL, by its columns' names."""
    columns = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
    cursor.register(PUSHED, table)
    try:
        cursor.execute(f"INSERT INTO {into} ({columns}) SELECT {columns} FROM {PUSHED}")  # noqa: S608
    finally:
        cursor.unregister(PUSHED)


def keep(cursor: duckdb.DuckDBPyConnection, table: str, key: Mapping[str, str], body: Any) -> None:
    """Keep a document of ours under a key, in the place of what was there; `None` takes it away."""
    where = " AND ".join(f"{name} = ?" for name in key)
    cursor.execute(f"DELETE FROM {OWN}.{table} WHERE {where}", list(key.values()))  # noqa: S608
    if body is not None:
        names = ", ".join((*key, "body"))
        marks = ", ".join("?" * (len(key) + 1))
        sql = f"INSERT INTO {OWN}.{table} ({names}) VALUES ({marks})"  # noqa: S608
        cursor.execute(sql, [*key.values(), json.dumps(body)])
