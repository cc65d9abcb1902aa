"""The calls of the services, as far as Google's clients do not show them."""

import datetime

import pytest
from google.rpc import error_details_pb2, status_pb2

from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.iam import NO_POLICY_ETAG, Policies
from buildflow_nb.local_cloud.pubsub.options import PubSubOptions
from buildflow_nb.local_cloud.pubsub.paging import page
from buildflow_nb.local_cloud.pubsub.status import INVALID_ACK_ID, TRY_AGAIN, StatusError
from tests.local_cloud.pubsub.fakes import LETTERS, SUBSCRIPTION, TOPIC, Shop

OTHER = "projects/shop/subscriptions/other"


def create(shop, **fields):
    return shop.subscriber.create(proto.Subscription(name=OTHER, topic=TOPIC, **fields))


def update(shop, *paths, **fields):
    return shop.subscriber.update(
        proto.UpdateSubscriptionRequest(
            subscription={"name": SUBSCRIPTION, **fields}, update_mask={"paths": paths}
        )
    )


class TestConfigurations:
    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"ack_deadline_seconds": 9}, "Invalid ack_deadline_seconds given"),
            ({"ack_deadline_seconds": 601}, "It must be from 10 to 600"),
            ({"message_retention_duration": {"seconds": 599}}, "from 600 to 2678400"),
            ({"expiration_policy": {"ttl": {"seconds": 86_399}}}, "expiration_policy.ttl"),
            ({"retry_policy": {"maximum_backoff": {"seconds": 601}}}, "maximum_backoff"),
            ({"retry_policy": {"maximum_backoff": {"seconds": 5}}}, "must not be above"),
            (
                {"dead_letter_policy": {"dead_letter_topic": LETTERS, "max_delivery_attempts": 4}},
                "from 5 to 100",
            ),
            ({"push_config": {"push_endpoint": "ftp://x"}}, "must be an HTTP URL"),
            (
                {
                    "push_config": {"push_endpoint": "http://127.0.0.1"},
                    "enable_exactly_once_delivery": True,
                },
                "pull only",
            ),
            ({"labels": {"A": "b"}}, "Invalid label"),
            ({"filter": "x"}, "Invalid filter"),
            ({"bigquery_config": {"table": "a.b.c"}}, "does not deliver by bigquery_config"),
            ({"message_transforms": [{}]}, "no message transforms"),
        ],
    )
    def test_what_cannot_be_is_refused(self, fields, reason):
        shop = Shop()
        with pytest.raises(StatusError, match=reason):
            create(shop, **fields)
        assert OTHER not in shop.broker.subscriptions

    def test_a_dead_letter_topic_must_exist(self):
        policy = {"dead_letter_topic": "projects/shop/topics/none"}
        with pytest.raises(StatusError, match=r"not found \(resource=none\)"):
            create(Shop(), dead_letter_policy=policy)

    def test_policies_get_googles_defaults(self):
        made = create(Shop(), dead_letter_policy={"dead_letter_topic": LETTERS}, retry_policy={})
        assert made.dead_letter_policy.max_delivery_attempts == 5
        assert made.retry_policy.minimum_backoff.seconds == 10
        assert made.retry_policy.maximum_backoff.seconds == 600

    def test_a_ttl_left_out_means_never(self):
        made = create(Shop(), expiration_policy={})
        assert made.HasField("expiration_policy")
        assert not made.expiration_policy.HasField("ttl")

    @pytest.mark.parametrize("field", ["schema_settings", "ingestion_data_source_settings"])
    def test_topics_with_what_there_is_not_are_refused(self, field):
        topic = proto.Topic(name="projects/shop/topics/new", **{field: {}})
        with pytest.raises(StatusError, match=f"does not have {field}") as caught:
            Shop().publisher.create(topic)
        assert caught.value.code.name == "UNIMPLEMENTED"


