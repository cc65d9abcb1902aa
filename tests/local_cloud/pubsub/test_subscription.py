import datetime

import pytest

from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.lease import Holder
from tests.local_cloud.pubsub.fakes import LETTERS, MANY_BYTES, SUBSCRIPTION, Shop, data


def seconds(value):
    return datetime.timedelta(seconds=value)


def test_messages_come_in_the_order_of_publishing():
    shop = Shop()
    shop.publish(b"1", b"2")
    shop.publish(b"3")
    assert shop.taken(2) == [b"1", b"2"]
    assert shop.taken() == [b"3"]
    assert shop.taken() == []


def test_a_delivery_is_bounded_in_bytes_but_gives_at_least_one():
    shop = Shop()
    shop.publish(b"x" * 100, b"y" * 100, b"z" * 100)
    assert len(shop.subscription.take(10, 1, 10)) == 1
    assert len(shop.subscription.take(10, 300, 10)) == 2


def test_deadlines_lapse_and_the_oldest_goes_first():
    shop = Shop()
    shop.publish(b"1", b"2")
    out = shop.take(1)
    shop.pass_time(9.9)
    assert shop.taken(1) == [b"2"]
    shop.publish(b"3")
    shop.pass_time(0.1)
    assert shop.taken() == [b"1", b"3"]
    assert shop.subscription.acknowledge(out.ack_ids) == list(out.ack_ids)


def test_extending_keeps_a_message_out():
    shop = Shop()
    shop.publish(b"1")
    out = shop.take()
    shop.pass_time(9)
    assert shop.subscription.extend(out.ack_ids, 10) == []
    shop.pass_time(9)
    assert shop.taken() == []
    shop.pass_time(1)
    assert shop.taken() == [b"1"]


def test_what_is_acknowledged_never_comes_again():
    shop = Shop()
    shop.publish(b"1", b"2")
    out = shop.take()
    assert shop.subscription.acknowledge(out.ack_ids[:1]) == []
    shop.pass_time(10)
    assert shop.taken() == [b"2"]
    shop.pass_time(10)
    shop.subscription.acknowledge(shop.take().ack_ids)
    shop.pass_time(1_000)
    assert shop.taken() == []
    assert shop.subscription.held_bytes == 0


def test_acknowledged_its_failures_are_forgotten():
    shop = Shop()
    shop.publish(b"1")
    shop.subscription.give_back(shop.take().ack_ids)
    assert list(shop.subscription.failures().values()) == [1]
    shop.subscription.acknowledge(shop.take().ack_ids)
    assert shop.subscription.failures() == {}


def test_news_is_set_when_there_is_something_to_do():
    shop = Shop()
    news = shop.subscription.news
    for act in (
        lambda: shop.publish(b"1"),
        lambda: shop.subscription.give_back(shop.take().ack_ids),
        lambda: shop.pass_time(10) if shop.take() else None,
        shop.subscription.close,
    ):
        news.clear()
        act()
        assert news.is_set()


def test_a_holders_freed_room_is_news_even_if_the_message_waits():
    shop = Shop(retry_policy={"minimum_backoff": seconds(60), "maximum_backoff": seconds(60)})
    shop.publish(b"1", b"2")
    out = shop.take(1, Holder())
    shop.subscription.news.clear()
    shop.subscription.give_back(out.ack_ids)
    assert shop.subscription.news.is_set()


def test_back_off_doubles_between_its_bounds():
    policy = {"minimum_backoff": seconds(2), "maximum_backoff": seconds(7)}
    shop = Shop(retry_policy=policy)
    shop.publish(b"1")
    for wait in (2, 4, 7, 7):
        shop.subscription.give_back(shop.take().ack_ids)
        shop.pass_time(wait - 0.1)
        assert shop.taken(0) == shop.taken() == []
        shop.pass_time(0.2)
    assert shop.taken() == [b"1"]


def test_back_off_follows_a_lapsed_deadline_too():
    shop = Shop(retry_policy={"minimum_backoff": seconds(5), "maximum_backoff": seconds(5)})
    shop.publish(b"1")
    shop.take()
    shop.pass_time(10)
    assert shop.taken() == []
    shop.pass_time(5)
    assert shop.taken() == [b"1"]


