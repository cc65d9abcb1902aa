"""Write streams: which there are, how many rows each has, what may be appended where.

The default stream of a table takes rows as they come. One of type COMMITTED counts its rows in the
transaction that stores them, so that an append with an offset is stored once, also over a crash.
One of type PENDING keeps its rows in a table of its own until it is committed, with others at once.

Source: Storage Write API, "google.cloud.bigquery.storage.v1", BigQueryWrite; `StorageError`.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum

import duckdb
import pyarrow as pa

from buildflow_nb.local_cloud.bigquery.catalog import Catalog, Table
from buildflow_nb.local_cloud.bigquery.references import TableRef
from buildflow_nb.local_cloud.bigquery.refusal import not_found
from buildflow_nb.local_cloud.bigquery.rows import fitted, lacking
from buildflow_nb.local_cloud.bigquery.state import OWN, Database, insert_rows, keep
from buildflow_nb.local_cloud.bigquery.types import quoted

__all__ = ("DEFAULT", "AppendError", "Fault", "RowsError", "WriteStream", "WriteStreams")

DEFAULT = "_default"
KEPT_S = 7 * 24 * 3600.0  # of a stream that nobody has used


class Fault(Enum):
    """Why an append is refused: the name of the `StorageError`."""

    UNSPECIFIED = "STORAGE_ERROR_CODE_UNSPECIFIED"
    NOT_FOUND = "STREAM_NOT_FOUND"
    COMMITTED = "STREAM_ALREADY_COMMITTED"
    NOT_FINALIZED = "INVALID_STREAM_STATE"
    FINALIZED = "STREAM_FINALIZED"
    EXTRA_FIELDS = "SCHEMA_MISMATCH_EXTRA_FIELDS"
    THERE = "OFFSET_ALREADY_EXISTS"
    BEYOND = "OFFSET_OUT_OF_RANGE"


_CODES = {Fault.THERE: "ALREADY_EXISTS", Fault.BEYOND: "OUT_OF_RANGE"}


class AppendError(Exception):
    """An append that is refused."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault

    @property
    def code(self) -> str:
        """The name of the gRPC code that goes with it."""
        return _CODES.get(self.fault, "INVALID_ARGUMENT")


class RowsError(Exception):
    """An append of which some rows are at fault; none of it is stored."""

    def __init__(self, rows: dict[int, str]) -> None:
        super().__init__("Errors found while processing rows. See the row_errors field.")
        self.rows = rows


@dataclass(frozen=True, slots=True)
class WriteStream:
    """A stream that somebody has made."""

    name: str
    type: str  # COMMITTED or PENDING
    table: tuple[str, str, str]
    created: float
    made_for: str  # when its table was made: one of the same name is another
    rows: int = 0
    finalized: bool = False
    committed: float | None = None

    @property
    def ref(self) -> TableRef:
        """The table that it is for."""
        return TableRef(*self.table)

    @property
    def pending(self) -> str:
        """The engine's table of its rows."""
        return f"{OWN}.{quoted(self.name.rpartition('/')[2])}"