class TestUpdates:
    def test_take_the_masked_fields_alone(self):
        shop = Shop(labels={"a": "1"}, ack_deadline_seconds=20)
        found = update(shop, "labels", labels={"b": "2"}, ack_deadline_seconds=30)
        assert dict(found.labels) == {"b": "2"}
        assert found.ack_deadline_seconds == 20

    def test_an_absent_field_is_cleared(self):
        shop = Shop(retry_policy={})
        assert not update(shop, "retry_policy").HasField("retry_policy")
        shop.publish(b"1")
        shop.subscription.give_back(shop.take().ack_ids)
        assert shop.taken() == [b"1"]

    def test_hold_at_once(self):
        shop = Shop()
        seconds = datetime.timedelta(seconds=5)
        policy = {"minimum_backoff": seconds, "maximum_backoff": seconds}
        update(shop, "retry_policy", retry_policy=policy)
        shop.publish(b"1")
        shop.subscription.give_back(shop.take().ack_ids)
        assert shop.taken() == []

    @pytest.mark.parametrize(
        ("paths", "reason"),
        [
            ([], "must contain a non-empty paths list"),
            (["pushConfig"], "'pushConfig' is not a known Subscription field"),
            (["push_config.nonsense"], "is not a known Subscription field"),
            (["filter"], "the 'filter' field in the Subscription is not mutable"),
            (["topic"], "not mutable"),
            (["enable_message_ordering"], "not mutable"),
        ],
    )
    def test_bad_masks_are_refused(self, paths, reason):
        with pytest.raises(StatusError, match=reason) as caught:
            update(Shop(), *paths)
        assert caught.value.code.name == "INVALID_ARGUMENT"

    def test_one_that_cannot_be_changes_nothing(self):
        shop = Shop()
        with pytest.raises(StatusError, match="ack_deadline_seconds"):
            update(shop, "ack_deadline_seconds", ack_deadline_seconds=1)
        assert shop.subscription.config.ack_deadline_seconds == 10


class TestExactlyOnce:
    def test_a_late_acknowledgement_is_named_and_spares_its_neighbours(self):
        shop = Shop(enable_exactly_once_delivery=True)
        shop.publish(b"1", b"2")
        late, good = shop.take().ack_ids
        shop.subscription.acknowledge([late])
        request = proto.AcknowledgeRequest(subscription=SUBSCRIPTION, ack_ids=[late, good])
        with pytest.raises(StatusError) as caught:
            shop.subscriber.acknowledge(request)
        ((key, value),) = caught.value.trailing_metadata()
        status = status_pb2.Status.FromString(value)
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        assert key == "grpc-status-details-bin"
        assert status.code == caught.value.code.value[0]
        assert dict(info.metadata) == {late: INVALID_ACK_ID, good: TRY_AGAIN}
        again = proto.AcknowledgeRequest(subscription=SUBSCRIPTION, ack_ids=[good])
        shop.subscriber.acknowledge(again)
        assert shop.subscription.held_bytes == 0

    def test_more_ids_than_fit_are_tried_again(self):
        shop = Shop(enable_exactly_once_delivery=True)
        gone = [f"gone {number}" for number in range(200)]
        request = proto.AcknowledgeRequest(subscription=SUBSCRIPTION, ack_ids=gone)
        with pytest.raises(StatusError) as caught:
            shop.subscriber.acknowledge(request)
        assert caught.value.code.name == "ABORTED"
        assert set(caught.value.failed_acks.values()) == {INVALID_ACK_ID}
        ((_, details),) = caught.value.trailing_metadata()
        assert 2_000 < len(details) < 6_000

    def test_late_deadlines_are_refused_alike(self):
        shop = Shop(enable_exactly_once_delivery=True)
        request = proto.ModifyAckDeadlineRequest(
            subscription=SUBSCRIPTION, ack_ids=["gone"], ack_deadline_seconds=20
        )
        with pytest.raises(StatusError) as caught:
            shop.subscriber.modify_ack_deadline(request)
        assert caught.value.failed_acks == {"gone": INVALID_ACK_ID}

    def test_without_it_nobody_is_told(self):
        request = proto.AcknowledgeRequest(subscription=SUBSCRIPTION, ack_ids=["gone"])
        assert Shop().subscriber.acknowledge(request) == proto.Empty()


@pytest.mark.parametrize("seconds", [-1, 601])
def test_deadlines_out_of_range_are_refused(seconds):
    request = proto.ModifyAckDeadlineRequest(
        subscription=SUBSCRIPTION, ack_ids=["any"], ack_deadline_seconds=seconds
    )
    with pytest.raises(StatusError, match="from 0 to 600 seconds"):
        Shop().subscriber.modify_ack_deadline(request)


def test_acknowledging_nothing_is_refused():
    with pytest.raises(StatusError, match="No ack ids"):
        Shop().subscriber.acknowledge(proto.AcknowledgeRequest(subscription=SUBSCRIPTION))


