"""`snowflake:index/pipe:Pipe`: a COPY with a name, which the local cloud keeps and does not run.

Source: Snowflake documentation, "CREATE PIPE", "GET_DDL"; the published provider's page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.schema import Input, Schema
from buildflow_nb.local_cloud.provider.snowflake.cloud import SnowflakeCloud, quoted
from buildflow_nb.local_cloud.provider.snowflake.named import NAME, PLACED, Named

__all__ = ("Pipe",)


class Pipe(Named):
    """A pipe."""

    word = "PIPE"
    bars = True
    schema: ClassVar[Schema] = Schema(
        "snowflake:index/pipe:Pipe",
        {**PLACED, "copyStatement": Input(required=True, replaces=True)},
        {"fullyQualifiedName": (), "owner": ()},
        NAME,
    )

    def rest(self, inputs: Properties) -> str:
        """Its COPY."""
        return f"AS {inputs.must('copyStatement')}"

    def look(
        self, cloud: SnowflakeCloud, parts: Sequence[str], known: Properties
    ) -> Mapping[str, Plain] | None:
        """Its COPY, if it is there."""
        del known
        name = quoted(*parts).replace("'", "''")
        rows = cloud.rows(f"SELECT GET_DDL('PIPE', '{name}')")
        if not rows:
            return None
        _, _, copy = rows[0][0].partition(" AS ")
        return {"copyStatement": copy.rstrip(";"), "owner": "SYSADMIN"}
