"""DuckDB tables to write and read, and DuckDB queries to read.

A sink holds its file while it writes and half a second longer; then anybody may open it, in this
process and in others, and the next push waits until they have closed it. While it is held, code of
the same process reads it with `duckdb.connect(path)`: an endpoint, a notebook cell. DuckDB refuses
`read_only=True` and `config=` then, since one file can be open in one way only;
`DuckDBTable.connect()` opens it in the right one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Columns, Finding
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.primitive import Env, PrimitiveId, Sink, Source, Wire
from buildflow_nb.core.resource_look import Asked, ResourceLook
from buildflow_nb.io.blocking import BlockingSink
from buildflow_nb.io.checks import looked, on_thread
from buildflow_nb.io.duckdb.checks import columns, look_to_read, look_to_write_table
from buildflow_nb.io.duckdb.connection import CLOUD, connect
from buildflow_nb.io.duckdb.look import table_found
from buildflow_nb.io.duckdb.sink import DuckDBWriter
from buildflow_nb.io.duckdb.source import DuckDBReader
from buildflow_nb.io.files.paths import absolute
from buildflow_nb.io.looks import seen
from buildflow_nb.io.resuming.source import source_over
from buildflow_nb.io.table_look import look_into_table, table_rows

__all__ = ("DuckDB", "DuckDBQuery", "DuckDBTable")


@dataclass(frozen=True, slots=True, repr=False)
class DuckDBTable(Injectable):
    """A table in the DuckDB file `database`, made by the first that writes it.

    The path is made absolute at once; `md:name` is a database at MotherDuck. As a source it is
    bounded: the rows of the moment when it is opened, as records.

    With a `key`, one column or several, a sink replaces the row of the same key instead of writing
    it again; the table is made with that primary key. With `resume` a source goes on where the last
    run of its processor was done. It counts rows, so the table must only be appended to.

    Raises:
        DeclarationError: there is no table's name, or the database is in memory.
    """

    cloud: ClassVar[str] = "local"
    source_wire: ClassVar[Wire] = Wire.RECORD
    max_pullers: ClassVar[int] = 1  # it has one cursor
    sink_wire: ClassVar[Wire] = Wire.OBJECT  # the sink reads their fields itself, column by column
    # In one INSERT; more are hardly faster, and are kept in memory meanwhile.
    max_push: ClassVar[int] = 5_000
    # While one INSERT is under way, the elements for the next one gather.
    linger_s: ClassVar[float] = 0.0
    stores_once: ClassVar[bool] = True

    database: str | os.PathLike[str]
    table: str
    key: str | Sequence[str] | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "database", _database("DuckDBTable", self.database))
        if not isinstance(self.table, str) or not self.table.strip("."):
            msg = f"DuckDBTable: table must be the name of a table, got {self.table!r}"
            raise DeclarationError(msg)
        object.__setattr__(self, "key", _key(self.key))

    def __repr__(self) -> str:
        key = f", key={self.key!r}" if self.key else ""
        resume = ", resume=True" if self.resume else ""
        return f"DuckDBTable(database={_shown(self.database)!r}, table={self.table!r}{key}{resume})"

    @property
    def replays(self) -> bool:
        """Whether a later run gets what was not done again, the same, in the same order."""
        return self.resume

    @property
    def primitive_id(self) -> PrimitiveId:
        """The absolute path and the table."""
        return PrimitiveId(f"{_shown(self.database)}:{self.table}")

    @property
    def exclusive(self) -> str:
        """The database: DuckDB locks the file for one process."""
        return _exclusive(self.database)

    @property
    def label(self) -> str:
        """The file's name and the table."""
        return f"{_name(self.database)} / {self.table}"

    def source(self, env: Env) -> AbstractAsyncContextManager[Source]:
        """Open a source over all rows, or those that are not done."""
        reader = DuckDBReader(str(self.database), self.table, None, resumable=self.resume)
        return source_over(reader, env, self, resume=self.resume)

    def sink(self, env: Env, element: object) -> AbstractAsyncContextManager[Sink]:  # noqa: ARG002
        """Open a sink that appends rows, or replaces them by their key."""
        return BlockingSink(DuckDBWriter(str(self.database), self.table, element, self.key or ()))

    async def check(self, env: Env) -> Sequence[Finding]:  # noqa: ARG002
        """Look whether the table can be read, and whether it can be written."""
        database, table = str(self.database), self.table

        async def to_read() -> str:
            return await on_thread(lambda: look_to_read(database, table, None))

        async def to_write() -> str:
            return await on_thread(lambda: look_to_write_table(database, table))

        found = await looked(self, to_read, load=_load, role="source")
        return [*found, *await looked(self, to_write, role="sink")]

    async def columns(self, env: Env) -> Columns | None:  # noqa: ARG002
        """The columns of the table, if it is there."""
        names = await on_thread(lambda: columns(str(self.database), self.table, None))
        return None if names is None else Columns(names)

    async def look(self, env: Env, asked: Asked) -> ResourceLook:  # noqa: ARG002
        """The columns of the table, how many rows it has, and the first of them."""
        database, rows = str(self.database), table_rows(asked)

        async def look(empty: ResourceLook) -> ResourceLook:
            found = await on_thread(lambda: table_found(database, self.table, rows))
            named = replace(empty, name=self.table, place=_shown(database))
            return look_into_table(named, asked, replace(found, key=tuple(self.key or ())))

        return await seen(self, "DuckDB table", look, load=_load, within_s=asked.within_s)

    def connect(self) -> Any:
        """A DuckDB connection to the file that gets along with a running flow; close it."""
        return connect(str(self.database))


