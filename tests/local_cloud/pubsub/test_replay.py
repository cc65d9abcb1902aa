import datetime

import pytest

from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.message import to_timestamp
from buildflow_nb.local_cloud.pubsub.options import PubSubOptions
from buildflow_nb.local_cloud.pubsub.status import StatusError
from tests.local_cloud.pubsub.fakes import LETTERS, SNAPSHOT, SUBSCRIPTION, TOPIC, Shop

DAY_S = 86_400


def acknowledge_all(shop):
    shop.subscription.acknowledge(shop.take().ack_ids)


def seek_back(shop, seconds):
    when = to_timestamp(shop.broker.clock.wall() - seconds)
    shop.snapshots.seek(proto.SeekRequest(subscription=SUBSCRIPTION, time=when))


def seek_snapshot(shop, name=SNAPSHOT, subscription=SUBSCRIPTION):
    shop.snapshots.seek(proto.SeekRequest(subscription=subscription, snapshot=name))


def make_snapshot(shop, name=SNAPSHOT):
    request = proto.CreateSnapshotRequest(name=name, subscription=SUBSCRIPTION)
    return shop.snapshots.create(request)


class TestTime:
    def published(self, **fields):
        """Three messages, 10 s apart, the last just now; all but the last acknowledged."""
        shop = Shop(**fields)
        for name in (b"1", b"2"):
            shop.publish(name, size=name.decode())
            acknowledge_all(shop)
            shop.pass_time(10)
        shop.publish(b"3", size="3")
        return shop

    def test_without_retention_only_the_unacknowledged_come(self):
        shop = self.published()
        seek_back(shop, 100)
        assert shop.taken() == [b"3"]

    def test_what_is_retained_comes_again(self):
        shop = self.published(retain_acked_messages=True)
        seek_back(shop, 10)
        assert shop.taken() == [b"2", b"3"]
        seek_back(shop, 100)
        assert shop.taken() == [b"1", b"2", b"3"]

    def test_a_seek_is_exact_to_the_publish_time(self):
        shop = self.published(retain_acked_messages=True)
        seek_back(shop, 9.999_999)
        assert shop.taken() == [b"3"]

    def test_a_filter_holds_for_what_comes_again(self):
        shop = self.published(retain_acked_messages=True, filter='attributes.size != "2"')
        seek_back(shop, 100)
        assert shop.taken() == [b"1", b"3"]

    def test_seeking_forward_acknowledges(self):
        shop = self.published(retain_acked_messages=True)
        out = shop.take()
        seek_back(shop, -1)
        assert shop.taken() == []
        assert shop.subscription.held_bytes == 0
        assert shop.subscription.acknowledge(out.ack_ids) == list(out.ack_ids)

    def test_a_topics_retention_reaches_before_the_subscription(self):
        shop = Shop()
        retention = datetime.timedelta(minutes=10)
        shop.publisher.update(
            proto.UpdateTopicRequest(
                topic={"name": TOPIC, "message_retention_duration": retention},
                update_mask={"paths": ["message_retention_duration"]},
            )
        )
        shop.publish(b"early")
        shop.pass_time(1)
        name = "projects/shop/subscriptions/late"
        made = shop.subscriber.create(proto.Subscription(name=name, topic=TOPIC))
        assert made.topic_message_retention_duration.seconds == 600
        when = to_timestamp(shop.broker.clock.wall() - 5)
        shop.snapshots.seek(proto.SeekRequest(subscription=name, time=when))
        assert len(shop.broker.subscriptions[name].unacknowledged()) == 1

    def test_retention_ends(self):
        shop = self.published(
            retain_acked_messages=True, message_retention_duration=datetime.timedelta(minutes=10)
        )
        acknowledge_all(shop)
        shop.pass_time(585)
        shop.broker.clean()
        seek_back(shop, 10_000)
        assert shop.taken() == [b"2", b"3"]
        assert len(shop.subscription.history) == 2

    def test_nothing_is_retained_for_nobody(self):
        assert len(self.published().subscription.history) == 0

    def test_history_is_bounded_in_bytes(self):
        shop = Shop(PubSubOptions(history_bytes=5_000), retain_acked_messages=True)
        for number in range(100):
            shop.publish(b"%090d" % number)
            acknowledge_all(shop)
        seek_back(shop, 100)
        held = shop.subscription.unacknowledged()
        assert 30 < len(held) < 50
        assert held[-1].seq == 100


