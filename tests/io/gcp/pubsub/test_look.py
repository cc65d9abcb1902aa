"""Looks into topics and subscriptions: what they say, and that no message is delivered by them."""

import time

import pytest

from buildflow_nb.core.primitive import Env
from buildflow_nb.core.resource_look import Asked, Binary, Standing
from buildflow_nb.io.gcp import GCPPubSubSubscription, GCPPubSubTopic
from buildflow_nb.io.gcp.pubsub import look as look_module
from buildflow_nb.io.gcp.pubsub.client import PubSubClient
from tests.io.contract import pulled, run
from tests.io.gcp.vendor import PROJECT

pytestmark = pytest.mark.emulator

DATA = [b'{"id": 1}', b"\xff\x00\x01", {"data": b"text", "attributes": {"who": "<i>"}}]


def glance(primitive, env, **words):
    return run(primitive.look(env, Asked(**words)))


def figures(look):
    return {one.label: one.value for one in look.figures}


@pytest.fixture
def filled(pubsub, name, env):
    pubsub.make(name, DATA)
    return GCPPubSubSubscription(PROJECT, name)


def test_messages_are_shown_with_attributes_and_bytes_as_such(filled, env):
    look = glance(filled, env)
    (content,) = look.contents
    assert [c.name for c in content.columns] == ["published", "attributes", "id", "body"]
    assert [row[1:] for row in content.rows] == [
        (None, 1, None),
        (None, None, Binary(3, b"\xff\x00\x01")),
        ({"who": "<i>"}, None, "text"),
    ]
    assert figures(look)["waiting"] == 3
    assert str(look.held) == "3 messages"


def test_a_look_is_no_delivery(pubsub, name, env):
    pubsub.make(
        name,
        DATA[:1],
        dead_letter_policy={"dead_letter_topic": pubsub.topic(name), "max_delivery_attempts": 5},
    )
    for _ in range(6):
        look = glance(GCPPubSubSubscription(PROJECT, name), env)
        assert (figures(look)["waiting"], figures(look)["in flight"]) == (1, 0)
    assert pulled(GCPPubSubSubscription(PROJECT, name), 1) == DATA[:1]


def test_one_that_vanishes_is_told(filled, env, pubsub, name):
    pubsub.subscriber.delete_subscription(subscription=pubsub.subscription(name))
    look = glance(filled, env)
    assert look.standing is Standing.ABSENT
    assert look.cure == "%buildflow apply"


def test_a_subscription_to_a_deleted_topic_says_so(filled, env, pubsub, name):
    pubsub.publisher.delete_topic(topic=pubsub.topic(name))
    look = glance(filled, env)
    assert "deleted" in look.said


def test_a_topic_says_who_has_subscribed(filled, env, pubsub, name):
    look = glance(GCPPubSubTopic(PROJECT, name), env)
    assert look.contents[0].rows == ((name,),)
    assert figures(look) == {"subscriptions": 1}
    pubsub.subscriber.delete_subscription(subscription=pubsub.subscription(name))
    look = glance(GCPPubSubTopic(PROJECT, name), env)
    assert "nobody has subscribed" in look.contents[0].said


def test_a_purge_empties_it(filled, env):
    run(filled.purge(env))
    assert figures(glance(filled, env))["waiting"] == 0


def test_without_a_network_the_deadline_is_kept():
    env = Env(endpoints={"pubsub": "http://127.0.0.1:1"}, gcp_project=PROJECT)
    began = time.monotonic()
    look = glance(GCPPubSubSubscription(PROJECT, "orders"), env, within_s=2.0)
    assert time.monotonic() - began < 4
    assert look.standing is Standing.UNREACHED


def test_elsewhere_it_says_why_messages_are_not_shown(filled, env, monkeypatch):
    async def unknown(*_):
        return None

    monkeypatch.setattr(PubSubClient, "raw", unknown)
    look = glance(filled, env, peek=True)
    assert look.contents == ()
    assert "failed delivery" in " ".join(look.notes)
    assert look.held.count is None
    assert str(look.held) == "messages: not known how many"


def test_on_googles_cloud_monitoring_says_how_much_waits(monkeypatch):
    from buildflow_nb.core.resource_look import ResourceLook

    monkeypatch.setattr(
        look_module,
        "_metrics",
        lambda env, project, name: {
            "num_undelivered_messages": 1_204.0,
            "oldest_unacked_message_age": 780.0,
        },
    )
    empty = ResourceLook("k", "kind", "orders")
    look = run(look_module._real(empty, "projects/p/subscriptions/orders", Env(), 20))
    assert figures(look) == {"waiting": 1_204.0, "oldest": 780.0}
    assert str(look.held) == "about 1,204 messages"
    assert "some minutes ago" in look.notes[-1]
