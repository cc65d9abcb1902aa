"""Primitives of Google Cloud."""

from buildflow_nb.io.gcp.gcs.bucket import GCSBucket
from buildflow_nb.io.gcp.gcs.changes import GCSFileChangeStream
from buildflow_nb.io.gcp.pubsub.subscription import GCPPubSubSubscription, PubSubSubscription
from buildflow_nb.io.gcp.pubsub.topic import GCPPubSubTopic, PubSubTopic

__all__ = (
    "GCPPubSubSubscription",
    "GCPPubSubTopic",
    "GCSBucket",
    "GCSFileChangeStream",
    "PubSubSubscription",
    "PubSubTopic",
)
