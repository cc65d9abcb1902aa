"""Postgres: tables to write and read, queries to read."""

from buildflow_nb.io.postgres.query import PostgresQuery
from buildflow_nb.io.postgres.table import PostgresTable

__all__ = ("PostgresQuery", "PostgresTable")
