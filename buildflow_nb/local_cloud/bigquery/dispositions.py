"""Where the rows of a job go: a table that is made, emptied, added to, or has to be empty.

Source: BigQuery REST reference, "JobConfigurationLoad", `createDisposition`, `writeDisposition`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from buildflow_nb.local_cloud.bigquery.catalog import Catalog, Table
from buildflow_nb.local_cloud.bigquery.references import TableRef
from buildflow_nb.local_cloud.bigquery.refusal import duplicate, invalid, not_found
from buildflow_nb.local_cloud.bigquery.rows import fitted, lacking
from buildflow_nb.local_cloud.bigquery.state import Database, insert_rows
from buildflow_nb.local_cloud.bigquery.types import Field

__all__ = ("Destination", "Filling")

_KEPT = ("timePartitioning", "rangePartitioning", "clustering")


@dataclass(frozen=True, slots=True)
class Filling:
    """A table that is being filled, in one transaction."""

    table: Table
    cursor: duckdb.DuckDBPyConnection

    def add(self, rows: pa.Table) -> None:
        """Add rows.

        Raises:
            RefusedError: they are not of the table's columns.
        """
        try:
            made = fitted(rows, self.table)
        except (ValueError, pa.ArrowInvalid) as error:
            raise invalid(str(error)) from error
        for row, said in lacking(made, self.table).items():
            msg = f"Error while reading data, row {row}: {said}"
            raise invalid(msg)
        insert_rows(self.cursor, self.table.ref.sql, made, made.column_names)


@dataclass(frozen=True, slots=True)
class Destination:
    """A job's destination."""

    ref: TableRef
    create: str
    write: str
    grow: bool
    options: Mapping[str, Any]

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> Destination | None:
        """That of a configuration; None where it has none."""
        given = configuration.get("destinationTable")
        if not given:
            return None
        ref = TableRef(given["projectId"], given["datasetId"], given["tableId"])
        default = "WRITE_EMPTY" if "query" in configuration else "WRITE_APPEND"
        return cls(
            ref,
            str(configuration.get("createDisposition") or "CREATE_IF_NEEDED"),
            str(configuration.get("writeDisposition") or default),
            "ALLOW_FIELD_ADDITION" in (configuration.get("schemaUpdateOptions") or ()),
            {name: configuration[name] for name in _KEPT if configuration.get(name)},
        )

    @contextmanager
    def filled(
        self, database: Database, catalog: Catalog, fields: Sequence[Field]
    ) -> Iterator[Filling]:
        """Fill it with rows of such columns; all of it happens, or nothing. Hold the lock.

        Raises:
            RefusedError: its dispositions forbid that, or the columns are others.
        """
        there = catalog.find(self.ref)
        if there is None and self.create == "CREATE_NEVER":
            raise not_found(str(self.ref))
        if there is not None and self.grow:
            there = self._grown(catalog, there, fields)
        anew = there is None or (self.write == "WRITE_TRUNCATE" and bool(fields))
        with database.writing() as cursor:
            if there is not None:
                self._clear(cursor, there)
            if not anew:
                assert there is not None  # noqa: S101  (or it is made anew)
                yield Filling(there, cursor)
                return
            with self._made(catalog, cursor, there, fields) as made:
                yield Filling(made, cursor)

    def _clear(self, cursor: duckdb.DuckDBPyConnection, there: Table) -> None:
        if self.write == "WRITE_EMPTY":
            found = cursor.execute(f"SELECT 1 FROM {self.ref.sql} LIMIT 1").fetchall()  # noqa: S608
            if found:
                raise duplicate(str(self.ref))
        elif self.write == "WRITE_TRUNCATE" and there.fields:
            cursor.execute(f"DELETE FROM {self.ref.sql}")  # noqa: S608

    @contextmanager
    def _made(
        self,
        catalog: Catalog,
        cursor: duckdb.DuckDBPyConnection,
        there: Table | None,
        fields: Sequence[Field],
    ) -> Iterator[Table]:
        """The table, made anew unless it has such columns already; forgotten if it fails."""
        schema = {"schema": {"fields": [each.rest for each in fields]}}
        if there is not None and _same(there.fields, fields):
            yield there
            return
        if there is not None:
            cursor.execute(f"DROP TABLE IF EXISTS {self.ref.sql}")
            catalog.forget(self.ref)
        try:
            kept = dict(there.body) if there is not None else {}
            yield catalog.create_table(self.ref, {**kept, **self.options, **schema}, cursor)
        except BaseException:
            catalog.forget(self.ref)
            if there is not None:
                catalog.recall(there)
            raise

    def _grown(self, catalog: Catalog, there: Table, fields: Sequence[Field]) -> Table:
        known = {each.name.lower() for each in there.fields}
        added = [each for each in fields if each.name.lower() not in known]
        if not added:
            return there
        schema = {"fields": [each.rest for each in (*there.fields, *added)]}
        return catalog.update_table(self.ref, {"schema": schema}, None, whole=False)


def _same(one: Sequence[Field], other: Sequence[Field]) -> bool:
    def parts(fields: Sequence[Field]) -> list[tuple[str, str, bool]]:
        return [(each.name.lower(), each.engine, each.required) for each in fields]

    return parts(one) == parts(other)