class TestDeadLetters:
    def shop(self, **fields):
        shop = Shop(**fields)
        name = "projects/shop/subscriptions/graveyard"
        shop.subscriber.create(proto.Subscription(name=name, topic=LETTERS))
        return shop, shop.broker.subscriptions[name]

    def policy(self, attempts=5):
        return {"dead_letter_topic": LETTERS, "max_delivery_attempts": attempts}

    def test_attempts_are_counted_by_failures(self):
        shop, _ = self.shop(dead_letter_policy=self.policy(6))
        shop.publish(b"1")
        seen = []
        for _ in range(3):
            out = shop.take()
            seen += out.attempts
            shop.subscription.give_back(out.ack_ids)
            seen += shop.take().attempts
            shop.pass_time(10)
        assert seen == [1, 2, 3, 4, 5, 6]
        assert shop.taken() == []

    def test_without_a_policy_nothing_is_counted(self):
        shop = Shop()
        shop.publish(b"1")
        assert shop.take().attempts is None

    def test_the_letter_tells_its_origin(self):
        shop, graveyard = self.shop(dead_letter_policy=self.policy())
        shop.publish(b"1", key="k", colour="red")
        for _ in range(5):
            shop.subscription.give_back(shop.take().ack_ids)
        (letter,) = graveyard.take(10, MANY_BYTES, 10).messages
        assert letter.decode().ordering_key == "k"
        assert letter.attributes == {
            "colour": "red",
            "CloudPubSubDeadLetterSourceDeliveryCount": "5",
            "CloudPubSubDeadLetterSourceSubscription": "till",
            "CloudPubSubDeadLetterSourceSubscriptionProject": "shop",
            "CloudPubSubDeadLetterSourceTopicPublishTime": "2023-11-14T22:13:20Z",
        }
        assert shop.subscription.held_bytes == 0
        assert shop.subscription.failures() == {}

    def test_without_its_topic_the_message_stays(self, caplog):
        shop, _ = self.shop(dead_letter_policy=self.policy())
        shop.broker.remove_topic(LETTERS)
        shop.publish(b"1")
        for _ in range(6):
            shop.subscription.give_back(shop.take().ack_ids)
        assert shop.taken() == [b"1"]
        assert "a dead letter for projects/shop/topics/letters waits" in caplog.text


def test_a_filter_drops_what_does_not_match():
    shop = Shop(filter="attributes:big")
    shop.publish(b"small")
    assert shop.subscription.held_bytes == 0
    shop.publish(b"big", big="yes")
    assert shop.taken() == [b"big"]


def test_what_is_too_old_is_dropped():
    shop = Shop(message_retention_duration=seconds(600), enable_message_ordering=True)
    shop.publish(b"old")
    shop.publish(b"old", key="k")
    shop.hands.turn(599)
    shop.publish(b"new")
    shop.publish(b"new", key="k")
    shop.broker.clean()
    shop.hands.turn(2)
    shop.broker.clean()
    assert shop.taken() == [b"new", b"new"]
    held = sum(message.size for message in shop.subscription.unacknowledged())
    assert shop.subscription.held_bytes == held > 0


