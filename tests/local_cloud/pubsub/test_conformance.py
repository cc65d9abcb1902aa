"""One suite for our server and for Google's emulator, run with Google's own clients: resources.

What is known to differ stands in the table of `conftest.py` with its reason: such a test must
fail there, so the table cannot outlive the difference.
"""

from __future__ import annotations

import datetime
import time

import pytest
from google.api_core import exceptions
from google.iam.v1 import policy_pb2
from google.protobuf import field_mask_pb2

from tests.local_cloud.pubsub.clients import data

pytestmark = pytest.mark.emulator


def mask(*paths):
    return field_mask_pb2.FieldMask(paths=paths)


class TestTopics:
    def test_is_made_and_shown(self, pubsub):
        name = pubsub.topic(labels={"team": "shop"})
        topic = pubsub.publisher.get_topic(topic=name)
        assert topic.name == name
        assert dict(topic.labels) == {"team": "shop"}

    def test_a_second_of_the_same_name_is_refused(self, pubsub):
        name = pubsub.topic()
        with pytest.raises(exceptions.AlreadyExists):
            pubsub.publisher.create_topic(name=name)

    @pytest.mark.parametrize("name", ["ab", "1abc", "goog-x", "a b c", "x" * 256])
    def test_bad_names_are_refused(self, pubsub, name):
        with pytest.raises(exceptions.InvalidArgument):
            pubsub.publisher.create_topic(name=f"projects/shop/topics/{name}")

    def test_a_missing_one_is_not_found(self, pubsub):
        name = pubsub.name("topics")
        with pytest.raises(exceptions.NotFound):
            pubsub.publisher.get_topic(topic=name)
        with pytest.raises(exceptions.NotFound):
            pubsub.publish(name, b"x")
        with pytest.raises(exceptions.NotFound):
            pubsub.publisher.delete_topic(topic=name)

    def test_lists_come_in_pages(self, pubsub):
        project = f"list-{time.time_ns()}"
        names = sorted(pubsub.name("topics", project) for _ in range(5))
        for name in names:
            pubsub.publisher.create_topic(name=name)
        request = {"project": f"projects/{project}", "page_size": 2}
        pages = list(pubsub.publisher.list_topics(request=request).pages)
        assert [len(page.topics) for page in pages] == [2, 2, 1]
        assert sorted(topic.name for page in pages for topic in page.topics) == names

    def test_labels_are_updated_by_the_mask(self, pubsub):
        name = pubsub.topic(labels={"team": "shop"})
        changed = {"name": name, "labels": {"team": "till"}}
        pubsub.publisher.update_topic(topic=changed, update_mask=mask("labels"))
        assert dict(pubsub.publisher.get_topic(topic=name).labels) == {"team": "till"}

    def test_an_empty_or_wrong_mask_is_refused(self, pubsub):
        name = pubsub.topic()
        for paths in ((), ("name",), ("nonsense",)):
            with pytest.raises(exceptions.InvalidArgument):
                pubsub.publisher.update_topic(topic={"name": name}, update_mask=mask(*paths))

    def test_lists_its_subscriptions(self, pubsub):
        topic = pubsub.topic()
        names = {pubsub.subscription(topic) for _ in range(3)}
        found = pubsub.publisher.list_topic_subscriptions(request={"topic": topic, "page_size": 2})
        assert set(found) == names

    def test_deleted_it_leaves_its_subscriptions_their_messages(self, pubsub):
        topic, subscription = pubsub.pair()
        pubsub.publish(topic, b"kept")
        pubsub.publisher.delete_topic(topic=topic)
        assert pubsub.subscriber.get_subscription(subscription=subscription).topic == (
            "_deleted-topic_"
        )
        assert data(pubsub.pull(subscription)) == [b"kept"]

    def test_a_detached_subscription_cannot_be_pulled(self, pubsub):
        topic, subscription = pubsub.pair()
        pubsub.publisher.detach_subscription(request={"subscription": subscription})
        assert pubsub.subscriber.get_subscription(subscription=subscription).detached
        assert list(pubsub.publisher.list_topic_subscriptions(topic=topic)) == []
        with pytest.raises(exceptions.FailedPrecondition):
            pubsub.pull(subscription)