class TestFullSubscriptions:
    def shop(self):
        shop = Shop(PubSubOptions(backlog_bytes=1_000))
        create(shop, filter="attributes:none")
        while shop.subscription.held_bytes < 600:
            shop.publish(b"x" * 100)
        return shop

    def test_publishing_is_refused_for_all(self):
        shop = self.shop()
        before = len(shop.subscription.unacknowledged())
        with pytest.raises(StatusError, match="the limit is 1000") as caught:
            shop.publish(b"x" * 500, none="")
        assert caught.value.code.name == "RESOURCE_EXHAUSTED"
        assert len(shop.subscription.unacknowledged()) == before
        assert shop.broker.subscriptions[OTHER].held_bytes == 0

    def test_acknowledging_makes_room(self):
        shop = self.shop()
        shop.subscription.acknowledge(shop.take().ack_ids)
        shop.publish(b"x" * 500)
        assert shop.taken() == [b"x" * 500]

    def test_what_is_out_still_counts(self):
        shop = self.shop()
        shop.take()
        with pytest.raises(StatusError, match="holds"):
            shop.publish(b"x" * 500)


class TestTopics:
    def test_deleted_they_are_shown_as_deleted(self):
        shop = Shop()
        create(shop)
        shop.publisher.detach(proto.DetachSubscriptionRequest(subscription=OTHER))
        shop.publisher.delete(proto.DeleteTopicRequest(topic=TOPIC))
        for name in (SUBSCRIPTION, OTHER):
            assert shop.broker.subscriptions[name].config.topic == "_deleted-topic_"

    def test_a_deleted_subscription_gets_no_more(self):
        shop = Shop()
        subscription = shop.subscription
        shop.subscriber.delete(proto.DeleteSubscriptionRequest(subscription=SUBSCRIPTION))
        shop.publish(b"1")
        assert subscription.held_bytes == 0
        assert subscription.deleted

    def test_a_detached_subscription_loses_its_messages(self):
        shop = Shop()
        shop.publish(b"1")
        shop.publisher.detach(proto.DetachSubscriptionRequest(subscription=SUBSCRIPTION))
        shop.publish(b"2")
        assert shop.subscription.unacknowledged() == []


class TestPages:
    def test_go_on_after_the_last_name(self):
        items = {name: name.upper() for name in ("d", "b", "a", "c")}
        first, token = page(items, 2, "")
        assert first == ["A", "B"]
        del items["b"]
        items["bb"] = "BB"
        assert page(items, 2, token)[0] == ["BB", "C"]
        assert page(items, 3, token) == (["BB", "C", "D"], "")

    def test_of_no_size_are_large(self):
        found, token = page({f"{number:04}": number for number in range(1_001)}, 0, "")
        assert len(found) == 1_000
        assert page({f"{number:04}": number for number in range(1_001)}, 0, token)[0] == [1_000]

    @pytest.mark.parametrize(("size", "token"), [(-1, ""), (1, "!"), (1, "/////w==")])
    def test_with_a_bad_size_or_token_are_refused(self, size, token):
        with pytest.raises(StatusError, match="Invalid page_"):
            page({}, size, token)


class TestPolicies:
    def test_are_kept_with_a_new_etag_each_time(self):
        shop = Shop()
        policies = Policies(shop.broker)
        first = policies.get(proto.GetIamPolicyRequest(resource=TOPIC))
        assert first.etag == NO_POLICY_ETAG
        binding = {"role": "roles/pubsub.viewer", "members": ["user:a@example.com"]}
        request = proto.SetIamPolicyRequest(resource=TOPIC, policy={"bindings": [binding]})
        second = policies.set(request)
        third = policies.set(request)
        assert len({first.etag, second.etag, third.etag}) == 3
        assert policies.get(proto.GetIamPolicyRequest(resource=TOPIC)) == third

    def test_of_a_changed_policy_are_not_overwritten(self):
        policies = Policies(Shop().broker)
        request = proto.SetIamPolicyRequest(resource=TOPIC, policy={"etag": b"old"})
        with pytest.raises(StatusError, match="changed meanwhile") as caught:
            policies.set(request)
        assert caught.value.code.name == "ABORTED"

    def test_go_with_their_resource(self):
        shop = Shop()
        policies = Policies(shop.broker)
        policies.set(proto.SetIamPolicyRequest(resource=TOPIC, policy={}))
        shop.broker.remove_topic(TOPIC)
        assert shop.broker.policies == {}
        with pytest.raises(StatusError, match="not found"):
            policies.get(proto.GetIamPolicyRequest(resource=TOPIC))
