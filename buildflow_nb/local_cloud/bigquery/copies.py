"""Copy jobs: the rows of tables into another one, all of them or none.

Source: BigQuery REST reference, "JobConfigurationTableCopy".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from buildflow_nb.local_cloud.bigquery.catalog import Catalog, Table
from buildflow_nb.local_cloud.bigquery.dispositions import Destination
from buildflow_nb.local_cloud.bigquery.references import TableRef
from buildflow_nb.local_cloud.bigquery.refusal import invalid, not_served
from buildflow_nb.local_cloud.bigquery.state import Database
from buildflow_nb.local_cloud.bigquery.types import arrow_schema, quoted

__all__ = ("copy",)

BATCH_ROWS = 10_000
Kept = Callable[[duckdb.DuckDBPyConnection], None]


def copy(
    database: Database, catalog: Catalog, configuration: Mapping[str, Any], keep: Kept
) -> None:
    """Carry a copy out; `keep` is called inside of the writing transaction.

    Raises:
        RefusedError: a table is not there, or they do not fit.
    """
    if str(configuration.get("operationType") or "COPY") != "COPY":
        msg = f"copies of type {configuration['operationType']}"
        raise not_served(msg)
    into = Destination.of({"writeDisposition": "WRITE_EMPTY", **configuration})
    given = configuration.get("sourceTables") or [configuration.get("sourceTable")]
    if into is None or not all(isinstance(one, Mapping) for one in given):
        msg = "a copy needs a sourceTable and a destinationTable"
        raise invalid(msg)
    refs = [TableRef(one["projectId"], one["datasetId"], one["tableId"]) for one in given]
    sources = [catalog.table(ref) for ref in refs]
    catalog.dataset(into.ref.project, into.ref.dataset)
    with (
        database.lock,
        database.reading() as cursor,
        into.filled(database, catalog, sources[0].fields) as filling,
    ):
        for source in sources:
            for rows in _rows(cursor, source):
                filling.add(rows)
        keep(filling.cursor)


def _rows(cursor: duckdb.DuckDBPyConnection, table: Table) -> Any:
    columns = ", ".join(quoted(field.name) for field in table.fields)
    schema = arrow_schema(table.fields)
    relation = cursor.sql(f"SELECT {columns} FROM {table.ref.sql}")  # noqa: S608
    for batch in relation.to_arrow_reader(BATCH_ROWS):
        yield pa.Table.from_batches([batch]).cast(schema)
