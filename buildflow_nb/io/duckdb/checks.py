"""Looks into a DuckDB file, read-only, and tells who else has it open.

A flow opens a file for writing, which no other process may have open in any way, even for reading
(https://duckdb.org/docs/stable/connect/concurrency). Whether one has is in `/proc/locks`, where
there is one. The file is never opened by us to find that out: closing any handle of it would drop
the locks of the DuckDB in this process (fcntl(2), "Record locking and file descriptors").
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.process_id import process_name
from buildflow_nb.io.duckdb.connection import CLOUD, OPENING, fault, quoted
from buildflow_nb.io.files.checks import look_to_write

__all__ = ("columns", "look_to_read", "look_to_write_table", "opened_to_look")

LOCKS = Path("/proc/locks")
_LOCK = re.compile(r"POSIX +\S+ +\S+ +(?P<pid>\d+) +\S+:(?P<inode>\d+) ")


def columns(database: str, table: str, query: str | None) -> tuple[str, ...] | None:
    """The names of the columns; `None` where the file or the table is not there.

    Raises:
        TemporaryError: another process keeps the file.
        PermanentError: it is no DuckDB file, or the query is wrong.
    """
    import duckdb

    if database.startswith(CLOUD) or not Path(database).exists():
        return None
    with opened_to_look(database) as connection:
        try:
            return tuple(connection.sql(_select(connection, table, query)).columns)
        except duckdb.CatalogException:
            if query is None:
                return None
            raise


def look_to_read(database: str, table: str, query: str | None) -> str:
    """Look whether a table or a query could be read. Raises as `columns`, and where it is missing.

    Raises:
        TemporaryError: the file or the table is not there, or another process keeps the file.
        PermanentError: it is no DuckDB file, or the query is wrong.
    """
    if database.startswith(CLOUD):
        return _unseen(database)
    if not Path(database).exists():
        msg = f"DuckDB file {database} does not exist (yet); what writes it?"
        raise TemporaryError(msg)
    found = columns(database, table, query)
    if found is None:
        msg = f"DuckDB file {database} has no table {table!r} (yet); what writes it?"
        raise TemporaryError(msg)
    _refuse_others(database)
    return f"can be read, with {len(found)} column{'s' if len(found) != 1 else ''}"


def look_to_write_table(database: str, table: str) -> str:
    """Look whether a table could be written. Raises as `look_to_read`, but for what is missing."""
    if database.startswith(CLOUD):
        return _unseen(database)
    said = look_to_write(Path(database))
    if not Path(database).exists():
        return said
    found = columns(database, table, None)
    _refuse_others(database)
    return "is made by the first push" if found is None else said


def _unseen(database: str) -> str:
    return f"{database.partition('?')[0]} is looked at when it runs"


@contextmanager
def opened_to_look(database: str) -> Iterator[Any]:
    """A connection that writes nothing; while it is there, nobody here opens the file to write.

    Where this process has the file open already, it is a connection of the same kind.
    """
    import duckdb

    with OPENING:
        try:
            try:
                connection = duckdb.connect(database, read_only=True)
            except duckdb.ConnectionException:
                connection = duckdb.connect(database)
            with connection:
                yield connection
        except duckdb.CatalogException as error:
            first = str(error).splitlines()[0]
            msg = f"DuckDB file {database} does not hold what is asked for (yet): {first}"
            raise TemporaryError(msg) from error
        except duckdb.Error as error:
            raise fault(error, database) from error


def _select(connection: Any, table: str, query: str | None) -> str:
    """SQL that only reads; DuckDB carries out anything else at once, be it a COPY to a file.

    Raises:
        PermanentError: the query is not one SELECT.
    """
    from duckdb import StatementType

    if query is None:
        return f"FROM {quoted(table)}"
    kinds = [statement.type for statement in connection.extract_statements(query)]
    if kinds != [StatementType.SELECT]:
        msg = "the query is not one SELECT, and cannot be looked at; run what it changes elsewhere"
        raise PermanentError(msg)
    return query


def _refuse_others(database: str) -> None:
    """Tell of a process that has the file open for reading, which does not disturb this look."""
    with suppress(OSError):
        inode = str(Path(database).stat().st_ino)
        for lock in _LOCK.finditer(LOCKS.read_text(encoding="ascii", errors="replace")):
            pid = int(lock["pid"])
            if lock["inode"] == inode and pid not in (os.getpid(), 0):
                msg = f"DuckDB file {database} is open in {process_name(pid)}; close it there"
                raise TemporaryError(msg)
