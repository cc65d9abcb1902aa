"""One suite for our server and for Google's emulator, run with Google's own clients: delivery.

What is known to differ stands in the table of `conftest.py` with its reason: such a test must
fail there, so the table cannot outlive the difference.
"""

from __future__ import annotations

import base64
import datetime
import json
import threading
import time

import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1.subscriber.exceptions import AcknowledgeError, AcknowledgeStatus

from tests.local_cloud.pubsub.clients import PATIENCE_S, Endpoint, data, until

pytestmark = pytest.mark.emulator


class TestPulling:
    def test_waits_for_a_message(self, pubsub):
        topic, subscription = pubsub.pair()
        timer = threading.Timer(0.3, pubsub.publish, (topic, b"late"))
        timer.start()
        assert data(pubsub.pull(subscription)) == [b"late"]
        timer.join()

    def test_returns_at_once_where_asked_to(self, pubsub):
        _, subscription = pubsub.pair()
        request = {"subscription": subscription, "max_messages": 1, "return_immediately": True}
        began = time.monotonic()
        with pytest.warns(DeprecationWarning, match="return_immediately"):
            answer = pubsub.subscriber.pull(request=request)
        assert not answer.received_messages
        assert time.monotonic() - began < 5

    def test_gives_no_more_than_asked_for(self, pubsub):
        topic, subscription = pubsub.pair()
        pubsub.publish(topic, *[b"x"] * 20)
        assert len(pubsub.pull(subscription, 7)) <= 7

    def test_zero_messages_are_refused(self, pubsub):
        _, subscription = pubsub.pair()
        with pytest.raises(exceptions.InvalidArgument):
            pubsub.pull(subscription, 0)

    def test_what_is_out_is_not_given_again(self, pubsub):
        topic, subscription = pubsub.pair()
        pubsub.publish(topic, b"once")
        assert len(pubsub.pull(subscription)) == 1
        assert pubsub.empty(subscription)

    def test_what_is_given_back_comes_again(self, pubsub):
        topic, subscription = pubsub.pair()
        pubsub.publish(topic, b"again")
        pubsub.extend(subscription, pubsub.pull(subscription), 0)
        assert data(pubsub.pull(subscription)) == [b"again"]

    def test_deadlines_lapse_unless_they_are_extended(self, pubsub):
        topic, subscription = pubsub.pair(ack_deadline_seconds=10)
        pubsub.publish(topic, b"lapses", b"extended", b"acknowledged")
        began = time.monotonic()
        messages = {one.message.data: one for one in pubsub.drain(subscription, 3, ack=False)}
        pubsub.extend(subscription, [messages[b"extended"]], 60)
        pubsub.acknowledge(subscription, [messages[b"acknowledged"]])
        assert data(pubsub.pull(subscription)) == [b"lapses"]
        assert 9.5 < time.monotonic() - began < 13
        assert pubsub.empty(subscription)

    def test_a_late_acknowledgement_is_no_error(self, pubsub):
        topic, subscription = pubsub.pair()
        pubsub.publish(topic, b"x")
        messages = pubsub.pull(subscription)
        pubsub.acknowledge(subscription, messages)
        pubsub.acknowledge(subscription, messages)
        assert pubsub.empty(subscription)


