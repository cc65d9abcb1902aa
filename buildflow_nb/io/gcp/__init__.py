"""Primitives of Google Cloud."""

from buildflow_nb.io.gcp.bigquery import BigQueryDataset, BigQueryQuery, BigQueryTable
from buildflow_nb.io.gcp.cloudsql.database import CloudSQLDatabase
from buildflow_nb.io.gcp.cloudsql.instance import CloudSQLInstance
from buildflow_nb.io.gcp.cloudsql.user import CloudSQLUser
from buildflow_nb.io.gcp.gcs.bucket import GCSBucket
from buildflow_nb.io.gcp.gcs.changes import GCSFileChangeStream
from buildflow_nb.io.gcp.pubsub.subscription import GCPPubSubSubscription, PubSubSubscription
from buildflow_nb.io.gcp.pubsub.topic import GCPPubSubTopic, PubSubTopic

__all__ = (
    "BigQueryDataset",
    "BigQueryQuery",
    "BigQueryTable",
    "CloudSQLDatabase",
    "CloudSQLInstance",
    "CloudSQLUser",
    "GCPPubSubSubscription",
    "GCPPubSubTopic",
    "GCSBucket",
    "GCSFileChangeStream",
    "PubSubSubscription",
    "PubSubTopic",
)
