"""What the local cloud serves of the Pulumi package `snowflake`: what a table stands on."""

from __future__ import annotations

from buildflow_nb.local_cloud.provider.snowflake.package import SNOWFLAKE

__all__ = ("SNOWFLAKE",)
