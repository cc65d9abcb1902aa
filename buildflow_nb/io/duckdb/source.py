"""Reads a DuckDB query as records, batch by batch, without holding the result in memory.

DuckDB computes rows while they are fetched. An error of a row then ends the result, and none that
waiting mends (a cast that is not possible, memory that does not suffice): so it is permanent.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.primitive import Batch
from buildflow_nb.io.columns.arrow_rows import record_rows, repeated
from buildflow_nb.io.duckdb.connection import CLOUD, connect, fault, name_quoted, quoted
from buildflow_nb.io.resuming.offset import Offset

__all__ = ("DuckDBReader",)

BATCH_ROWS = 1_000
_INTERVAL = re.compile(
    r"(?:(?P<days>-?\d+) days? ?)?"
    r"(?:(?P<sign>-?)(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.(?P<part>\d+))?)?"
)


def _timedelta(text: str) -> dt.timedelta:
    found = _INTERVAL.fullmatch(text)
    if found is None:
        msg = "has months, which are no fixed time; extract its parts, or give it in days"
        raise ValueError(msg)
    time = dt.timedelta(
        hours=int(found["hours"] or 0),
        minutes=int(found["minutes"] or 0),
        seconds=int(found["seconds"] or 0),
        microseconds=int((found["part"] or "").ljust(6, "0")[:6]),
    )
    return dt.timedelta(days=int(found["days"] or 0)) + (-time if found["sign"] else time)


# What becomes of values of these types. Some come as text, since Arrow or pyarrow does not hold
# them: large numbers would wrap round, offsets be dropped, and the others be DuckDB's own bytes.
_CASTS = {
    "INTERVAL": "VARCHAR",
    "TIME WITH TIME ZONE": "VARCHAR",
    "UHUGEINT": "VARCHAR",
    "BIGNUM": "VARCHAR",
    "VARINT": "VARCHAR",
    "BIT": "VARCHAR",
    "VARIANT": "JSON",
}
_FINISHES: dict[str, Callable[[Any], Any]] = {
    "INTERVAL": _timedelta,
    "TIME WITH TIME ZONE": dt.time.fromisoformat,
    "HUGEINT": int,
    "UHUGEINT": int,
    "BIGNUM": int,
    "VARINT": int,
    "JSON": json.loads,
    "VARIANT": json.loads,
}


class DuckDBReader:
    """Runs `query` (or reads `table`) on a connection of its own, which the open result occupies.

    The rows are those of the moment when it was opened, whatever is written meanwhile. With
    `resumable` it says where batches begin; that takes a query whose order is always the same.
    """

    def __init__(
        self, database: str, table: str, query: str | None, *, resumable: bool = False
    ) -> None:
        self._database = database
        self._resumable = resumable
        self._table = table
        self._query = query or f"FROM {quoted(table)}"
        self._counted = query is None
        self._connection: Any = None
        self._batches: Iterator[Any] = iter(())
        self._finish: dict[str, Callable[[Any], Any]] = {}
        self._number = 0
        self._left: int | None = None
        self._first = self._last = ""  # of the rows that were read
        self._rest: Any = None  # of a batch that was skipped in part
        self.began = Offset()
        self.waits_for = ""  # whole rows only are there

    def open(self) -> None:
        """Start the query."""
        import duckdb

        self.close()
        if not self._database.startswith(CLOUD) and not Path(self._database).exists():
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
            told = fault(error, self._database)
            if isinstance(error, duckdb.OutOfMemoryException):  # so it will be the next time
                told = PermanentError(str(told))
            raise told from error
        except PermanentError:
            self.close()
            raise

    def _start(self) -> None:
        relation = self._connection.sql(self._query)
        if relation is None:
            msg = f"the query over DuckDB file {self._database} gives no rows; make it a SELECT"
            raise PermanentError(msg)
        twice = repeated(relation.columns)
        if twice is not None:
            msg = (
                f"the {'query' if not self._table else 'table'} has two columns named {twice!r}, "
                "of which one would hide the other; name them with AS"
            )
            raise PermanentError(msg)
        relation = self._readable(relation)
        if self._counted:
            rows = self._connection.execute(f"SELECT count(*) FROM {quoted(self._table)}")  # noqa: S608
            self._left = rows.fetchall()[0][0]
        name = "to_arrow_reader" if hasattr(relation, "to_arrow_reader") else "fetch_arrow_reader"
        self._batches = iter(getattr(relation, name)(BATCH_ROWS))  # the latter is DuckDB 1's
        self._number, self._first, self._last = 0, "", ""

    def _readable(self, relation: Any) -> Any:
        """The relation, with text for what Arrow does not hold; sets what undoes that."""
        types = dict(zip(relation.columns, map(str, relation.types), strict=True))
        self._finish = {n: _FINISHES[kind] for n, kind in types.items() if kind in _FINISHES}
        casts = {name_quoted(n): _CASTS[kind] for n, kind in types.items() if kind in _CASTS}
        if not casts:
            return relation
        changes = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in casts.items())
        return relation.project(f"* REPLACE ({changes})")

    def read(self) -> Batch | None:
        """The next records."""
        found = self._fetch()
        if found is None:
            self.close()
            return None
        first = self._number
        self.began = Offset("", first, self._at())
        self._pass(found)
        name = self._table or "query"
        items = record_rows(found, self._finish)
        return Batch(items, origin=lambda i: f"{name} row {first + 1 + i}")

    @property
    def here(self) -> Offset:
        """Where the next rows begin."""
        return Offset("", self._number, self._at())

    def still(self, offset: Offset) -> bool:
        """Whether the rows before an offset are what they were; reads them, and begins anew."""
        same = self._skip_to(offset)
        self.open()
        return same

    def go_to(self, offset: Offset, number: int) -> bool:  # noqa: ARG002  (it begins there)
        """Skip the rows before an offset; False, and at the beginning, where they are others."""
        if self._skip_to(offset):
            return True
        self.open()
        return False

    def _skip_to(self, offset: Offset) -> bool:
        while self._number < offset.number:
            found = self._fetch()
            if found is None:
                break
            more = offset.number - self._number
            if more < found.num_rows:
                self._rest = found.slice(more)
            self._pass(found.slice(0, more))
        return self._number == offset.number and self._at() == dict(offset.at)

    def left(self) -> int | None:
        """Rows left of a table; unknown for a query."""
        return self._left

    def close(self) -> None:
        """Give up the result and the connection."""
        self._batches = iter(())
        self._rest = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _fetch(self) -> Any | None:
        """The next rows, as Arrow has them."""
        import duckdb
        import pyarrow as pa

        if self._rest is not None:
            rest, self._rest = self._rest, None
            return rest
        try:
            return next((batch for batch in self._batches if batch.num_rows), None)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            shown = self._database.partition("?")[0]
            msg = f"DuckDB file {shown} cannot be read on behind row {self._number}: {first}"
            raise PermanentError(msg) from error

    def _pass(self, found: Any) -> None:
        """Count rows as read, and remember which they were."""
        if self._resumable:
            self._first = self._first or self._seen(found.slice(0, 1))
            self._last = self._seen(found.slice(found.num_rows - 1))
        self._number += found.num_rows
        if self._left is not None:
            self._left = max(0, self._left - found.num_rows)

    def _at(self) -> dict[str, str]:
        return {"first": self._first, "last": self._last}

    def _seen(self, row: Any) -> str:
        """A row in a few letters."""
        text = repr(record_rows(row, self._finish))
        return hashlib.blake2s(text.encode(errors="replace"), digest_size=12).hexdigest()