class WriteStreams:
    """The write streams of one server."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog
        self._streams: dict[str, WriteStream] = {}
        self._lock = threading.Lock()
        with database.writing() as cursor:
            for (text,) in cursor.execute(f"SELECT body FROM {OWN}.streams").fetchall():  # noqa: S608
                stream = WriteStream(**json.loads(text))
                self._streams[stream.name] = stream
            for stream in list(self._streams.values()):
                if stream.created < time.time() - KEPT_S:
                    cursor.execute(f"DROP TABLE IF EXISTS {stream.pending}")
                    keep(cursor, "streams", {"name": stream.name}, None)
                    del self._streams[stream.name]

    def create(self, ref: TableRef, kind: str) -> WriteStream:
        """Make a stream.

        Raises:
            RefusedError: there is no such table.
        """
        table = self._catalog.table(ref)
        name = f"projects/{ref.project}/datasets/{ref.dataset}/tables/{ref.table}/streams/"
        stream = WriteStream(f"{name}{uuid.uuid4().hex}", kind, ref, time.time(), _birth(table))
        with self._database.writing() as cursor:
            if kind == "PENDING":
                columns = ", ".join(field.column for field in table.fields)
                cursor.execute(f"CREATE TABLE {stream.pending} ({columns})")
            _keep(cursor, stream)
        self._streams[stream.name] = stream
        return stream

    def get(self, name: str) -> WriteStream:
        """A stream.

        Raises:
            RefusedError: there is none of this name.
        """
        try:
            return self._streams[name]
        except KeyError:
            what = f"Requested stream {name}"
            raise not_found(what) from None

    def finalize(self, name: str) -> int:
        """Let nothing more be appended; gives how many rows there are. Raises as `get`."""
        with self._database.lock:
            stream = replace(self.get(name), finalized=True)
            self._table(stream)
            with self._database.writing() as cursor:
                _keep(cursor, stream)
            self._streams[name] = stream
        return stream.rows

    def commit(self, ref: TableRef, names: Sequence[str]) -> tuple[float, list[AppendError]]:
        """Put the rows of streams into their table, all or none; gives when, or why not."""
        with self._database.lock:
            found, errors = [], []
            for name in names:
                stream = self._streams.get(name)
                if stream is None or stream.ref != ref or stream.type != "PENDING":
                    errors.append(AppendError(Fault.NOT_FOUND, name))
                elif stream.committed is not None:
                    errors.append(AppendError(Fault.COMMITTED, name))
                elif not stream.finalized:
                    errors.append(AppendError(Fault.NOT_FINALIZED, name))
                else:
                    found.append(stream)
            if errors:
                return 0.0, errors
            now = time.time()
            done = [replace(stream, committed=now) for stream in found]
            with self._database.writing() as cursor:
                for stream in done:
                    cursor.execute(
                        f"INSERT INTO {ref.sql} BY NAME SELECT * FROM {stream.pending}"  # noqa: S608
                    )
                    cursor.execute(f"DROP TABLE {stream.pending}")
                    _keep(cursor, stream)
            self._streams.update({stream.name: stream for stream in done})
            return now, []

    def append(self, name: str, rows: pa.Table, offset: int | None) -> int | None:
        """Store rows; gives their offset in the stream, None in the default one.

        Raises:
            RefusedError: there is no such stream or table.
            AppendError: the stream does not take them now.
            RowsError: some of them are at fault.
        """
        if name.endswith(f"/{DEFAULT}"):
            self._append_default(name, rows, offset)
            return None
        with self._database.lock:
            stream = self.get(name)
            table = self._table(stream)
            _check(stream, offset)
            made = _fitted(rows, table)
            into = stream.pending if stream.type == "PENDING" else stream.ref.sql
            grown = replace(stream, rows=stream.rows + made.num_rows)
            with self._database.writing() as cursor:
                insert_rows(cursor, into, made, made.column_names)
                _keep(cursor, grown)
            self._streams[name] = grown
            return stream.rows

    def _table(self, stream: WriteStream) -> Table:
        """The table that a stream was made for; one of its name is another."""
        table = self._catalog.table(stream.ref)
        if stream.made_for != _birth(table):
            msg = f"Requested stream {stream.name}"
            raise not_found(msg)
        return table

    def _append_default(self, name: str, rows: pa.Table, offset: int | None) -> None:
        if offset is not None:
            msg = "The offset can't be specified for the default stream"
            msg = "INVALID_ARGUMENT"
            raise AppendError(Fault.UNSPECIFIED, msg)
        ref = TableRef(*name.split("/")[1:6:2])
        made = _fitted(rows, self._catalog.table(ref))
        with self._database.writing() as cursor:
            insert_rows(cursor, ref.sql, made, made.column_names)


def _birth(table: Table) -> str:
    return str(table.body["creationTime"])


def _check(stream: WriteStream, offset: int | None) -> None:
    if stream.finalized:
        msg = f"Stream is already finalized: {stream.name}"
        raise AppendError(Fault.FINALIZED, msg)
    if offset is None or offset == stream.rows:
        return
    said = f"expected offset {stream.rows}, received {offset}"
    if offset < stream.rows:
        msg = f"The offset is within stream, {said}"
        msg = "ALREADY_EXISTS"
        raise AppendError(Fault.THERE, msg)
    msg = f"The offset is beyond stream, {said}"
    raise AppendError(Fault.BEYOND, msg)


def _fitted(rows: pa.Table, table: Table) -> pa.Table:
    try:
        made = fitted(rows, table)
    except (ValueError, pa.ArrowInvalid) as error:
        fault = Fault.EXTRA_FIELDS if "no matching" in str(error) else Fault.UNSPECIFIED
        raise AppendError(fault, str(error)) from error
    if faults := lacking(made, table):
        raise RowsError(faults)
    return made


def _keep(cursor: duckdb.DuckDBPyConnection, stream: WriteStream) -> None:
    keep(cursor, "streams", {"name": stream.name}, asdict(stream))
