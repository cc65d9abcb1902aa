"""Primitives of Google Cloud."""

from buildflow_nb.io.gcp.gcs import GCSBucket
from buildflow_nb.io.gcp.gcs_changes import GCSFileChangeStream
from buildflow_nb.io.gcp.pubsub_subscription import GCPPubSubSubscription, PubSubSubscription
from buildflow_nb.io.gcp.pubsub_topic import GCPPubSubTopic, PubSubTopic

__all__ = (
    "GCPPubSubSubscription",
    "GCPPubSubTopic",
    "GCSBucket",
    "GCSFileChangeStream",
    "PubSubSubscription",
    "PubSubTopic",
)
