"""The package `gcp`: what the local cloud serves of it."""

from __future__ import annotations

from collections.abc import Mapping

from google.api_core.exceptions import GoogleAPIError
from google.protobuf.json_format import ParseError

from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.gcp.bigquery_dataset import BigQueryDataset
from buildflow_nb.local_cloud.provider.gcp.bigquery_table import BigQueryTable
from buildflow_nb.local_cloud.provider.gcp.bucket import Bucket
from buildflow_nb.local_cloud.provider.gcp.bucket_iam_member import BucketIAMMember
from buildflow_nb.local_cloud.provider.gcp.cloud import GCPCloud
from buildflow_nb.local_cloud.provider.gcp.notification import Notification
from buildflow_nb.local_cloud.provider.gcp.pubsub_iam_member import (
    SubscriptionIAMMember,
    TopicIAMMember,
)
from buildflow_nb.local_cloud.provider.gcp.sql_database import SqlDatabase
from buildflow_nb.local_cloud.provider.gcp.sql_instance import SqlInstance
from buildflow_nb.local_cloud.provider.gcp.sql_user import SqlUser
from buildflow_nb.local_cloud.provider.gcp.subscription import Subscription
from buildflow_nb.local_cloud.provider.gcp.topic import Topic
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Function, Package

__all__ = ("GCP",)

# `gcp:storage/getProjectServiceAccount`: the account by which Cloud Storage publishes events.
# Source: Cloud Storage JSON API v1, Projects.serviceAccount.


def project_service_account(cloud: GCPCloud, inputs: Properties) -> Mapping[str, Plain]:
    """Look the account up.

    Raises:
        ServiceRefusedError: the server does not tell.
        InfraError: there is no project, or no answer came.
    """
    project = cloud.project(inputs)
    email = cloud.storage.call("GET", "projects", project, "serviceAccount")["email_address"]
    return {
        "emailAddress": email,
        "id": email,
        "member": f"serviceAccount:{email}",
        "project": project,
        "userProject": inputs.text("userProject"),
    }


GCP: Package[GCPCloud] = Package(
    name="gcp",
    resources=(
        BigQueryDataset(),
        BigQueryTable(),
        Bucket(),
        BucketIAMMember(),
        Notification(),
        SqlDatabase(),
        SqlInstance(),
        SqlUser(),
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
