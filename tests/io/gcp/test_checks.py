"""Checks of Pub/Sub and Cloud Storage, on the local cloud and where nobody answers."""

from __future__ import annotations

import socket

import pytest

from buildflow_nb.core.findings import Health
from buildflow_nb.io import checks
from buildflow_nb.io.gcp import (
    GCPPubSubSubscription,
    GCPPubSubTopic,
    GCSBucket,
    GCSFileChangeStream,
)
from tests.io.contract import run
from tests.io.gcp.conftest import env_of
from tests.io.gcp.vendor import PROJECT

pytestmark = pytest.mark.emulator


def found(primitive, env):
    return run(primitive.check(env))


@pytest.mark.parametrize(
    "make",
    [
        lambda name: GCPPubSubTopic(None, name),
        lambda name: GCPPubSubSubscription(None, name),
        GCSBucket,
    ],
    ids=["topic", "subscription", "bucket"],
)
class TestMissing:
    def test_one_that_is_not_there_is_not_made(self, env, name, make):
        for _ in range(2):
            (finding,) = found(make(name), env)
            assert finding.health is Health.ERROR
            assert "does not exist in stack 'local'" in finding.said
            assert finding.cure == "%buildflow apply"

    def test_nobody_there(self, name, make):
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
        (finding,) = found(make(name), env_of(pubsub=url, storage=url))
        assert (finding.health, finding.cure) == (Health.ERROR, checks.UNREACHED)


def test_a_subscription_keeps_its_messages(env, pubsub, name):
    topic = f"projects/{PROJECT}/topics/{name}"
    subscription = f"projects/{PROJECT}/subscriptions/{name}"
    pubsub.publisher.create_topic(name=topic)
    pubsub.subscriber.create_subscription(name=subscription, topic=topic)
    pubsub.publisher.publish(topic=topic, messages=[{"data": b"one"}])
    for primitive in (GCPPubSubTopic(None, name), GCPPubSubSubscription(None, name)):
        for _ in range(2):
            (finding,) = found(primitive, env)
            assert (finding.health, finding.said) == (Health.OK, "is there")
    (got,) = pubsub.subscriber.pull(subscription=subscription, max_messages=10).received_messages
    assert (got.message.data, got.delivery_attempt) == (b"one", 0)
    pubsub.publisher.delete_topic(topic=topic)
    (finding,) = found(GCPPubSubSubscription(None, name), env)
    assert finding.health is Health.ERROR
    assert "belongs to a topic that was deleted" in finding.said


def test_a_stream_of_changes_is_its_bucket_and_its_subscription(env, gcs, name):
    stream = GCSFileChangeStream(GCSBucket(name))
    gcs.create_bucket(name)
    bucket, subscription = found(stream, env)
    assert bucket.subject == f"GCSFileChangeStream {name}: GCSBucket {name}"
    assert (bucket.health, bucket.said) == (Health.OK, "is there")
    assert (subscription.health, subscription.cure) == (Health.ERROR, "%buildflow apply")
    assert list(gcs.list_blobs(name)) == []
