"""The package `gcp`: what the local cloud serves of it."""

from __future__ import annotations

from google.api_core.exceptions import GoogleAPIError
from google.protobuf.json_format import ParseError

from buildflow_nb.local_cloud.provider.gcp.bucket import Bucket
from buildflow_nb.local_cloud.provider.gcp.bucket_iam_member import BucketIAMMember
from buildflow_nb.local_cloud.provider.gcp.cloud import GCPCloud
from buildflow_nb.local_cloud.provider.gcp.notification import Notification
from buildflow_nb.local_cloud.provider.gcp.pubsub_iam_member import (
    SubscriptionIAMMember,
    TopicIAMMember,
)
from buildflow_nb.local_cloud.provider.gcp.service_account import project_service_account
from buildflow_nb.local_cloud.provider.gcp.subscription import Subscription
from buildflow_nb.local_cloud.provider.gcp.topic import Topic
from buildflow_nb.local_cloud.provider.resource import Function, Package

__all__ = ("GCP",)

GCP: Package[GCPCloud] = Package(
    name="gcp",
    resources=(
        Bucket(),
        BucketIAMMember(),
        Notification(),
        Subscription(),
        SubscriptionIAMMember(),
        Topic(),
        TopicIAMMember(),
    ),
    functions=(
        Function(
            "gcp:storage/getProjectServiceAccount:getProjectServiceAccount",
            project_service_account,
        ),
    ),
    connect=GCPCloud,
    refusals=(GoogleAPIError, ParseError),
    structured=frozenset({"defaultLabels"}),
)
