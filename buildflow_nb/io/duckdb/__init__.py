"""DuckDB: tables to write and read, queries to read."""

from buildflow_nb.io.duckdb.tables import DuckDB, DuckDBQuery, DuckDBTable

__all__ = ("DuckDB", "DuckDBQuery", "DuckDBTable")
