"""The local cloud's Pulumi providers: `aws`, `gcp` and, with its extra, `snowflake`.

The published providers are downloads of hundreds of megabytes that talk to the internet. For the
local cloud the engine is attached to these servers instead, and programs stay what they are.
"""

from __future__ import annotations

from buildflow_nb.local_cloud.provider.server import ProviderServers

__all__ = ("ProviderServers",)
