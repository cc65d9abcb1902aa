"""Pub/Sub: topics to publish to, subscriptions to read from."""

from buildflow_nb.io.gcp.pubsub.subscription import GCPPubSubSubscription, PubSubSubscription
from buildflow_nb.io.gcp.pubsub.topic import GCPPubSubTopic, PubSubTopic

__all__ = ("GCPPubSubSubscription", "GCPPubSubTopic", "PubSubSubscription", "PubSubTopic")
