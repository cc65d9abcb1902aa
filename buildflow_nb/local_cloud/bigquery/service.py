"""What the two interfaces, REST and gRPC, have in common: the parts of one server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from buildflow_nb.local_cloud.bigquery.catalog import Catalog, Table
from buildflow_nb.local_cloud.bigquery.cloud_files import CloudFiles
from buildflow_nb.local_cloud.bigquery.jobs import Jobs
from buildflow_nb.local_cloud.bigquery.paging import Page
from buildflow_nb.local_cloud.bigquery.refusal import invalid
from buildflow_nb.local_cloud.bigquery.results import Results
from buildflow_nb.local_cloud.bigquery.rows import InsertIds
from buildflow_nb.local_cloud.bigquery.state import Database
from buildflow_nb.local_cloud.bigquery.types import Field, arrow_schema, field_of_arrow, quoted
from buildflow_nb.local_cloud.bigquery.upload import Uploads

__all__ = ("Service",)

BATCH_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a server whose state is in one folder."""

    database: Database
    catalog: Catalog
    results: Results
    jobs: Jobs
    uploads: Uploads
    cloud_files: CloudFiles
    insert_ids: InsertIds

    @classmethod
    def opened(cls, folder: Path, cloud_storage: int | None) -> Self:
        """Open a folder; `cloud_storage` is the port from which `gs://` is loaded.

        Raises:
            OSError: it cannot be used.
            duckdb.Error: its file is another process's, or damaged.
        """
        database = Database(folder)
        catalog, results = Catalog(database), Results(folder / "results")
        uploads = Uploads(folder / "uploads")
        files = CloudFiles(cloud_storage, uploads.scratch)
        jobs = Jobs(database, catalog, results)
        return cls(database, catalog, results, jobs, uploads, files, InsertIds())

    def close(self) -> None:
        """Write everything to the file, and let go of it."""
        self.database.close()

    def count(self, table: Table) -> int:
        """How many rows a table has."""
        if not table.fields:
            return 0
        with self.database.reading() as cursor:
            rows = cursor.execute(f"SELECT count(*) FROM {table.ref.sql}").fetchall()  # noqa: S608
            return int(rows[0][0]) if rows else 0

    def page(self, table: Table, fields: Sequence[Field], page: Page) -> tuple[int, pa.Table]:
        """How many rows a table has, and some of them."""
        columns = ", ".join(quoted(field.name) for field in fields)
        sql = f"SELECT {columns} FROM {table.ref.sql} LIMIT {page.size} OFFSET {page.start}"  # noqa: S608
        with self.database.reading() as cursor:
            rows = cursor.execute(f"SELECT count(*) FROM {table.ref.sql}").fetchall()  # noqa: S608
            return int(rows[0][0]) if rows else 0, cursor.sql(sql).to_arrow_table()

    def snapshot(self, table: Table, fields: Sequence[Field], condition: str) -> tuple[str, int]:
        """Keep the rows of this moment as a result; gives its name and how many they are."""
        schema = arrow_schema(fields)
        columns = ", ".join(quoted(field.name) for field in fields)
        where = f" WHERE {condition}" if condition else ""
        with self.database.reading() as cursor:
            relation = cursor.sql(f"SELECT {columns} FROM {table.ref.sql}{where}")  # noqa: S608
            return self.results.write(schema, _of_schema(relation, schema))

    @staticmethod
    def chosen(table: Table, names: Sequence[str]) -> tuple[Field, ...]:
        """The columns of these names in the table's order; all without names.

        Raises:
            RefusedError: there is no such column.
        """
        if not names:
            return table.fields
        wanted = {name.lower() for name in names}
        found = tuple(field for field in table.fields if field.name.lower() in wanted)
        for name in wanted - {field.name.lower() for field in found}:
            msg = f"request failed: The following selected fields do not exist in the table: {name}"
            raise invalid(msg)
        return found

    @staticmethod
    def result_fields(schema: Any) -> tuple[Field, ...]:
        """The columns of a result."""
        return tuple(field_of_arrow(part) for part in schema)


def _of_schema(relation: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in relation.to_arrow_reader(BATCH_ROWS):
        columns = [
            column if column.type == kind else column.cast(kind)
            for column, kind in zip(batch.columns, schema.types, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)