class TestPublishing:
    def test_a_message_arrives_whole(self, pubsub):
        topic, subscription = pubsub.pair()
        before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1)
        (message_id,) = pubsub.publish(topic, b"\x00whole", colour="red")
        (received,) = pubsub.pull(subscription)
        assert received.message.data == b"\x00whole"
        assert dict(received.message.attributes) == {"colour": "red"}
        assert received.message.message_id == message_id
        assert before < received.message.publish_time < before + datetime.timedelta(seconds=60)
        assert received.delivery_attempt == 0

    def test_every_subscription_gets_every_message(self, pubsub):
        topic = pubsub.topic()
        subscriptions = [pubsub.subscription(topic) for _ in range(3)]
        pubsub.publish(topic, b"1", b"2")
        for subscription in subscriptions:
            assert sorted(data(pubsub.drain(subscription, 2))) == [b"1", b"2"]

    def test_ids_are_distinct(self, pubsub):
        topic = pubsub.topic()
        assert len(set(pubsub.publish(topic, *[b"x"] * 100))) == 100

    def test_no_message_is_refused(self, pubsub):
        with pytest.raises(exceptions.InvalidArgument):
            pubsub.publish(pubsub.topic())

    def test_an_empty_message_is_refused(self, pubsub):
        with pytest.raises(exceptions.InvalidArgument):
            pubsub.publish(pubsub.topic(), b"")

    def test_attributes_are_enough(self, pubsub):
        topic, subscription = pubsub.pair()
        pubsub.publish(topic, b"", kind="bare")
        assert dict(pubsub.pull(subscription)[0].message.attributes) == {"kind": "bare"}

    def test_more_than_a_thousand_messages_are_refused(self, pubsub):
        topic = pubsub.topic()
        assert len(pubsub.publish(topic, *[b"x"] * 1_000)) == 1_000
        with pytest.raises(exceptions.InvalidArgument):
            pubsub.publish(topic, *[b"x"] * 1_001)

    def test_ten_megabytes_are_the_limit(self, pubsub):
        topic, subscription = pubsub.pair()
        pubsub.publish(topic, b"x" * 9_990_000)
        assert len(pubsub.pull(subscription)[0].message.data) == 9_990_000
        with pytest.raises(exceptions.InvalidArgument):
            pubsub.publish(topic, b"x" * 10_000_001)

    def test_attributes_beyond_their_limits_are_refused(self, pubsub):
        topic = pubsub.topic()
        with pytest.raises(exceptions.InvalidArgument):
            pubsub.publish(topic, b"x", **{f"k{number}": "v" for number in range(101)})
        with pytest.raises(exceptions.InvalidArgument):
            pubsub.publish(topic, b"x", **{"k" * 257: "v"})
        with pytest.raises(exceptions.InvalidArgument):
            pubsub.publish(topic, b"x", key="v" * 1_025)


