"""The package `aws`: what the local cloud serves of it."""

from __future__ import annotations

from buildflow_nb.local_cloud.provider.aws.bucket import Bucket
from buildflow_nb.local_cloud.provider.aws.bucket_notification import BucketNotification
from buildflow_nb.local_cloud.provider.aws.cloud import REFUSALS, AWSCloud
from buildflow_nb.local_cloud.provider.aws.policy_document import policy_document
from buildflow_nb.local_cloud.provider.aws.queue import Queue
from buildflow_nb.local_cloud.provider.aws.queue_policy import QueuePolicy
from buildflow_nb.local_cloud.provider.resource import Function, Package

__all__ = ("AWS",)

AWS: Package[AWSCloud] = Package(
    name="aws",
    resources=(Bucket(), BucketNotification(), Queue(), QueuePolicy()),
    functions=(Function("aws:iam/getPolicyDocument:getPolicyDocument", policy_document),),
    connect=AWSCloud,
    refusals=REFUSALS,
    structured=frozenset({"endpoints", "defaultTags"}),
    replaces=frozenset({"region"}),
)
