"""Rows on their way into a table: fitted to its columns, or at fault one by one.

Source: BigQuery REST reference, "tabledata.insertAll"; "Streaming data", on `insertId`.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from buildflow_nb.local_cloud.bigquery.catalog import Catalog, Table
from buildflow_nb.local_cloud.bigquery.cells import parse_record
from buildflow_nb.local_cloud.bigquery.references import TableRef
from buildflow_nb.local_cloud.bigquery.refusal import invalid
from buildflow_nb.local_cloud.bigquery.state import Database, insert_rows
from buildflow_nb.local_cloud.bigquery.types import Field, arrow_schema

__all__ = ("InsertIds", "fitted", "insert_all", "lacking", "records_table")

REMEMBERED_S = 60.0  # "best effort de-duplication … for up to one minute"
REMEMBERED = 100_000  # ids, of all tables
MOST_ROWS = 50_000  # in a request: "Quotas and limits", "Streaming inserts"


class InsertIds:
    """Ids of rows that were inserted a moment ago, which are not inserted again."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[TableRef, str], float] = OrderedDict()
        self._lock = threading.Lock()

    def fresh(self, table: TableRef, ids: Sequence[str | None]) -> list[bool]:
        """Which of the rows have not been inserted; of two with one id in a push the last."""
        now, found, here = time.monotonic(), [], set()
        with self._lock:
            while self._seen and next(iter(self._seen.values())) < now - REMEMBERED_S:
                self._seen.popitem(last=False)
            for one in reversed(ids):
                known = one is not None and ((table, one) in self._seen or one in here)
                found.append(not known)
                if one is not None:
                    here.add(one)
        return found[::-1]

    def remember(self, table: TableRef, ids: Sequence[str | None]) -> None:
        """They are inserted."""
        now = time.monotonic()
        with self._lock:
            for one in filter(None, ids):
                self._seen[table, one] = now
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)


def insert_all(
    database: Database, catalog: Catalog, seen: InsertIds, ref: TableRef, body: Mapping[str, Any]
) -> dict[str, Any]:
    """Insert rows by JSON; those that do not fit, or with them all, are answered as errors.

    Raises:
        RefusedError: the table is not there, or the request is wrong as a whole.
    """
    table = catalog.table(ref)
    rows = body.get("rows")
    if not isinstance(rows, list) or not rows:
        msg = "No rows present in the request."
        raise invalid(msg)
    if len(rows) > MOST_ROWS:
        msg = f"too many rows present in the request, limit: {MOST_ROWS} row count: {len(rows)}."
        raise invalid(msg)
    ignore, skip = bool(body.get("ignoreUnknownValues")), bool(body.get("skipInvalidRows"))
    good, bad = {}, {}
    for index, row in enumerate(rows):
        try:
            good[index] = parse_record((row or {}).get("json"), table.fields, ignore=ignore)
        except ValueError as error:
            bad[index] = {"reason": "invalid", "message": str(error)}
    if bad and not skip:
        bad |= {index: {"reason": "stopped", "message": ""} for index in good}
        good = {}
    ids = [rows[index].get("insertId") for index in good]
    fresh = seen.fresh(ref, ids)
    kept = [row for row, new in zip(good.values(), fresh, strict=True) if new]
    if kept:
        made = records_table(kept, table.fields)
        with database.writing() as cursor:
            insert_rows(cursor, ref.sql, made, made.column_names)
        seen.remember(ref, ids)
    answer: dict[str, Any] = {"kind": "bigquery#tableDataInsertAllResponse"}
    if bad:
        errors = [{"index": index, "errors": [bad[index]]} for index in sorted(bad)]
        answer["insertErrors"] = errors
    return answer


def records_table(records: Sequence[Mapping[str, Any]], fields: Sequence[Field]) -> pa.Table:
    """Checked records as an Arrow table."""
    schema = arrow_schema([_loose(field) for field in fields])
    return pa.Table.from_pylist(list(records), schema=schema)


