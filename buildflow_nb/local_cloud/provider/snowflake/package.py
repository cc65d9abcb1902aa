"""The package `snowflake`: what the local cloud serves of it."""

from __future__ import annotations

from buildflow_nb.local_cloud.provider.resource import Package
from buildflow_nb.local_cloud.provider.snowflake.cloud import SnowflakeCloud
from buildflow_nb.local_cloud.provider.snowflake.pipe import Pipe
from buildflow_nb.local_cloud.provider.snowflake.places import (
    Database,
    SchemaOfDatabase,
    StageInternal,
)
from buildflow_nb.local_cloud.provider.snowflake.table import Table

__all__ = ("SNOWFLAKE",)

SNOWFLAKE: Package[SnowflakeCloud] = Package(
    name="snowflake",
    resources=(Database(), Pipe(), SchemaOfDatabase(), StageInternal(), Table()),
    functions=(),
    connect=SnowflakeCloud,
    refusals=(),
)
