"""Connections to DuckDB files, and what DuckDB's errors mean for a processor.

Within one process DuckDB shares one open database among all connections to the same file, as long
as they ask for the same settings (https://duckdb.org/docs/stable/connect/concurrency), and closes
it with the last of them. So every source and sink simply has a connection of its own, with no
settings, as `duckdb.connect(path)` in a user's cell has; they see each other's commits at once.
Another process cannot open a file that is open for writing here, and the other way round.
"""

from __future__ import annotations

import re
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from buildflow_nb.core.errors import BuildFlowError, PermanentError, TemporaryError
from buildflow_nb.core.process_id import process_name

__all__ = ("CLOUD", "OPENING", "connect", "fault", "name_quoted", "quoted")

CLOUD = "md:"  # MotherDuck, where nobody is kept out and opening takes long
OPENING = threading.Lock()  # a file is open in one way at a time; held while one is only looked at
_PID = re.compile(r"PID (\d+)")
_HOPELESS = re.compile("not a valid|Is a directory|ermission|orrupt|checksum")


def connect(database: str) -> Any:
    """Open a connection; the file and its folder are made where missing.

    Raises:
        TemporaryError: another process or another setting keeps the file.
        PermanentError: it is no DuckDB file.
    """
    import duckdb

    try:
        elsewhere = database.startswith(CLOUD)
        if not elsewhere:
            Path(database).parent.mkdir(parents=True, exist_ok=True)
        with nullcontext() if elsewhere else OPENING:
            return duckdb.connect(database)
    except duckdb.Error as error:
        raise fault(error, database) from error
    except OSError as error:
        msg = f"DuckDB file {database} cannot be opened: {error.strerror}; name another place"
        raise PermanentError(msg) from error


def fault(error: Exception, database: str) -> BuildFlowError:
    """The error to raise for DuckDB's."""
    import duckdb

    text = str(error)
    shown = database.partition("?")[0]
    if re.search(r"\block\b", text) and isinstance(error, duckdb.IOException):
        pid = _PID.search(text)
        who = process_name(int(pid[1])) if pid else "another process"
        return TemporaryError(f"DuckDB file {shown} is locked by {who}; close it there")
    if isinstance(error, duckdb.ConnectionException) and "different configuration" in text:
        return TemporaryError(
            f"DuckDB file {shown} is open in this process with other settings; close that "
            "connection, or open it as duckdb.connect(path), without read_only and config"
        )
    if "sqlite_scanner" in text:  # which DuckDB would load to read it
        return PermanentError(f"DuckDB file {shown} is an SQLite database; name another file")
    first = text.splitlines()[0] if text else type(error).__name__
    cure = "; name another file, or move this one away" if "not a valid" in first else ""
    msg = f"DuckDB file {shown}: {first}{cure}"
    if not _passes(error) or _HOPELESS.search(text):
        return PermanentError(msg)
    return TemporaryError(msg)


def _passes(error: Exception) -> bool:
    """Whether an error is one of the machine or of others, and not of what was asked for.

    A transaction meets another's; a disk or the memory is full, and will not be for ever.
    """
    import duckdb

    return isinstance(
        error, (duckdb.OperationalError, duckdb.InterruptException, duckdb.FatalException)
    )


def quoted(table: str) -> str:
    """The table's name for SQL; `schema.table` names a schema."""
    return ".".join(map(name_quoted, table.split(".")))


def name_quoted(name: str) -> str:
    """A name for SQL, as it stands."""
    return '"' + name.replace('"', '""') + '"'
