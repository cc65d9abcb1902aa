"""Postgres: tables to write and read, queries to read, changes of tables to hear of."""

from buildflow_nb.io.postgres.changes import PostgresChanges
from buildflow_nb.io.postgres.query import PostgresQuery
from buildflow_nb.io.postgres.table import PostgresTable

__all__ = ("PostgresChanges", "PostgresQuery", "PostgresTable")