class TestSnapshots:
    def test_restore_what_was_not_acknowledged_and_all_later_ones(self):
        shop = Shop()
        shop.publish(b"1", b"2", b"3")
        shop.subscription.acknowledge(shop.take(1).ack_ids)
        shop.take(1)
        make_snapshot(shop)
        shop.publish(b"4")
        acknowledge_all(shop)
        shop.publish(b"5")
        for _ in range(2):
            seek_snapshot(shop)
            assert shop.taken() == [b"2", b"3", b"4", b"5"]

    def test_forget_nothing_that_came_before_another(self):
        shop = Shop()
        make_snapshot(shop)
        shop.publish(b"1")
        acknowledge_all(shop)
        other = "projects/shop/snapshots/evening"
        make_snapshot(shop, other)
        for _ in range(2):
            seek_snapshot(shop, other)
            assert shop.taken() == []
            seek_snapshot(shop)
            assert shop.taken() == [b"1"]
        shop.snapshots.delete(proto.DeleteSnapshotRequest(snapshot=other))
        seek_snapshot(shop)
        assert shop.taken() == [b"1"]

    def test_expire_with_their_oldest_message(self):
        shop = Shop()
        shop.publish(b"1")
        shop.pass_time(DAY_S)
        config = make_snapshot(shop)
        left_s = config.expire_time.ToSeconds() - shop.broker.clock.wall()
        assert left_s == 6 * DAY_S
        shop.pass_time(6 * DAY_S)
        shop.broker.clean()
        with pytest.raises(StatusError, match=r"not found \(resource=noon\)"):
            seek_snapshot(shop)
        shop.publish(b"2")
        assert len(shop.subscription.history) == 0

    def test_are_refused_when_they_would_expire_at_once(self):
        shop = Shop(message_retention_duration=datetime.timedelta(days=10))
        shop.publish(b"1")
        shop.pass_time(7 * DAY_S - 3_000)
        with pytest.raises(StatusError, match="less than an hour") as caught:
            make_snapshot(shop)
        assert caught.value.code.name == "FAILED_PRECONDITION"

    def test_of_another_topic_are_refused(self):
        shop = Shop()
        make_snapshot(shop)
        name = "projects/shop/subscriptions/other"
        shop.subscriber.create(proto.Subscription(name=name, topic=LETTERS))
        with pytest.raises(StatusError, match="seek to one of the subscription's own topic"):
            seek_snapshot(shop, subscription=name)

    def test_labels_can_be_changed(self):
        shop = Shop()
        make_snapshot(shop)
        shop.snapshots.update(
            proto.UpdateSnapshotRequest(
                snapshot={"name": SNAPSHOT, "labels": {"a": "b"}}, update_mask={"paths": ["labels"]}
            )
        )
        found = shop.snapshots.get(proto.GetSnapshotRequest(snapshot=SNAPSHOT))
        assert dict(found.labels) == {"a": "b"}
        assert found.topic == TOPIC


def test_a_seek_needs_a_target():
    with pytest.raises(StatusError, match="set time or snapshot"):
        Shop().snapshots.seek(proto.SeekRequest(subscription=SUBSCRIPTION))


def test_a_detached_subscription_cannot_seek():
    shop = Shop()
    shop.publisher.detach(proto.DetachSubscriptionRequest(subscription=SUBSCRIPTION))
    with pytest.raises(StatusError, match="detached") as caught:
        seek_back(shop, 1)
    assert caught.value.code.name == "FAILED_PRECONDITION"
