"""What the local cloud serves of the Pulumi package `gcp`: Cloud Storage and Pub/Sub."""

from __future__ import annotations

from buildflow_nb.local_cloud.provider.gcp.package import GCP

__all__ = ("GCP",)
