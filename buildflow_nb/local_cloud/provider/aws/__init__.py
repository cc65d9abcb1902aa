"""What the local cloud serves of the Pulumi package `aws`, on boto3."""

from __future__ import annotations

from buildflow_nb.local_cloud.provider.aws.package import AWS

__all__ = ("AWS",)