class TestStreaming:
    def test_every_message_comes_once(self, pubsub):
        topic, subscription = pubsub.pair()
        expected = {b"%d" % number for number in range(500)}
        seen: list[bytes] = []

        def take(message):
            seen.append(message.data)
            message.ack()

        with pubsub.streaming(subscription, take):
            for one in expected:
                pubsub.publisher.publish(topic, one)
            until(lambda: len(seen) >= 500, "the arrival of 500 messages")
        assert sorted(seen) == sorted(expected)
        assert pubsub.empty(subscription)

    def test_holds_no_more_than_flow_control_allows(self, pubsub):
        topic, subscription = pubsub.pair()
        pubsub.publish(topic, *[b"x"] * 50)
        held, seen = [], []

        def take(message):
            seen.append(message.data)
            held.append(message)

        with pubsub.streaming(subscription, take, most=10):
            until(lambda: len(held) == 10, "the arrival of 10 messages")
            time.sleep(0.3)
            assert len(held) == 10
            while len(seen) < 50:
                for message in list(held):
                    held.remove(message)
                    message.ack()
                assert len(held) <= 10
                time.sleep(0.01)
            for message in held:
                message.ack()
        assert len(seen) == 50

    def test_what_is_given_back_comes_again(self, pubsub):
        topic, subscription = pubsub.pair()
        seen: list[str] = []

        def take(message):
            seen.append(message.message_id)
            if len(seen) < 3:
                message.nack()
            else:
                message.ack()

        with pubsub.streaming(subscription, take):
            (message_id,) = pubsub.publish(topic, b"x")
            until(lambda: len(seen) == 3, "the third delivery")
        assert seen == [message_id] * 3

    def test_deleting_the_subscription_ends_it(self, pubsub):
        _, subscription = pubsub.pair()
        future = pubsub.subscriber.subscribe(subscription, lambda message: message.ack())
        time.sleep(0.3)
        pubsub.subscriber.delete_subscription(subscription=subscription)
        with pytest.raises(exceptions.NotFound):
            future.result(PATIENCE_S)

    def test_a_missing_subscription_is_not_found(self, pubsub):
        future = pubsub.subscriber.subscribe(pubsub.name("subscriptions"), lambda message: None)
        with pytest.raises(exceptions.NotFound):
            future.result(PATIENCE_S)


class TestOrdering:
    def test_messages_of_a_key_keep_their_order(self, pubsub):
        topic, subscription = pubsub.pair(enable_message_ordering=True)
        seen: dict[str, list[bytes]] = {"a": [], "b": []}

        def take(message):
            seen[message.ordering_key].append(message.data)
            message.ack()

        expected = [b"%d" % number for number in range(50)]
        with pubsub.streaming(subscription, take):
            for key in seen:
                pubsub.publish_ordered(topic, key, *expected)
            until(lambda: sum(map(len, seen.values())) >= 100, "the arrival of 100 messages")
        assert seen == {"a": expected, "b": expected}

    def test_the_next_waits_for_what_is_out(self, pubsub):
        topic, subscription = pubsub.pair(enable_message_ordering=True)
        pubsub.publish_ordered(topic, "key", b"1", b"2", b"3")
        first = pubsub.pull(subscription, 1)
        assert data(first) == [b"1"]
        assert pubsub.empty(subscription)
        pubsub.acknowledge(subscription, first)
        assert data(pubsub.pull(subscription, 1)) == [b"2"]

    def test_giving_one_back_brings_all_later_ones_back(self, pubsub):
        topic, subscription = pubsub.pair(enable_message_ordering=True)
        pubsub.publish_ordered(topic, "key", b"1", b"2", b"3")
        out = pubsub.drain(subscription, 3, ack=False)
        assert data(out) == [b"1", b"2", b"3"]
        pubsub.acknowledge(subscription, out[:1])
        pubsub.extend(subscription, out[1:2], 0)
        assert data(pubsub.drain(subscription, 2)) == [b"2", b"3"]


