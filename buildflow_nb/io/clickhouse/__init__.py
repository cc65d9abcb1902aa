"""ClickHouse: tables to write."""

from buildflow_nb.io.clickhouse.table import ClickhouseTable

__all__ = ("ClickhouseTable",)
