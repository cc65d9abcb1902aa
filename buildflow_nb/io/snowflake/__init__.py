"""Snowflake: tables to write, and the key files of their users."""

from buildflow_nb.io.snowflake.key_file import read_private_key_file, read_private_key_file_bytes
from buildflow_nb.io.snowflake.table import SnowflakeTable

__all__ = ("SnowflakeTable", "read_private_key_file", "read_private_key_file_bytes")