@dataclass(frozen=True, slots=True, repr=False)
class DuckDBQuery(Injectable):
    """What a query over the DuckDB file `database` gives, as a bounded source of records.

    With `resume` it goes on where the last run of its processor was done. It counts rows, so the
    query must give them in the same order each time, new ones last: ORDER BY what only grows.

    Raises:
        DeclarationError: there is no query, or the database is in memory.
    """

    cloud: ClassVar[str] = "local"
    source_wire: ClassVar[Wire] = Wire.RECORD
    max_pullers: ClassVar[int] = 1  # it has one cursor

    database: str | os.PathLike[str]
    query: str
    resume: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "database", _database("DuckDBQuery", self.database))
        if not isinstance(self.query, str) or not self.query.strip():
            msg = f"DuckDBQuery: query must be SQL, got {self.query!r}"
            raise DeclarationError(msg)

    def __repr__(self) -> str:
        resume = ", resume=True" if self.resume else ""
        return f"DuckDBQuery(database={_shown(self.database)!r}, query={self.query!r}{resume})"

    @property
    def replays(self) -> bool:
        """Whether a later run gets what was not done again, the same, in the same order."""
        return self.resume

    @property
    def primitive_id(self) -> PrimitiveId:
        """The absolute path and a short name of the query."""
        digest = hashlib.blake2s(self.query.encode(), digest_size=4).hexdigest()
        return PrimitiveId(f"{_shown(self.database)}:query-{digest}")

    @property
    def exclusive(self) -> str:
        """The database: DuckDB locks the file for one process."""
        return _exclusive(self.database)

    @property
    def label(self) -> str:
        """The file's name."""
        return f"{_name(self.database)} / query"

    def source(self, env: Env) -> AbstractAsyncContextManager[Source]:
        """Open a source over the result, or what of it is not done."""
        reader = DuckDBReader(str(self.database), "", self.query, resumable=self.resume)
        return source_over(reader, env, self, resume=self.resume)

    async def check(self, env: Env) -> Sequence[Finding]:  # noqa: ARG002
        """Look whether the query can be read; it is not carried out."""

        async def to_read() -> str:
            return await on_thread(lambda: look_to_read(str(self.database), "", self.query))

        return await looked(self, to_read, load=_load)

    async def columns(self, env: Env) -> Columns | None:  # noqa: ARG002
        """The columns of the result, if the file is there."""
        names = await on_thread(lambda: columns(str(self.database), "", self.query))
        return None if names is None else Columns(names)


DuckDB = DuckDBTable  # the name in BuildFlow's documents


async def _load() -> None:
    def load() -> None:
        import duckdb

        del duckdb

    await on_thread(load)


def _database(owner: str, database: str | os.PathLike[str]) -> str:
    text = os.fspath(database)
    if not text or text.startswith(":memory:"):
        msg = f"{owner}: database must be a file, got {text!r}; one in memory ends with its sink"
        raise DeclarationError(msg)
    return text if text.startswith(CLOUD) else absolute(text)


def _key(key: object) -> tuple[str, ...] | None:
    if key is None:
        return None
    names = (key,) if isinstance(key, str) else tuple(key) if isinstance(key, Sequence) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        msg = f"DuckDBTable: key must be the name of a column, or several, got {key!r}"
        raise DeclarationError(msg)
    if len({name.lower() for name in names}) < len(names):
        msg = f"DuckDBTable: key names a column twice: {', '.join(names)}"
        raise DeclarationError(msg)
    return names


def _shown(database: object) -> str:
    """Without what follows a `?`, which may be a token."""
    text = str(database)
    return text.partition("?")[0] if text.startswith(CLOUD) else text


def _exclusive(database: object) -> str:
    """What one process only can have open, by whichever name; "" at MotherDuck."""
    text = str(database)
    return "" if text.startswith(CLOUD) else f"DuckDB file {os.path.realpath(text)}"


def _name(database: object) -> str:
    text = _shown(database)
    return text if text.startswith(CLOUD) else os.path.basename(text)  # noqa: PTH119