class TestSubscriptions:
    def test_what_is_left_open_has_googles_defaults(self, pubsub):
        topic, name = pubsub.pair()
        found = pubsub.subscriber.get_subscription(subscription=name)
        assert (found.name, found.topic) == (name, topic)
        assert found.ack_deadline_seconds == 10
        assert found.message_retention_duration == datetime.timedelta(days=7)
        assert found.expiration_policy.ttl == datetime.timedelta(days=31)
        assert not found.push_config.push_endpoint

    def test_keeps_what_it_was_given(self, pubsub):
        topic, letters = pubsub.topic(), pubsub.topic()
        fields = {
            "ack_deadline_seconds": 60,
            "retain_acked_messages": True,
            "labels": {"team": "shop"},
            "enable_message_ordering": True,
            "filter": 'attributes:colour AND NOT attributes.colour = "red"',
            "dead_letter_policy": {"dead_letter_topic": letters, "max_delivery_attempts": 7},
            "message_retention_duration": datetime.timedelta(hours=1),
            "retry_policy": {
                "minimum_backoff": datetime.timedelta(seconds=5),
                "maximum_backoff": datetime.timedelta(seconds=50),
            },
        }
        name = pubsub.subscription(topic, **fields)
        found = pubsub.subscriber.get_subscription(subscription=name)
        given = type(found)(name=name, topic=topic, **fields)
        assert {key: getattr(found, key) for key in fields} == {
            key: getattr(given, key) for key in fields
        }

    @pytest.mark.parametrize(
        "fields",
        [
            {"ack_deadline_seconds": 9},
            {"ack_deadline_seconds": 601},
            {"message_retention_duration": datetime.timedelta(minutes=1)},
            {"message_retention_duration": datetime.timedelta(days=32)},
            {"filter": 'attributes.a = "1" AND attributes.b = "2" OR attributes.c = "3"'},
            {"filter": "nonsense"},
        ],
        ids=["deadline-9", "deadline-601", "retention-1m", "retention-32d", "mixed", "nonsense"],
    )
    def test_values_out_of_range_are_refused(self, pubsub, fields):
        with pytest.raises(exceptions.InvalidArgument):
            pubsub.subscription(pubsub.topic(), **fields)

    def test_its_topic_must_exist(self, pubsub):
        with pytest.raises(exceptions.NotFound):
            pubsub.subscription(pubsub.name("topics"))

    def test_a_second_of_the_same_name_is_refused(self, pubsub):
        topic, name = pubsub.pair()
        with pytest.raises(exceptions.AlreadyExists):
            pubsub.subscriber.create_subscription(name=name, topic=topic)

    def test_fields_are_updated_by_the_mask(self, pubsub):
        _, name = pubsub.pair(labels={"a": "1"})
        changed = {"name": name, "ack_deadline_seconds": 30, "labels": {"b": "2"}}
        pubsub.subscriber.update_subscription(
            subscription=changed, update_mask=mask("ack_deadline_seconds")
        )
        found = pubsub.subscriber.get_subscription(subscription=name)
        assert found.ack_deadline_seconds == 30
        assert dict(found.labels) == {"a": "1"}

    def test_the_filter_cannot_be_changed(self, pubsub):
        _, name = pubsub.pair(filter="attributes:a")
        changed = {"name": name, "filter": "attributes:b"}
        with pytest.raises(exceptions.InvalidArgument):
            pubsub.subscriber.update_subscription(subscription=changed, update_mask=mask("filter"))

    def test_lists_come_in_pages(self, pubsub):
        project, topic = f"list-{time.time_ns()}", pubsub.topic()
        names = sorted(pubsub.name("subscriptions", project) for _ in range(5))
        for name in names:
            pubsub.subscriber.create_subscription(name=name, topic=topic)
        request = {"project": f"projects/{project}", "page_size": 2}
        pages = list(pubsub.subscriber.list_subscriptions(request=request).pages)
        assert [len(page.subscriptions) for page in pages] == [2, 2, 1]
        assert sorted(one.name for page in pages for one in page.subscriptions) == names

    def test_a_deleted_one_is_gone(self, pubsub):
        _, name = pubsub.pair()
        pubsub.subscriber.delete_subscription(subscription=name)
        with pytest.raises(exceptions.NotFound):
            pubsub.subscriber.get_subscription(subscription=name)
        with pytest.raises(exceptions.NotFound):
            pubsub.pull(name)
        with pytest.raises(exceptions.NotFound):
            pubsub.subscriber.delete_subscription(subscription=name)


class TestAccess:
    def test_iam_policies_are_kept(self, pubsub):
        topic, subscription = pubsub.pair()
        binding = policy_pb2.Binding(role="roles/pubsub.publisher", members=["user:a@example.com"])
        for client, resource in ((pubsub.publisher, topic), (pubsub.subscriber, subscription)):
            empty = client.get_iam_policy(request={"resource": resource})
            assert not empty.bindings
            assert empty.etag
            policy = policy_pb2.Policy(bindings=[binding], etag=empty.etag)
            stored = client.set_iam_policy(request={"resource": resource, "policy": policy})
            assert stored.bindings == [binding]
            assert client.get_iam_policy(request={"resource": resource}) == stored
            with pytest.raises(exceptions.Aborted):
                client.set_iam_policy(request={"resource": resource, "policy": policy}, retry=None)
            asked = {"resource": resource, "permissions": ["pubsub.topics.get"]}
            assert client.test_iam_permissions(request=asked).permissions == ["pubsub.topics.get"]