class TestOrdering:
    def shop(self, *data, **fields):
        shop = Shop(enable_message_ordering=True, **fields)
        shop.publish(*data, key="k")
        return shop

    def test_a_pull_may_take_several_of_a_key_then_nobody_may(self):
        shop = self.shop(b"1", b"2", b"3")
        out = shop.take(2)
        assert data(out.messages) == [b"1", b"2"]
        assert shop.taken() == []
        shop.subscription.acknowledge(out.ack_ids[:1])
        assert shop.taken() == []
        shop.subscription.acknowledge(out.ack_ids[1:])
        assert shop.taken() == [b"3"]

    def test_the_stream_that_holds_a_key_gets_the_next(self):
        shop = self.shop(b"1", b"2", b"3")
        one, other = Holder(), Holder()
        assert shop.taken(1, one) == [b"1"]
        assert shop.taken(1, other) == shop.taken(1) == []
        assert shop.taken(1, one) == [b"2"]
        shop.publish(b"4", key="k")
        assert shop.taken(5, other) == []
        assert shop.taken(5, one) == [b"3", b"4"]

    def test_keys_do_not_wait_for_each_other(self):
        shop = self.shop(b"1", b"2")
        shop.publish(b"3", key="other")
        shop.publish(b"4")
        assert shop.taken(1) == [b"1"]
        assert shop.taken() == [b"3", b"4"]

    def test_what_fails_takes_all_later_ones_along(self):
        shop = self.shop(b"1", b"2", b"3", b"4")
        out = shop.take(3)
        shop.subscription.give_back(out.ack_ids[1:2])
        assert shop.taken() == []
        shop.subscription.acknowledge(out.ack_ids[:1])
        assert shop.subscription.not_leased(out.ack_ids) == list(out.ack_ids)
        assert shop.taken() == [b"2", b"3", b"4"]

    def test_an_earlier_failure_goes_before_a_later_one(self):
        shop = self.shop(b"1", b"2", b"3")
        out = shop.take()
        shop.subscription.give_back(out.ack_ids[2:])
        shop.subscription.give_back(out.ack_ids[:1])
        assert shop.taken() == [b"1", b"2", b"3"]

    def test_only_what_failed_counts_as_failed(self):
        shop = self.shop(b"1", b"2")
        shop.subscription.give_back(shop.take().ack_ids[:1])
        assert list(shop.subscription.failures().values()) == [1]

    def test_a_lapsed_deadline_frees_the_key_for_others(self):
        shop = self.shop(b"1", b"2")
        assert shop.taken(1, Holder()) == [b"1"]
        shop.pass_time(10)
        assert shop.taken(2, Holder()) == [b"1", b"2"]

    def test_back_off_holds_the_key_back(self):
        policy = {"minimum_backoff": seconds(5), "maximum_backoff": seconds(5)}
        shop = self.shop(b"1", b"2", retry_policy=policy)
        shop.subscription.give_back(shop.take(1).ack_ids)
        shop.publish(b"3", key="k")
        assert shop.taken() == []
        shop.pass_time(5)
        assert shop.taken() == [b"1", b"2", b"3"]

    def test_back_off_holds_when_what_was_out_is_acknowledged(self):
        policy = {"minimum_backoff": seconds(5), "maximum_backoff": seconds(5)}
        shop = self.shop(b"1", b"2", retry_policy=policy)
        first, second = shop.take().ack_ids
        shop.subscription.give_back([second])
        shop.subscription.acknowledge([first])
        assert shop.taken() == []
        shop.pass_time(5)
        assert shop.taken() == [b"2"]

    def test_a_delivery_is_bounded_in_bytes_but_gives_at_least_one(self):
        shop = self.shop(b"x" * 100, b"y" * 100, b"z" * 100)
        holder = Holder()
        assert len(shop.subscription.take(10, 1, 10, holder)) == 1
        assert len(shop.subscription.take(10, 300, 10, holder)) == 2

    def test_messages_without_a_key_share_the_bound(self):
        shop = self.shop(b"x" * 100)
        shop.publish(b"y" * 100)
        assert len(shop.subscription.take(10, 200, 10)) == 1
        assert len(shop.subscription.take(10, 1, 10)) == 1

    def test_a_dead_letter_lets_the_next_pass(self):
        policy = {"dead_letter_topic": LETTERS, "max_delivery_attempts": 5}
        shop = self.shop(b"1", b"2", dead_letter_policy=policy)
        for _ in range(5):
            shop.subscription.give_back(shop.take(1).ack_ids)
        assert shop.taken() == [b"2"]

    def test_many_keys_share_a_delivery(self):
        shop = Shop(enable_message_ordering=True)
        for number in range(30):
            shop.publish(b"%d" % number, key=f"k{number % 3}")
        holder = Holder()
        seen = [one for _ in range(10) for one in shop.take(4, holder).messages]
        assert len(seen) == 30
        for key in ("k0", "k1", "k2"):
            seqs = [one.seq for one in seen if one.key == key]
            assert seqs == sorted(seqs)
            assert len(seqs) == 10

    def test_without_ordering_a_key_means_nothing(self):
        shop = Shop()
        shop.publish(b"1", b"2", key="k")
        assert shop.taken(1) == [b"1"]
        assert shop.taken(1) == [b"2"]


@pytest.mark.parametrize("ordered", [False, True])
def test_resetting_forgets_what_was_out(ordered):
    shop = Shop(enable_message_ordering=ordered)
    shop.publish(b"1", b"2", b"3", key="k")
    out = shop.take(2)
    shop.subscription.reset(shop.subscription.unacknowledged())
    assert shop.subscription.not_leased(out.ack_ids) == list(out.ack_ids)
    assert shop.taken() == [b"1", b"2", b"3"]
    assert shop.subscription.name == SUBSCRIPTION
