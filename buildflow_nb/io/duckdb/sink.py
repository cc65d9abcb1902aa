"""Writes elements to a DuckDB table: one Arrow table, one INSERT, one transaction a push.

The table is made from the declared type when the sink is opened; where that leaves something open
(no type, or times that may or may not have a zone) from the first push. Values are matched to
columns by name. A time with a zone that goes into a column without one is stored as UTC.

With a key, a push first deletes the rows of its keys, in the same transaction, so an element that
is written again replaces itself. Of two elements of one key in a push the last one stays.

Between pushes the writer lets go of the file, so that other connections, also those that only read,
and other processes get in.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from buildflow_nb.core.errors import ConversionError, PermanentError, told
from buildflow_nb.core.primitive import PushId
from buildflow_nb.io.columns.arrow import Tables, kinds_of
from buildflow_nb.io.columns.kinds import Kind
from buildflow_nb.io.columns.layout import Layout
from buildflow_nb.io.duckdb.connection import CLOUD, connect, fault, name_quoted, quoted
from buildflow_nb.io.duckdb.cuts import Cut, cutting, refuse_cut, refuse_no_moments
from buildflow_nb.io.partial_push import ELEMENT_FAULTS, Failures, raise_failed, write_sound

__all__ = ("DuckDBWriter",)

LEDGER = "buildflow_pushes"
FAULTS = "buildflow_push_faults"
KEPT = 100_000  # elements of a writer whose faults are remembered; more than the last pushes have
PUSHED = "buildflow_nb_push"  # the name under which a push is visible to its own connection
REST_S = 0.5  # without a push; to open the file again takes some hundredths of a second
# Two sinks that make one table at once would meet in DuckDB as a write-write conflict.
_MAKING = threading.Lock()
# So would two that replace the same rows, by database.
_REPLACING: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


@dataclass(frozen=True, slots=True)
class _Note:
    """That a writer has pushed `done` elements; `faults` are by position among all of them."""

    writer: str
    done: int
    faults: Failures


class DuckDBWriter:
    """Appends to a table, or replaces rows of the same `key`, on a connection of its own."""

    rest_s: ClassVar[float] = REST_S

    def __init__(self, database: str, table: str, element: object, key: Sequence[str] = ()) -> None:
        self._database = database
        self._table = table
        self._key = tuple(key)
        self._tables = Tables(element)
        self._fitted = False  # whether it is known that the table has such columns
        self._cutting: Sequence[Cut] = ()  # columns that would cut some of their values
        self._connection: Any = None

    def open(self) -> None:
        """Connect, and make or check the table as far as the columns are known."""
        import duckdb

        self.close()
        self._connection = connect(self._database)
        try:
            existing = self._existing()
            layout = self._tables.known
            if existing and layout is not None:
                self._check(existing, layout.names)
            elif layout is not None:
                self._demand_key_in(layout.names)
                kinds = kinds_of(layout, [[] for _ in layout.names])
                if not any("TIMESTAMP" in kind.sql for kind in kinds.values()):
                    self._make(kinds)
        except duckdb.Error as error:
            raise fault(error, self._database) from error

    def write(self, items: Sequence[object]) -> None:
        """Insert the items; where some do not fit, their neighbours."""
        import duckdb

        layout = self._tables.layout(items)
        faults = (*ELEMENT_FAULTS, duckdb.DataError, duckdb.IntegrityError)
        try:
            write_sound(items, lambda sound: self._insert(layout, sound), faults)
        except duckdb.FatalException as error:
            self.close()  # this connection is of no more use; the next push opens another
            raise fault(error, self._database) from error
        except duckdb.Error as error:
            raise fault(error, self._database) from error

    def write_once(self, items: Sequence[object], push: PushId) -> None:
        """Insert the items that no earlier push of this id has; where some do not fit, the others.

        How far a writer's pushes are is noted in the table `buildflow_pushes` of the same file, in
        the transaction of its elements, and which were at fault in `buildflow_push_faults`: they
        are told again when the push is, since a run that was cut off may have told nobody.
        """
        import duckdb

        layout, failed = self._tables.layout(items), Failures()
        faults = (*ELEMENT_FAULTS, duckdb.DataError, duckdb.IntegrityError)
        new = Failures()  # that are not noted yet, by position among all of the writer's elements

        def write(some: Sequence[object], start: int) -> None:
            done = self._ledger(push.writer) - push.first - start
            if done >= len(some):
                return
            end = push.first + start + len(some)
            try:
                self._insert(layout, some[max(done, 0) :], _Note(push.writer, end, new))
            except faults as error:
                if len(some) == 1:
                    failed[start] = new[push.first + start] = error
                    return
                middle = len(some) // 2
                write(some[:middle], start)
                write(some[middle:], start + middle)
            else:
                new.clear()

        try:
            failed |= self._faults_of(push)
            write(items, 0)
            if new:
                self._in_transaction(_Note(push.writer, push.first + len(items), new), rows=False)
        except duckdb.FatalException as error:
            self.close()
            raise fault(error, self._database) from error
        except duckdb.Error as error:
            raise fault(error, self._database) from error
        raise_failed(failed, len(items), "elements cannot be written")

    def rest(self) -> None:
        """Let go of the file; the next write takes it again."""
        if not self._database.startswith(CLOUD):
            self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _insert(self, layout: Layout, items: Sequence[object], note: _Note | None = None) -> None:
        import duckdb

        if self._connection is None:
            self.open()
        table = self._tables.make(layout, items)
        refuse_no_moments(table)
        if not self._fitted:
            self._fit(layout.names)
            self._tables.keep()
            self._fitted = True
        if self._key:
            table = self._of_one_each(table)
        try:
            self._insert_table(table, note)
        except (duckdb.CatalogException, duckdb.BinderException):
            # Somebody has dropped or altered the table since: make it anew, or say what is wrong.
            self._fit(layout.names)
            self._insert_table(table, note)

    def _insert_table(self, table: Any, note: _Note | None) -> None:
        connection = self._connection
        connection.register(PUSHED, table)
        try:
            refuse_cut(connection, PUSHED, self._cutting)
            if self._key or note is not None:
                self._in_transaction(note)
            else:
                connection.execute(f"INSERT INTO {quoted(self._table)} BY NAME FROM {PUSHED}")
        finally:
            connection.unregister(PUSHED)

    def _in_transaction(self, note: _Note | None, *, rows: bool = True) -> None:
        """Replace by the key, if there is one; note how far a writer is, if that is to be known."""
        table, connection = quoted(self._table), self._connection
        with _REPLACING[self._database]:
            connection.begin()
            try:
                if rows and self._key:  # three times as fast as INSERT OR REPLACE, in big tables
                    names = map(name_quoted, self._key)
                    same = " AND ".join(f"old.{name} = {PUSHED}.{name}" for name in names)
                    connection.execute(f"DELETE FROM {table} AS old USING {PUSHED} WHERE {same}")  # noqa: S608
                if rows:
                    connection.execute(f"INSERT INTO {table} BY NAME FROM {PUSHED}")
                if note is not None:
                    self._note(note)
                connection.commit()
            except BaseException:
                with suppress(Exception):  # the fault may have ended the transaction
                    connection.rollback()
                raise

    def _note(self, note: _Note) -> None:
        """Note how far a writer is, within a transaction, and its elements at fault."""
        connection, own = self._connection, [note.writer, self._table]
        noting = f"INSERT OR REPLACE INTO {LEDGER} VALUES (?, ?, ?)"  # noqa: S608
        connection.execute(noting, [*own, note.done])
        if note.faults:
            before = note.done - KEPT
            where = "writer = ? AND target = ? AND position < ?"
            connection.execute(f"DELETE FROM {FAULTS} WHERE {where}", [*own, before])  # noqa: S608
            rows = [[*own, at, told(error)] for at, error in note.faults.items()]
            connection.executemany(f"INSERT INTO {FAULTS} VALUES (?, ?, ?, ?)", rows)  # noqa: S608

    def _faults_of(self, push: PushId) -> Failures:
        """The elements of a push that were at fault when it was written before."""
        if self._connection is None:
            self.open()
        with _MAKING:
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {FAULTS} "
                "(writer VARCHAR, target VARCHAR, position BIGINT, reason VARCHAR)"
            )
        where = "writer = ? AND target = ? AND position >= ? AND position < ?"
        found = self._connection.execute(
            f"SELECT position, reason FROM {FAULTS} WHERE {where} ORDER BY position",  # noqa: S608
            [push.writer, self._table, push.first, push.first + push.count],
        ).fetchall()
        return {int(at) - push.first: ConversionError(reason) for at, reason in found}

    def _ledger(self, writer: str) -> int:
        """How many elements the pushes of a writer have written."""
        if self._connection is None:
            self.open()
        with _MAKING:
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {LEDGER} "
                "(writer VARCHAR, target VARCHAR, done BIGINT, PRIMARY KEY (writer, target))"
            )
        where = "writer = ? AND target = ?"
        found = self._connection.execute(
            f"SELECT done FROM {LEDGER} WHERE {where}",  # noqa: S608
            [writer, self._table],
        ).fetchall()
        return int(found[0][0]) if found else 0

    def _of_one_each(self, table: Any) -> Any:
        """The last row of each key.

        Raises:
            ConversionError: a row has no value for its key.
        """
        by_name = {name.lower(): i for i, name in enumerate(table.column_names)}
        columns = [table.column(by_name[name.lower()]) for name in self._key]
        for name, column in zip(self._key, columns, strict=True):
            if column.null_count:
                msg = f"column {name!r} is the key of table {self._table!r} and has no value"
                raise ConversionError(msg)
        keys = zip(*(column.to_pylist() for column in columns), strict=True)
        last = {str(key): i for i, key in enumerate(keys)}
        return table if len(last) == table.num_rows else table.take(sorted(last.values()))

    def _fit(self, names: Sequence[str]) -> None:
        existing = self._existing()
        if existing:
            self._check(existing, names)
        else:
            self._demand_key_in(names)
            self._make(self._tables.kinds)

    def _existing(self) -> dict[str, tuple[str, bool]]:
        """The columns of the table, if it is there: type, and whether it is of the primary key."""
        import duckdb

        try:
            rows = self._connection.execute(f"DESCRIBE {quoted(self._table)}").fetchall()
        except duckdb.CatalogException:
            return {}
        return {name: (kind, key == "PRI") for name, kind, _null, key, *_ in rows}

    def _check(self, existing: Mapping[str, tuple[str, bool]], names: Sequence[str]) -> None:
        known = {name.lower() for name in existing}  # DuckDB's names know no case
        missing = [name for name in names if name.lower() not in known]
        if missing:
            msg = (
                f"table {self._table!r} in {self._database} has no column "
                f"{', '.join(map(repr, missing))} (it has {', '.join(existing)}); "
                "add it, drop the table, or write to another one"
            )
            raise PermanentError(msg)
        self._demand_key_in(names)
        found = {name.lower() for name, (_, key) in existing.items() if key}
        if self._key and found != {name.lower() for name in self._key}:
            key = ", ".join(map(name_quoted, self._key))
            msg = (
                f"table {self._table!r} in {self._database} has not the primary key ({key}), so "
                f"nothing can be replaced in it; ALTER TABLE {quoted(self._table)} ADD PRIMARY KEY "
                f"({key}), or write to another one"
            )
            raise PermanentError(msg)
        types = {name: kind for name, (kind, _) in existing.items()}
        self._cutting = cutting(types, self._tables.kinds)

    def _demand_key_in(self, names: Sequence[str]) -> None:
        """Raises: PermanentError: a column of the key is no field, or a field has no name."""
        if "" in names:
            msg = (
                f"table {self._table!r}: the elements have a field named '', which no column can "
                "be; give it a name"
            )
            raise PermanentError(msg)
        known = {name.lower() for name in names}
        missing = [name for name in self._key if name.lower() not in known]
        if missing:
            msg = (
                f"the key {missing[0]!r} of table {self._table!r} is no field of the elements "
                f"(they have {', '.join(names)}); name one of them"
            )
            raise PermanentError(msg)

    def _make(self, kinds: Mapping[str, Kind]) -> None:
        parts = [f"{name_quoted(name)} {kind.sql}" for name, kind in kinds.items()]
        if self._key:
            parts.append(f"PRIMARY KEY ({', '.join(map(name_quoted, self._key))})")
        with _MAKING:
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {quoted(self._table)} ({', '.join(parts)})"
            )
