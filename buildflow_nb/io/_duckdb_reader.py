"""Reads a DuckDB query as records, batch by batch, without holding the result in memory."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from buildflow_nb.core.errors import TemporaryError
from buildflow_nb.core.primitive import Batch
from buildflow_nb.io._arrow import record_rows
from buildflow_nb.io._duckdb import connect, fault, quoted

__all__ = ("DuckDBReader",)

BATCH_ROWS = 1_000


class DuckDBReader:
    """Runs `query` (or reads `table`) on a connection of its own, which the open result occupies.

    The rows are those of the moment when it was opened, whatever is written meanwhile.
    """

    def __init__(self, database: str, table: str, query: str | None) -> None:
        self._database = database
        self._table = table
        self._query = query or f"FROM {quoted(table)}"
        self._counted = query is None
        self._connection: Any = None
        self._batches: Iterator[Any] = iter(())
        self._decoders: dict[str, Callable[[Any], Any]] = {}
        self._row = 1
        self._left: int | None = None

    def open(self) -> None:
        """Start the query."""
        import duckdb

        self.close()
        if not self._database.startswith("md:") and not Path(self._database).exists():
            # DuckDB would make an empty one.
            msg = f"DuckDB file {self._database} does not exist (yet); what writes it?"
            raise TemporaryError(msg)
        self._connection = connect(self._database)
        try:
            self._start()
        except duckdb.CatalogException as error:
            first = str(error).splitlines()[0]
            self.close()
            msg = f"DuckDB file {self._database} does not hold what is asked for (yet): {first}"
            raise TemporaryError(msg) from error
        except duckdb.Error as error:
            self.close()
            raise fault(error, self._database) from error

    def _start(self) -> None:
        relation = self._connection.sql(self._query)
        types = zip(relation.columns, map(str, relation.types), strict=True)
        known: dict[str, Callable[[Any], Any]] = {"JSON": json.loads, "INTERVAL": _timedelta}
        self._decoders = {name: known[kind] for name, kind in types if kind in known}
        if self._counted:
            rows = self._connection.execute(f"SELECT count(*) FROM {quoted(self._table)}")  # noqa: S608
            self._left = rows.fetchall()[0][0]
        name = "to_arrow_reader" if hasattr(relation, "to_arrow_reader") else "fetch_arrow_reader"
        self._batches = iter(getattr(relation, name)(BATCH_ROWS))  # the latter is DuckDB 1's
        self._row = 1

    def read(self) -> Batch | None:
        """The next records."""
        import duckdb
        import pyarrow as pa

        try:
            found = next(self._batches, None)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise fault(error, self._database) from error
        if found is None:
            self.close()
            return None
        first, self._row = self._row, self._row + found.num_rows
        if self._left is not None:
            self._left = max(0, self._left - found.num_rows)
        name = self._table or "query"
        return Batch(record_rows(found, self._decoders), origin=lambda i: f"{name} row {first + i}")

    def left(self) -> int | None:
        """Rows left of a table; unknown for a query."""
        return self._left

    def close(self) -> None:
        """Give up the result and the connection."""
        self._batches = iter(())
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _timedelta(value: Any) -> object:
    """Arrow's interval as a timedelta, where it has no months."""
    if getattr(value, "months", 0):
        return value
    return dt.timedelta(days=value.days, microseconds=value.nanoseconds // 1000)