class TestPolicies:
    def test_a_filter_lets_pass_what_matches(self, pubsub):
        topic, subscription = pubsub.pair(
            filter='hasPrefix(attributes.colour, "re") OR (attributes:big AND NOT attributes:old)'
        )
        pubsub.publish(topic, b"red", colour="red")
        pubsub.publish(topic, b"blue", colour="blue")
        pubsub.publish(topic, b"big", big="yes")
        pubsub.publish(topic, b"old", big="yes", old="yes")
        assert sorted(data(pubsub.drain(subscription, 2))) == [b"big", b"red"]
        assert pubsub.empty(subscription)

    def test_what_fails_too_often_is_dead_lettered(self, pubsub):
        topic, letters = pubsub.topic(), pubsub.topic()
        graveyard = pubsub.subscription(letters)
        policy = {"dead_letter_topic": letters, "max_delivery_attempts": 5}
        subscription = pubsub.subscription(topic, dead_letter_policy=policy)
        pubsub.publish(topic, b"bad", colour="red")
        attempts = []
        for _ in range(5):
            (message,) = pubsub.pull(subscription)
            attempts.append(message.delivery_attempt)
            pubsub.extend(subscription, [message], 0)
        assert pubsub.empty(subscription)
        (letter,) = pubsub.pull(graveyard)
        assert attempts == [1, 2, 3, 4, 5]
        assert letter.message.data == b"bad"
        found = dict(letter.message.attributes)
        assert found.pop("CloudPubSubDeadLetterSourceTopicPublishTime")
        assert found == {
            "colour": "red",
            "CloudPubSubDeadLetterSourceDeliveryCount": "5",
            "CloudPubSubDeadLetterSourceSubscription": subscription.rsplit("/", 1)[-1],
            "CloudPubSubDeadLetterSourceSubscriptionProject": "shop",
        }

    def test_the_retry_policy_holds_a_message_back(self, pubsub):
        policy = {
            "minimum_backoff": datetime.timedelta(seconds=1),
            "maximum_backoff": datetime.timedelta(seconds=5),
        }
        topic, subscription = pubsub.pair(retry_policy=policy)
        pubsub.publish(topic, b"x")
        pubsub.extend(subscription, pubsub.pull(subscription), 0)
        began = time.monotonic()
        pubsub.drain(subscription, 1)
        assert 0.9 < time.monotonic() - began < 1.9

    def test_exactly_once_acknowledgements_are_confirmed(self, pubsub):
        topic, subscription = pubsub.pair(enable_exactly_once_delivery=True)
        results = []

        def take(message):
            results.append(message.ack_with_response())

        with pubsub.streaming(subscription, take):
            pubsub.publish(topic, b"1", b"2")
            until(lambda: len(results) == 2, "both deliveries")
            assert [one.result(PATIENCE_S) for one in results] == [AcknowledgeStatus.SUCCESS] * 2

    def test_exactly_once_acknowledgements_of_what_came_back_fail(self, pubsub):
        topic, subscription = pubsub.pair(enable_exactly_once_delivery=True)
        results, taken = {}, []  # by delivery: the second may be acknowledged before the first

        def take(message):
            taken.append(message)
            delivery = len(taken)
            if delivery == 1:
                pubsub.subscriber.modify_ack_deadline(
                    subscription=subscription, ack_ids=[message.ack_id], ack_deadline_seconds=0
                )
            results[delivery] = message.ack_with_response()

        with pubsub.streaming(subscription, take):
            pubsub.publish(topic, b"x")
            until(lambda: len(results) == 2, "the second delivery")
            with pytest.raises(AcknowledgeError) as caught:
                results[1].result(PATIENCE_S)
            assert caught.value.error_code is AcknowledgeStatus.INVALID_ACK_ID
            assert results[2].result(PATIENCE_S) is AcknowledgeStatus.SUCCESS


