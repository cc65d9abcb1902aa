"""Writes elements to a DuckDB table: one Arrow table, one INSERT, one transaction a push.

The table is made from the declared type when the sink is opened; where that leaves something open
(no type, or times that may or may not have a zone) from the first push. Values are matched to
columns by name. A time with a zone that goes into a column without one is stored as UTC.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from buildflow_nb.core.errors import ConversionError, PermanentError
from buildflow_nb.io._arrow import arrow_schema, arrow_table, kinds_of
from buildflow_nb.io._duckdb import connect, fault, quoted
from buildflow_nb.io._kinds import Kind
from buildflow_nb.io._layout import (
    ELEMENT_FAULTS,
    Layout,
    declared_layout,
    seen_layout,
    write_sound,
)

__all__ = ("DuckDBWriter",)

PUSHED = "buildflow_nb_push"  # the name under which a push is visible to its own connection
# Two sinks that make one table at once would meet in DuckDB as a write-write conflict.
_MAKING = threading.Lock()


class DuckDBWriter:
    """Appends to a table on a connection of its own."""

    def __init__(self, database: str, table: str, element: object) -> None:
        self._database = database
        self._table = table
        self._layout = declared_layout(element)
        self._kinds: dict[str, Kind] = {}
        self._schema: Any = None
        self._connection: Any = None

    def open(self) -> None:
        """Connect, and make or check the table as far as the columns are known."""
        import duckdb

        self.close()
        self._connection = connect(self._database)
        try:
            existing = self._existing()
            if existing and self._layout is not None:
                self._check(existing, self._layout.names)
            elif not existing and self._layout is not None:
                kinds = kinds_of(self._layout, [[] for _ in self._layout.names])
                if not any("TIMESTAMP" in kind.sql for kind in kinds.values()):
                    self._make(kinds)
        except duckdb.Error as error:
            raise fault(error, self._database) from error

    def write(self, items: Sequence[object]) -> None:
        """Insert the items; where some do not fit, their neighbours."""
        import duckdb

        layout = self._layout or seen_layout(items)
        faults = (*ELEMENT_FAULTS, duckdb.DataError, duckdb.IntegrityError)
        try:
            write_sound(items, lambda sound: self._insert(layout, sound), faults)
        except duckdb.FatalException as error:
            self.close()  # this connection is of no more use; the next push opens another
            raise fault(error, self._database) from error
        except duckdb.Error as error:
            raise fault(error, self._database) from error

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _insert(self, layout: Layout, items: Sequence[object]) -> None:
        import duckdb

        if self._connection is None:
            self.open()
        columns = layout.columns(items)
        if self._schema is None:
            self._prepare(layout, columns)
        table = arrow_table(self._kinds, self._schema, columns)
        try:
            self._insert_table(table)
        except (duckdb.CatalogException, duckdb.BinderException):
            # Somebody has dropped or altered the table since: make it anew, or say what is wrong.
            self._fit(layout.names, self._kinds)
            self._insert_table(table)

    def _insert_table(self, table: Any) -> None:
        connection = self._connection
        connection.register(PUSHED, table)
        try:
            connection.execute(f"INSERT INTO {quoted(self._table)} BY NAME FROM {PUSHED}")
        finally:
            connection.unregister(PUSHED)

    def _prepare(self, layout: Layout, columns: Sequence[Sequence[Any]]) -> None:
        """Settle the column types, with the first elements that can be written."""
        if not layout.names:
            msg = "the element has no fields"
            raise ConversionError(msg)
        kinds = kinds_of(layout, columns)
        schema = arrow_schema(kinds)
        arrow_table(kinds, schema, columns)  # raises before a table is made for what is at fault
        self._fit(layout.names, kinds)
        self._layout, self._kinds, self._schema = layout, kinds, schema

    def _fit(self, names: Sequence[str], kinds: Mapping[str, Kind]) -> None:
        existing = self._existing()
        if existing:
            self._check(existing, names)
        else:
            self._make(kinds)

    def _existing(self) -> list[str]:
        """The columns of the table, none where there is no table."""
        import duckdb

        try:
            rows = self._connection.execute(f"DESCRIBE {quoted(self._table)}").fetchall()
        except duckdb.CatalogException:
            return []
        return [row[0] for row in rows]

    def _check(self, existing: Sequence[str], names: Sequence[str]) -> None:
        known = {name.lower() for name in existing}  # DuckDB's names know no case
        missing = [name for name in names if name.lower() not in known]
        if missing:
            msg = (
                f"table {self._table!r} in {self._database} has no column "
                f"{', '.join(map(repr, missing))} (it has {', '.join(existing)}); "
                "add it, drop the table, or write to another one"
            )
            raise PermanentError(msg)

    def _make(self, kinds: Mapping[str, Kind]) -> None:
        columns = ", ".join(f"{_quoted_name(name)} {kind.sql}" for name, kind in kinds.items())
        with _MAKING:
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {quoted(self._table)} ({columns})"
            )


def _quoted_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