def _loose(field: Field) -> Field:
    return field if not field.required else Field(field.name, field.type, fields=field.fields)


def fitted(given: pa.Table, table: Table) -> pa.Table:
    """An Arrow table with the types of a table's columns; columns that are left out stay so.

    Raises:
        ValueError: a column is not the table's, or of another type.
    """
    known = {field.name.lower(): field for field in table.fields}
    names, columns = [], []
    for name, found in zip(given.column_names, given.columns, strict=True):
        field = known.get(name.lower())
        if field is None:
            msg = f"The source column {name} has no matching column in {table.ref}"
            raise ValueError(msg)
        if not _alike(found.type, field.arrow):
            msg = f"Column {name} is {found.type}, which does not become {field.type}"
            raise ValueError(msg)
        column = found if found.type == field.arrow else _cast(found, field)
        if field.repeated and column.null_count:
            column = pc.fill_null(column, pa.scalar([], field.arrow))
        names.append(field.name)
        columns.append(column)
    return pa.table(dict(zip(names, columns, strict=True)))


def lacking(given: pa.Table, table: Table) -> dict[int, str]:
    """The rows in which a value is missing that may not, by position."""
    found: dict[int, str] = {}
    present = {name.lower(): name for name in given.column_names}
    for field in table.fields:
        name = present.get(field.name.lower())
        if name is None:
            if field.required:
                found |= dict.fromkeys(range(given.num_rows), _missing(field.name))
            continue
        for row, where in _gaps(given.column(name), field, field.name):
            found.setdefault(row, _missing(where))
    return found


def _missing(where: str) -> str:
    return f"Field {where}: is required, and has no value"


def _gaps(column: Any, field: Field, where: str) -> Iterator[tuple[int, str]]:
    if field.required and column.null_count:
        for row in pc.indices_nonzero(column.is_null()).to_pylist():
            yield row, where
    if any(_demanding(part) for part in field.fields):
        for row, value in enumerate(column.to_pylist()):
            values = value if field.repeated else [value]
            for one in values or ():
                yield from ((row, gap) for gap in _gaps_inside(one, field, where))


def _demanding(field: Field) -> bool:
    return field.required or any(map(_demanding, field.fields))


def _gaps_inside(value: Any, field: Field, where: str) -> Iterator[str]:
    if value is None:
        return
    for part in field.fields:
        inner, here = value.get(part.name), f"{where}.{part.name}"
        if part.required and inner is None:
            yield here
        if part.type == "RECORD":
            for one in (inner or ()) if part.repeated else (inner,):
                yield from _gaps_inside(one, part, here)


_KINDS = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    lambda kind: pa.types.is_binary(kind) or pa.types.is_large_binary(kind),
    pa.types.is_date,
    pa.types.is_time,
    lambda kind: pa.types.is_timestamp(kind) and kind.tz is None,
    lambda kind: pa.types.is_timestamp(kind) and kind.tz is not None,
    pa.types.is_decimal,
)


def _alike(given: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether Google maps an Arrow type to a column of the wanted one."""
    if pa.types.is_null(given):
        return False  # a schema that was made from no values
    if pa.types.is_dictionary(given):
        return _alike(given.value_type, wanted)
    if pa.types.is_list(wanted):
        lists = pa.types.is_list(given) or pa.types.is_large_list(given)
        return lists and _alike(given.value_type, wanted.value_type)
    if pa.types.is_struct(wanted):
        if not pa.types.is_struct(given):
            return False
        known = {part.name.lower(): part.type for part in wanted}
        return all(p.name.lower() in known and _alike(p.type, known[p.name.lower()]) for p in given)
    return any(kind(given) and kind(wanted) for kind in _KINDS)


def _cast(column: Any, field: Field) -> Any:
    wanted = field.arrow
    try:
        return column.cast(wanted)
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError):  # a record without some of its fields
        return pa.chunked_array([pa.array(column.to_pylist(), wanted)], wanted)
