"""Writes elements to a table of Snowflake: a push is one Parquet file, put on a stage and copied.

The file lies on a stage of our own in the table's schema for as long as its COPY takes, which
stores all of it or nothing. `push_once` notes in the table `BUILDFLOW_PUSHES`, in the transaction
of the COPY, how far its writer is and what was at fault: the load history alone would not do,
since a file that is put again is encrypted anew and so is another one to it.
Source: Snowflake documentation, "COPY INTO <table>", "PUT", "Transactions".
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import ConversionError, PermanentError
from buildflow_nb.core.primitive import PushId
from buildflow_nb.io.columns.element_columns import ElementColumns, columns_of, columns_seen
from buildflow_nb.io.columns.misfits import taken
from buildflow_nb.io.partial_push import Failures, raise_failed
from buildflow_nb.io.snowflake.client import Account, connect, described
from buildflow_nb.io.snowflake.column_types import column_type, copy_into, parquet_of, quoted
from buildflow_nb.io.snowflake.errors import ABSENT, element_faults, fault_of
from buildflow_nb.io.snowflake.existing_types import ExistingColumn, misfits
from buildflow_nb.io.snowflake.ledger import Ledger, Progress

__all__ = ("STAGE", "SnowflakeWriter")

STAGE = "BUILDFLOW_STAGE"


class SnowflakeWriter:
    """Appends to a table over one connection; used by one thread at once."""

    def __init__(self, account: Account, env: Env, element: object, stage: str | None) -> None:
        self._account = account
        self._env = env
        self._columns = columns_of(element)
        self._stage = f"{account.place}.{quoted(stage or STAGE)}"
        self._connection: Any = None
        self._cursor: Any = None
        self._ledger: Ledger | None = None  # once it is there
        self._existing: dict[str, ExistingColumn] = {}  # of a table that was there
        self._ready = False  # whether table and stage are there

    def open(self) -> None:
        """Connect; make or look at the table, as far as the columns are known."""
        self.close()
        self._connection = connect(self._account, self._env)
        self._cursor = self._connection.cursor()
        if self._columns is not None:
            self._prepare(self._columns)

    def close(self) -> None:
        """Close the connection."""
        self._ready, self._ledger = False, None
        if self._connection is not None:
            with suppress(Exception):  # of one that is broken
                self._connection.close()
            self._connection = self._cursor = None

    def write(self, items: Sequence[object]) -> None:
        """Append the items; where some do not fit, their neighbours."""
        self._write(items, None)

    def write_once(self, items: Sequence[object], push: PushId) -> None:
        """The same, for what no push of this id has appended before."""
        self._write(items, push)

    def _write(self, items: Sequence[object], push: PushId | None) -> None:
        if self._connection is None:
            self.open()
        columns = self._columns = self._columns or columns_seen(items)
        if not self._ready:
            self._prepare(columns)
        failed: Failures = {}
        try:
            self._write_all(columns, items, push, failed)
        except Exception as error:
            mended = fault_of(error, self._account.said)
            if not isinstance(mended, ConversionError):
                self.close()  # whatever it was in the middle of
            raise mended from error
        raise_failed(failed, len(items), "elements cannot be written")

    def _write_all(
        self,
        columns: ElementColumns,
        items: Sequence[object],
        push: PushId | None,
        failed: Failures,
    ) -> None:
        progress = None if push is None else self._progress(push, len(items), failed)
        first = 0 if progress is None else progress.behind
        if first and first == len(items):
            return  # a push that is repeated
        fitted = columns.fit(items[first:])
        failed |= {first + place: error for place, error in fitted.faults.items()}
        table, places = fitted.table, [first + place for place in fitted.kept]
        strange = dict(misfits(table, columns.columns, self._existing))
        for row, reason in strange.items():
            failed[places[row]] = ConversionError(f"{self._account.said}: {reason}")
        if strange:
            sound = [row for row in range(len(places)) if row not in strange]
            table, places = taken(table, sound), [places[row] for row in sound]
        self._append(columns, table, places, progress, failed)
        if progress is not None and progress.behind < len(items):  # the last are at fault
            self._in_transaction(lambda: progress.note(len(items)))

    def _append(
        self,
        columns: ElementColumns,
        table: Any,
        places: list[int],
        progress: Progress | None,
        failed: Failures,
    ) -> None:
        """Append rows, of which `places` are the positions; those at fault by halving."""
        if not places:
            return
        try:
            self._copy(columns, table, places[-1] + 1, progress)
        except Exception as error:
            if not element_faults(error):
                raise
            if len(places) == 1:
                failed[places[0]] = fault_of(error, self._account.said)
                return
            middle = len(places) // 2
            self._append(columns, table.slice(0, middle), places[:middle], progress, failed)
            self._append(columns, table.slice(middle), places[middle:], progress, failed)

    def _copy(
        self, columns: ElementColumns, table: Any, behind: int, progress: Progress | None
    ) -> None:
        """Append rows, and note in the same transaction that the push is done up to `behind`."""
        name = f"{uuid.uuid4().hex}.parquet"
        data = parquet_of(table, columns.columns)
        for again in (False, True):
            try:
                self._put_and_copy(columns, name, data, behind, progress)
            except Exception as error:
                if again or getattr(error, "errno", None) != ABSENT:
                    raise
                self._prepare(columns)  # somebody has dropped it since
                if self._ledger is not None:
                    self._ledger.make()
            else:
                return

    def _put_and_copy(
        self,
        columns: ElementColumns,
        name: str,
        data: bytes,
        behind: int,
        progress: Progress | None,
    ) -> None:
        run = self._cursor.execute
        put = f"PUT file://{name} @{self._stage} AUTO_COMPRESS=FALSE OVERWRITE=TRUE"
        run(put, file_stream=io.BytesIO(data))
        source = f"@{self._stage}/{name}"
        copy = copy_into(self._account.full_name, source, columns.columns)
        copy += " ON_ERROR = ABORT_STATEMENT"
        if progress is None:
            run(copy)
        else:

            def work() -> None:
                run(copy)
                progress.note(behind)

            self._in_transaction(work)
            progress.behind = behind
        with suppress(Exception):  # a file that is left behind is in nobody's way
            run(f"REMOVE @{self._stage}/{name}")

    def _in_transaction(self, work: Callable[[], object]) -> None:
        run = self._cursor.execute
        run("BEGIN")
        try:
            work()
            run("COMMIT")
        except BaseException:
            with suppress(Exception):  # the connection may be what is at fault
                run("ROLLBACK")
            raise

    def _progress(self, push: PushId, count: int, failed: Failures) -> Progress:
        """How far a push is that may be a repeated one; `failed` gets what it was told before."""
        if self._ledger is None:
            ledger = Ledger(self._cursor, self._account)
            ledger.make()
            self._ledger = ledger
        return Progress(self._ledger, push, count, failed)

    def _prepare(self, columns: ElementColumns) -> None:
        """Make what is missing, or look at what is there.

        Raises:
            PermanentError: the table has other columns, or may not be made.
        """
        if not all(column.name for column in columns.columns):
            msg = f"{self._account.said}: a field has an empty name, which no column has; name it"
            raise PermanentError(msg)
        existing = described(self._cursor, self._account)
        if existing:
            self._check(existing, columns)
        self._existing = existing
        statements = [] if existing else self._making(columns)
        statements.append(f"USE SCHEMA {self._account.place}")  # a COPY wants a current one
        statements.append(f"CREATE STAGE IF NOT EXISTS {self._stage}")
        for statement in statements:
            try:
                self._cursor.execute(statement)
            except Exception as error:
                raise fault_of(error, self._account.said) from error
        self._ready = True

    def _making(self, columns: ElementColumns) -> list[str]:
        parts = ", ".join(
            f"{quoted(name)} {column_type(kind)}{'' if optional else ' NOT NULL'}"
            for name, kind, optional in columns.columns
        )
        return [
            f"CREATE DATABASE IF NOT EXISTS {quoted(self._account.database)}",
            f"CREATE SCHEMA IF NOT EXISTS {self._account.place}",
            f"CREATE TABLE IF NOT EXISTS {self._account.full_name} ({parts})",
        ]

    def _check(self, existing: dict[str, ExistingColumn], columns: ElementColumns) -> None:
        missing = [column.name for column in columns.columns if column.name not in existing]
        if missing:
            msg = (
                f"{self._account.said} has no column {', '.join(map(repr, missing))} (it has "
                f"{', '.join(existing)}); add it, drop the table, or write to another one"
            )
            raise PermanentError(msg)
