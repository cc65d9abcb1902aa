"""BigQuery: tables to write and read, queries to read."""

from buildflow_nb.io.gcp.bigquery.dataset import BigQueryDataset
from buildflow_nb.io.gcp.bigquery.query import BigQueryQuery
from buildflow_nb.io.gcp.bigquery.table import BigQueryTable

__all__ = ("BigQueryDataset", "BigQueryQuery", "BigQueryTable")
