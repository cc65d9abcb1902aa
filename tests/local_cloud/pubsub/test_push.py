import asyncio
import json
import logging

import pytest

from buildflow_nb.local_cloud.pubsub import PubSubOptions, proto
from buildflow_nb.local_cloud.pubsub.push import Pushers, body, headers
from tests.local_cloud.pubsub.clients import Endpoint
from tests.local_cloud.pubsub.fakes import SUBSCRIPTION, Shop, stamped

DEADLINE_S = 15.0


def pushed(shop, so):
    """Push until something is so."""

    async def go():
        pushers = Pushers(shop.broker)
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not so():
                    pushers.reconcile()
                    await asyncio.sleep(0.01)
        finally:
            await pushers.close()

    asyncio.run(go())


def test_the_body_is_as_documented():
    (message,) = stamped(b"\xff", key="k")
    decoded = message.decode()
    assert body(decoded, SUBSCRIPTION) == {
        "message": {
            "attributes": {},
            "data": "/w==",
            "messageId": "1",
            "message_id": "1",
            "orderingKey": "k",
            "publishTime": "2023-11-14T22:13:20Z",
            "publish_time": "2023-11-14T22:13:20Z",
        },
        "subscription": SUBSCRIPTION,
    }


def test_the_headers_are_as_documented():
    (message,) = stamped(b"x", key="k")
    decoded = message.decode()
    decoded.attributes["colour"] = "red"
    assert headers(decoded, SUBSCRIPTION) == {
        "colour": "red",
        "x-goog-pubsub-message-id": "1",
        "x-goog-pubsub-ordering-key": "k",
        "x-goog-pubsub-publish-time": "2023-11-14T22:13:20Z",
        "x-goog-pubsub-subscription-name": SUBSCRIPTION,
    }


@pytest.mark.parametrize("metadata", [False, True])
def test_an_unwrapped_message_is_the_body(metadata):
    with Endpoint() as endpoint:
        config = {"push_endpoint": endpoint.url, "no_wrapper": {"write_metadata": metadata}}
        shop = Shop(push_config=config)
        shop.publish(b"bare")
        pushed(shop, lambda: shop.subscription.held_bytes == 0)
        ((found, content),) = endpoint.posts
    assert content == b"bare"
    assert (found.get("x-goog-pubsub-message-id") == "1") is metadata


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_documented_statuses_acknowledge(status):
    with Endpoint(status) as endpoint:
        shop = Shop(push_config={"push_endpoint": endpoint.url})
        shop.publish(b"1")
        pushed(shop, lambda: shop.subscription.held_bytes == 0)
        assert len(endpoint.posts) == 1


@pytest.mark.parametrize("status", [203, 302, 307, 400, 500])
def test_others_are_failures(status):
    with Endpoint(status) as endpoint:
        shop = Shop(push_config={"push_endpoint": endpoint.url})
        shop.publish(b"1")
        pushed(shop, lambda: bool(shop.subscription.failures()))
        pushed(shop, lambda: shop.subscription.held_bytes == 0)
        assert len(endpoint.posts) == 2


def test_messages_of_a_key_are_posted_one_by_one():
    with Endpoint(500) as endpoint:
        config = {"push_endpoint": endpoint.url}
        shop = Shop(push_config=config, enable_message_ordering=True)
        shop.publish(*[b"%d" % number for number in range(10)], key="k")
        pushed(shop, lambda: shop.subscription.held_bytes == 0)
        ids = [int(json.loads(content)["message"]["messageId"]) for _, content in endpoint.posts]
    assert ids == [1, *range(1, 11)]


def test_many_failures_at_once_are_one_reason_to_pause():
    with Endpoint(*[503] * 32) as endpoint:
        shop = Shop(push_config={"push_endpoint": endpoint.url})
        shop.publish(*[b"%d" % number for number in range(40)])
        pushed(shop, lambda: shop.subscription.held_bytes == 0)
        assert len(endpoint.posts) == 72


def test_a_dead_endpoint_leaves_the_messages(caplog):
    shop = Shop(push_config={"push_endpoint": "http://127.0.0.1:9/none"})
    shop.publish(b"1")
    with caplog.at_level(logging.INFO):
        pushed(shop, lambda: bool(shop.subscription.failures()))
    assert shop.subscription.held_bytes > 0
    assert "push to http://127.0.0.1:9/none failed" in caplog.text


def test_pushing_ends_with_its_endpoint():
    with Endpoint() as endpoint:
        shop = Shop(push_config={"push_endpoint": endpoint.url})

        async def go():
            pushers = Pushers(shop.broker)
            pushers.reconcile()
            running = len(pushers._running)
            shop.subscriber.modify_push_config(
                proto.ModifyPushConfigRequest(subscription=SUBSCRIPTION, push_config={})
            )
            pushers.reconcile()
            left = len(pushers._running)
            await pushers.close()
            return running, left

        assert asyncio.run(go()) == (1, 0)


def test_other_machines_are_not_reached_unless_they_are_named(caplog):
    def started(hosts):
        config = {"push_endpoint": "https://example.com/push"}
        shop = Shop(PubSubOptions(push_hosts=frozenset(hosts)), push_config=config)

        async def go():
            pushers = Pushers(shop.broker)
            pushers.reconcile()
            pushers.reconcile()
            count = len(pushers._running)
            await pushers.close()
            return count

        return asyncio.run(go())

    assert started([]) == 0
    assert caplog.text.count("--push-host example.com") == 1
    assert started(["example.com"]) == 1
