"""`snowflake:index/database:Database`, `schema:Schema` and `stageInternal:StageInternal`.

Source: Snowflake documentation, "SHOW …"; the published provider's pages of the types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.schema import Input, Schema
from buildflow_nb.local_cloud.provider.snowflake.cloud import SnowflakeCloud, quoted
from buildflow_nb.local_cloud.provider.snowflake.named import NAME, NAMED, PLACED, Named

__all__ = ("Database", "SchemaOfDatabase", "StageInternal")


class Database(Named):
    """A database."""

    word = "DATABASE"
    names: ClassVar[Sequence[str]] = ("name",)
    schema: ClassVar[Schema] = Schema(
        "snowflake:index/database:Database", NAMED, {"fullyQualifiedName": ()}, NAME
    )

    def look(
        self, cloud: SnowflakeCloud, parts: Sequence[str], known: Properties
    ) -> Mapping[str, Plain] | None:
        """Nothing, if it is there."""
        del known
        return {} if any(row[1] == parts[0] for row in cloud.rows("SHOW DATABASES")) else None


class SchemaOfDatabase(Named):
    """A schema of a database."""

    word = "SCHEMA"
    names: ClassVar[Sequence[str]] = ("database", "name")
    schema: ClassVar[Schema] = Schema(
        "snowflake:index/schema:Schema",
        {**NAMED, "database": Input(required=True, replaces=True)},
        {"fullyQualifiedName": ()},
        NAME,
    )

    def look(
        self, cloud: SnowflakeCloud, parts: Sequence[str], known: Properties
    ) -> Mapping[str, Plain] | None:
        """Nothing, if it is there."""
        del known
        rows = cloud.rows(f"SHOW SCHEMAS IN DATABASE {quoted(parts[0])}")
        return {} if any(row[1] == parts[1] for row in rows) else None


class StageInternal(Named):
    """An internal stage of a schema."""

    word = "STAGE"
    schema: ClassVar[Schema] = Schema(
        "snowflake:index/stageInternal:StageInternal",
        PLACED,
        {"fullyQualifiedName": (), "stageType": ()},
        NAME,
    )

    def look(
        self, cloud: SnowflakeCloud, parts: Sequence[str], known: Properties
    ) -> Mapping[str, Plain] | None:
        """Its type, if it is there."""
        del known
        rows = cloud.rows(f"SHOW STAGES IN SCHEMA {quoted(*parts[:2])}")
        there = any((row[2], row[3], row[1]) == tuple(parts) for row in rows)
        return {"stageType": "INTERNAL"} if there else None
