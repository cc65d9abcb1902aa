"""The embedded engine: one for the process, with a few connections, each for one statement at once.

A statement is waited for on a thread of its own. What is acknowledged is on disk, since an INSERT
of a MergeTree table is a part of its own, which the engine writes before it answers.
"""

from __future__ import annotations

import asyncio
import json
import queue
import re
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import chdb

from buildflow_nb.local_cloud.clickhouse.statement import FaultError, Statement

__all__ = ("Engine", "Result")

CONNECTIONS = 4
MEMORY = Path("/dev/shm")  # noqa: S108  (a file of ours in it has a name that nobody knows)
_CODE = re.compile(r"Code:\s*(\d+)")
_COLUMNS = re.compile(r"\(([^()]*)\)\s*$", re.DOTALL)
_NAMES_ITS_COLUMNS = re.compile(r"^(Arrow|Native|Parquet|ORC|Avro|JSON|BSON|.*WithNames)")
_TARGET = re.compile(
    r"^\s*INSERT\s+INTO\s+(?:TABLE\s+)?((?:`(?:[^`\\]|\\.)*`|[^\s(`])+)", re.IGNORECASE
)
# The embedded engine would wait for ever: it has nobody who clears up what a DROP has hidden.
_WAITS = re.compile(
    r"^(\s*(?:DROP|DETACH)\b.*?)\s+(?:SYNC|NO\s+DELAY)\s*;?\s*$", re.IGNORECASE | re.DOTALL
)
_READS = re.compile(r"^\s*(SELECT|WITH)\b", re.IGNORECASE)
_HAS_SETTINGS = re.compile(r"\bSETTINGS\b", re.IGNORECASE)


class Result:
    """An answer: its bytes in the format asked for, and what the engine counted."""

    __slots__ = ("data", "read_bytes", "read_rows")

    def __init__(self, data: bytes = b"", read_rows: int = 0, read_bytes: int = 0) -> None:
        self.data = data
        self.read_rows = read_rows
        self.read_bytes = read_bytes


class Engine:
    """The engine on a state folder; used from the loop of the server."""

    def __init__(self, state: Path) -> None:
        self._free: queue.Queue[Any] = queue.Queue(CONNECTIONS)
        for _ in range(CONNECTIONS):
            self._free.put(chdb.connect(str(state / "data")))
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="clickhouse")

    async def run(self, statement: Statement) -> Result:
        """Run a statement; waits for a connection where all are busy.

        Raises:
            FaultError: the engine refused it.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._run, statement)

    def close(self) -> bool:
        """Close what is free; whether that is all, and no statement is under way any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        closed = 0
        while not self._free.empty():
            self._free.get().close()
            closed += 1
        return closed == CONNECTIONS

    def _run(self, statement: Statement) -> Result:
        with self._connection(statement.database) as connection:
            try:
                if statement.rows is not None:
                    _insert(connection, statement, statement.rows)
                    return Result()
                return _query(connection, statement)
            except FaultError:
                raise
            except Exception as error:
                found = _CODE.search(str(error))
                raise FaultError(int(found[1]) if found else 1000, str(error)) from error

    @contextmanager
    def _connection(self, database: str) -> Iterator[Any]:
        """A connection that has this database, and afterwards the default one again."""
        connection = self._free.get()
        try:
            if database:
                _use(connection, database)
            yield connection
        finally:
            if database:
                with suppress(FaultError):
                    _use(connection, "default")
            self._free.put(connection)


def _use(connection: Any, database: str) -> None:
    try:
        connection.query(f"USE {_name(database)}", "CSV")
    except Exception as error:
        raise FaultError(81, f"Database {database} does not exist. (UNKNOWN_DATABASE)") from error


def _query(connection: Any, statement: Statement) -> Result:
    waits = _WAITS.match(statement.sql)
    sql = waits[1] if waits is not None else statement.sql
    if statement.settings and _READS.match(sql) and not _HAS_SETTINGS.search(sql):
        sql = f"{sql}\n{_said(statement.settings)}"
    words = {"params": dict(statement.parameters)} if statement.parameters else {}
    found = connection.query(sql, statement.format, **words)
    return Result(found.bytes() or b"", found.rows_read(), found.bytes_read())


def _insert(connection: Any, statement: Statement, rows: bytes) -> None:
    """Through a file in memory: the engine has no other way to be given rows."""
    sql = f"{statement.sql} {_said(statement.settings)}" if statement.settings else statement.sql
    named = _COLUMNS.search(statement.sql)
    columns = named[1] if named is not None else "*"
    folder = MEMORY if MEMORY.is_dir() else None
    with tempfile.NamedTemporaryFile(dir=folder, prefix="buildflow-") as file:
        file.write(rows)
        file.flush()
        words = [file.name, statement.format]
        if not _NAMES_ITS_COLUMNS.search(statement.format):
            words.append(_structure(connection, statement.sql, named[1] if named else ""))
        rows_of = f"file({', '.join(map(_text, words))})"
        connection.query(f"{sql} SELECT {columns} FROM {rows_of}", "CSV")  # noqa: S608


def _structure(connection: Any, sql: str, columns: str) -> str:
    """What rows without names are: the columns of the table that they go to, with their types."""
    table = _TARGET.match(sql)
    if table is None:
        return "auto"
    wanted = columns.strip() or "*"
    described = f"DESCRIBE (SELECT {wanted} FROM {table[1]})"  # noqa: S608  (a statement of theirs)
    found = json.loads(connection.query(described, "JSONCompact").bytes())["data"]
    return ", ".join(f"{_name(row[0])} {row[1]}" for row in found)


def _said(settings: Mapping[str, str]) -> str:
    return "SETTINGS " + ", ".join(f"{name}={_text(value)}" for name, value in settings.items())


def _name(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