class TestReplay:
    def test_seeking_to_a_time_brings_back_what_was_acknowledged(self, pubsub):
        topic, subscription = pubsub.pair(retain_acked_messages=True)
        pubsub.publish(topic, b"before")
        pubsub.drain(subscription, 1)
        time.sleep(0.05)
        since = datetime.datetime.now(datetime.UTC)
        time.sleep(0.05)
        pubsub.publish(topic, b"after")
        pubsub.drain(subscription, 1)
        pubsub.subscriber.seek(request={"subscription": subscription, "time": since})
        assert data(pubsub.drain(subscription, 1)) == [b"after"]
        assert pubsub.empty(subscription)

    def test_seeking_forward_drops_the_backlog(self, pubsub):
        topic, subscription = pubsub.pair()
        pubsub.publish(topic, b"1", b"2")
        soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1)
        pubsub.subscriber.seek(request={"subscription": subscription, "time": soon})
        assert pubsub.empty(subscription)

    def test_seeking_to_a_snapshot_restores_its_state(self, pubsub):
        topic, subscription = pubsub.pair()
        pubsub.publish(topic, b"acknowledged before")
        pubsub.drain(subscription, 1)
        pubsub.publish(topic, b"waiting")
        snapshot = pubsub.name("snapshots")
        made = pubsub.subscriber.create_snapshot(name=snapshot, subscription=subscription)
        assert (made.name, made.topic) == (snapshot, topic)
        assert made.expire_time > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=6)
        pubsub.publish(topic, b"later")
        pubsub.drain(subscription, 2)
        assert pubsub.empty(subscription)
        pubsub.subscriber.seek(request={"subscription": subscription, "snapshot": snapshot})
        assert sorted(data(pubsub.drain(subscription, 2))) == [b"later", b"waiting"]
        assert pubsub.empty(subscription)

    def test_snapshots_are_listed_and_deleted(self, pubsub):
        topic, subscription = pubsub.pair()
        project = f"list-{time.time_ns()}"
        names = sorted(pubsub.name("snapshots", project) for _ in range(3))
        for name in names:
            pubsub.subscriber.create_snapshot(name=name, subscription=subscription)
        with pytest.raises(exceptions.AlreadyExists):
            pubsub.subscriber.create_snapshot(name=names[0], subscription=subscription)
        request = {"project": f"projects/{project}", "page_size": 2}
        pages = list(pubsub.subscriber.list_snapshots(request=request).pages)
        assert [len(page.snapshots) for page in pages] == [2, 1]
        assert sorted(pubsub.publisher.list_topic_snapshots(topic=topic)) == names
        pubsub.subscriber.delete_snapshot(snapshot=names[0])
        with pytest.raises(exceptions.NotFound):
            pubsub.subscriber.get_snapshot(snapshot=names[0])
        assert pubsub.subscriber.get_snapshot(snapshot=names[1]).topic == topic


class TestPush:
    def test_messages_are_posted_as_json(self, pubsub):
        topic = pubsub.topic()
        with Endpoint() as endpoint:
            subscription = pubsub.subscription(topic, push_config={"push_endpoint": endpoint.url})
            (message_id,) = pubsub.publish(topic, b"pushed", colour="red")
            until(lambda: bool(endpoint.posts), "the post")
            posted = json.loads(endpoint.posts[0][1])
            assert posted["subscription"] == subscription
            assert base64.b64decode(posted["message"]["data"]) == b"pushed"
            assert posted["message"]["attributes"] == {"colour": "red"}
            assert posted["message"]["messageId"] == message_id
            assert posted["message"]["publishTime"]
            pubsub.subscriber.delete_subscription(subscription=subscription)

    def test_what_the_endpoint_refuses_is_posted_again(self, pubsub):
        topic = pubsub.topic()
        with Endpoint(500, 503) as endpoint:
            subscription = pubsub.subscription(topic, push_config={"push_endpoint": endpoint.url})
            pubsub.publish(topic, b"stubborn")
            until(lambda: len(endpoint.posts) == 3, "the third post")
            time.sleep(0.3)
            assert len(endpoint.posts) == 3
            pubsub.subscriber.delete_subscription(subscription=subscription)

    def test_push_can_be_turned_on_later(self, pubsub):
        topic, subscription = pubsub.pair()
        pubsub.publish(topic, b"waiting")
        with Endpoint() as endpoint:
            pubsub.subscriber.modify_push_config(
                subscription=subscription, push_config={"push_endpoint": endpoint.url}
            )
            until(lambda: bool(endpoint.posts), "the post")
            pubsub.subscriber.delete_subscription(subscription=subscription)
