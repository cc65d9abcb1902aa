"""The whole way: a flow applies its resources with the real engine, works, and destroys them."""

from __future__ import annotations

from contextlib import closing, contextmanager

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from buildflow_nb import Flow
from buildflow_nb.io.gcp import (
    GCPPubSubSubscription,
    GCPPubSubTopic,
    GCSBucket,
    GCSFileChangeStream,
)
from buildflow_nb.local_cloud.client import stop_cloud
from buildflow_nb.types.gcp import GCSChangeStreamEventType, GCSFileChangeEvent
from tests.io.flows import until
from tests.io.gcp.vendor import PROJECT, PubSub

pytestmark = [
    pytest.mark.pulumi,
    pytest.mark.emulator,
    # The SDK leaves its event loop open, and warns of its own deprecated classes.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*has been deprecated in favor of:DeprecationWarning"),
]

KINDS = (GCSChangeStreamEventType.OBJECT_FINALIZE, GCSChangeStreamEventType.OBJECT_DELETE)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    stop_cloud(tmp_path)


def names(pubsub):
    """What is there, as Google's clients see it."""
    topics = pubsub.publisher.list_topics(project=f"projects/{PROJECT}")
    subscriptions = pubsub.subscriber.list_subscriptions(project=f"projects/{PROJECT}")
    return {one.name.rpartition("/")[2] for one in (*topics, *subscriptions)}


@pytest.fixture
def flow(folder):
    """A flow that manages one of each, and what its consumer has seen."""
    made = Flow()
    topic = GCPPubSubTopic(PROJECT, "orders")
    orders = GCPPubSubSubscription(PROJECT, "to-ship").options(
        topic=topic, ack_deadline_seconds=30, enable_exactly_once_delivery=True
    )
    bucket = GCSBucket(PROJECT, "in.box", "orders").options(force_destroy=True)
    changes = GCSFileChangeStream(bucket, KINDS)
    made.manage(topic, orders, bucket, changes)
    seen = []

    @made.consumer(source=changes)
    def note(event: GCSFileChangeEvent) -> None:
        gone = event.event_type is GCSChangeStreamEventType.OBJECT_DELETE
        seen.append((event.file_path, b"" if gone else event.blob))

    return made, seen


@contextmanager
def vendors(flow):
    """Google's clients, where the flow's resources are."""
    ends = flow.place.env().endpoints
    nobody, options = AnonymousCredentials(), {"api_endpoint": ends["storage"]}
    gcs = storage.Client(PROJECT, credentials=nobody, client_options=options)
    with closing(gcs), PubSub(ends["pubsub"]) as pubsub:
        yield pubsub, gcs


def test_from_apply_to_destroy(flow):
    flow, seen = flow
    flow.apply(yes=True)
    with vendors(flow) as (pubsub, gcs):
        assert names(pubsub) == {"orders", "to-ship", "in.box_topic", "in.box_subscription"}
        made = pubsub.subscriber.get_subscription(subscription=pubsub.subscription("to-ship"))
        assert made.topic == pubsub.topic("orders")
        assert (made.ack_deadline_seconds, made.enable_exactly_once_delivery) == (30, True)
        assert made.message_retention_duration.total_seconds() == 1200
        (notification,) = gcs.bucket("in.box").list_notifications()
        assert set(notification.event_types) == {kind.name for kind in KINDS}
        handle = flow.run(block=False, serve_port=0)
        blob = gcs.bucket("in.box").blob("ü 数.txt")
        blob.upload_from_string(b"hello")
        until(lambda: seen == [("ü 数.txt", b"hello")])
        blob.delete()
        until(lambda: seen[1:] == [("ü 数.txt", b"")])
        gcs.bucket("in.box").blob("kept.txt").upload_from_string(b"")
        handle.stop()
        assert flow.apply(yes=True).nothing_to_do
        flow.destroy(yes=True)
        assert names(pubsub) == set()
        assert list(gcs.list_buckets()) == []
