"""Two readers at once, over changes of a bucket and over what portable sources are on Google's."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import pytest

from buildflow_nb.core.portable import placed
from buildflow_nb.core.primitive import Env
from buildflow_nb.io.gcp import GCPPubSubTopic, GCSBucket, GCSFileChangeStream
from buildflow_nb.io.portable import FileChangeStream, Queue, Topic
from tests.io.contract_sharing import SharingContract
from tests.io.gcp.vendor import PROJECT

pytestmark = pytest.mark.emulator

GCP = Env(provider="gcp", cloud="local", gcp_project=PROJECT)


@pytest.fixture(autouse=True)
def _here(env, pubsub, gcs, request):
    if request.instance is not None:
        request.instance.pubsub, request.instance.gcs = pubsub, gcs


def name_of(folder) -> str:
    return "t" + re.sub("[^a-z0-9]+", "-", str(folder).lower())[-30:].strip("-")


class EventOf:
    """Equal to every event of this key."""

    def __init__(self, key):
        self.key = key

    def __eq__(self, other):
        return getattr(other, "file_path", None) == self.key

    __hash__ = None


class TestChanges(SharingContract):
    expected: ClassVar[list[object]] = [EventOf(f"file {i}") for i in range(30)]

    def make(self, folder):
        return GCSFileChangeStream(GCSBucket(PROJECT, name_of(folder)))

    def prepare(self, folder):
        stream = self.make(folder)
        subscribe(self.pubsub, stream.pubsub_topic, stream.pubsub_subscription)
        bucket = self.gcs.create_bucket(name_of(folder))
        topic = stream.pubsub_topic.topic_name
        bucket.notification(topic, topic_project=PROJECT, payload_format="NONE").create()
        for event in self.expected:
            bucket.blob(event.key).upload_from_string("x")
        return stream


class TestPortableChanges(TestChanges):
    def make(self, folder):
        return placed(FileChangeStream(name_of(folder)), GCP, "source")[0]


class TestQueue(SharingContract):
    kind: ClassVar[Any] = Queue
    expected: ClassVar[list[object]] = [f"message {i}".encode() for i in range(30)]

    def make(self, folder):
        return placed(self.kind(name_of(folder)), GCP, "source")[0]

    def prepare(self, folder):
        subscription = self.make(folder)
        (topic,) = placed(self.kind(name_of(folder)), GCP, "sink")
        assert isinstance(topic, GCPPubSubTopic)
        subscribe(self.pubsub, topic, subscription)
        self.pubsub.publish(topic.topic_name, self.expected)
        return subscription


class TestTopic(TestQueue):
    kind = Topic


def subscribe(pubsub, topic, subscription) -> None:
    """What `apply` makes, by hand."""
    pubsub.publisher.create_topic(name=pubsub.topic(topic.topic_name))
    pubsub.subscriber.create_subscription(
        name=pubsub.subscription(subscription.subscription_name),
        topic=pubsub.topic(topic.topic_name),
    )
