import json
import stat

import pytest

from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.broker import Broker
from buildflow_nb.local_cloud.pubsub.iam import Policies
from buildflow_nb.local_cloud.pubsub.options import PubSubOptions
from buildflow_nb.local_cloud.pubsub.snapshot import seek_to_snapshot
from buildflow_nb.local_cloud.pubsub.state_file import StateFile
from tests.local_cloud.pubsub.fakes import (
    LETTERS,
    MANY_BYTES,
    SNAPSHOT,
    SUBSCRIPTION,
    TOPIC,
    Shop,
    data,
)


def busy_shop():
    shop = Shop(
        labels={"team": "shop"},
        filter="NOT attributes:skip",
        enable_message_ordering=True,
        retain_acked_messages=True,
        dead_letter_policy={"dead_letter_topic": LETTERS},
    )
    shop.publish(b"done", b"waiting\x00", size="1")
    shop.publish(b"ordered 1", b"ordered 2", key="k")
    shop.publish(b"skipped", skip="")
    out = shop.take()
    assert data(out.messages) == [b"ordered 1", b"ordered 2", b"done", b"waiting\x00"]
    shop.subscription.acknowledge(out.ack_ids[2:3])
    shop.subscription.give_back(out.ack_ids[:1])
    request = proto.CreateSnapshotRequest(name=SNAPSHOT, subscription=SUBSCRIPTION)
    shop.snapshots.create(request)
    Policies(shop.broker).set(proto.SetIamPolicyRequest(resource=TOPIC, policy={}))
    return shop


def load(shop, folder):
    return StateFile(folder).load(lambda: Broker(PubSubOptions(), shop.broker.clock))


def saved(shop, folder):
    StateFile(folder).save(shop.broker)
    return load(shop, folder)


def everything(broker):
    """All that a broker holds, as plain values."""
    return {
        "seq": broker.last_seq,
        "topics": {
            name: (topic.config, [one.framed for one in topic.history])
            for name, topic in broker.topics.items()
        },
        "subscriptions": {
            name: (one.config, data(one.unacknowledged()), one.failures(), one.held_bytes)
            for name, one in broker.subscriptions.items()
        },
        "snapshots": {
            name: (one.config, data(one.unacknowledged), one.last_seq)
            for name, one in broker.snapshots.items()
        },
        "policies": broker.policies,
    }


def test_everything_comes_back(tmp_path):
    shop = busy_shop()
    again = saved(shop, tmp_path)
    assert everything(again) == everything(shop.broker)
    assert again.subscriptions[SUBSCRIPTION].unacknowledged()


def test_what_was_out_is_delivered_again_in_order(tmp_path):
    subscription = saved(busy_shop(), tmp_path).subscriptions[SUBSCRIPTION]
    out = subscription.take(10, MANY_BYTES, 10)
    assert data(out.messages) == [b"ordered 1", b"ordered 2", b"waiting\x00"]
    assert list(out.attempts) == [2, 1, 1]


def test_messages_are_shared_again(tmp_path):
    broker = saved(busy_shop(), tmp_path)
    held = {one.seq: one for one in broker.subscriptions[SUBSCRIPTION].unacknowledged()}
    for message in broker.snapshots[SNAPSHOT].unacknowledged:
        assert held[message.seq] is message


def test_life_goes_on(tmp_path):
    shop = busy_shop()
    before = shop.broker.last_seq
    broker = saved(shop, tmp_path)
    (message,) = broker.publish(TOPIC, [proto.PubsubMessage(data=b"new")])
    assert message.seq == before + 1
    subscription = broker.subscriptions[SUBSCRIPTION]
    assert data(subscription.unacknowledged())[-1] == b"new"
    subscription.reset(())
    seek_to_snapshot(subscription, broker.snapshots[SNAPSHOT])
    expected = [b"waiting\x00", b"ordered 1", b"ordered 2", b"new"]
    assert data(subscription.unacknowledged()) == expected


def test_topics_go_on_retaining_for_snapshots(tmp_path):
    shop = Shop()
    request = proto.CreateSnapshotRequest(name=SNAPSHOT, subscription=SUBSCRIPTION)
    shop.snapshots.create(request)
    broker = saved(shop, tmp_path)
    broker.publish(TOPIC, [proto.PubsubMessage(data=b"later")])
    subscription = broker.subscriptions[SUBSCRIPTION]
    subscription.reset(())
    seek_to_snapshot(subscription, broker.snapshots[SNAPSHOT])
    assert data(subscription.unacknowledged()) == [b"later"]


def test_orphans_come_back(tmp_path):
    shop = busy_shop()
    shop.broker.remove_topic(TOPIC)
    again = saved(shop, tmp_path)
    assert everything(again) == everything(shop.broker)


def test_a_detached_subscription_stays_detached(tmp_path):
    shop = busy_shop()
    shop.publisher.detach(proto.DetachSubscriptionRequest(subscription=SUBSCRIPTION))
    again = saved(shop, tmp_path)
    assert again.topics[TOPIC].subscriptions == []


def test_without_a_file_there_is_nothing(tmp_path):
    broker = load(Shop(), tmp_path / "none")
    assert everything(broker) == everything(Broker(PubSubOptions(), broker.clock))


def test_only_its_owner_may_read_it(tmp_path):
    folder = tmp_path / "deep" / "state"
    for _ in range(2):
        StateFile(folder).save(Shop().broker)
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_save_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    shop = busy_shop()
    StateFile(tmp_path).save(shop.broker)
    before = StateFile(tmp_path).path.read_bytes()
    shop.broker.topics[TOPIC].config = None
    with pytest.raises(AttributeError):
        StateFile(tmp_path).save(shop.broker)
    assert StateFile(tmp_path).path.read_bytes() == before


def cut(text):
    return text[: len(text) // 2]


def cut_at_a_line(text):
    return "".join(text.splitlines(keepends=True)[:3])


def newer(text):
    return text.replace('"version":1', '"version":2', 1)


def without_a_message(text):
    lines = text.splitlines()
    del lines[1]
    lines[-1] = json.dumps({"end": len(lines) - 1})
    return "\n".join(lines)


def of_another_kind(text):
    return "[1]\n2\n"


@pytest.mark.parametrize(
    "damage", [cut, cut_at_a_line, newer, without_a_message, of_another_kind, lambda text: ""]
)
def test_a_damaged_file_is_put_aside_and_said_so(tmp_path, damage, caplog):
    shop = busy_shop()
    file = StateFile(tmp_path)
    for number in (1, 2):
        file.save(shop.broker)
        damaged = damage(file.path.read_text())
        file.path.write_text(damaged)
        broker = load(shop, tmp_path)
        assert broker.topics == broker.subscriptions == {}
        aside = tmp_path / f"pubsub.damaged-{number}"
        assert aside.read_text() == damaged
        assert str(aside) in caplog.text
        assert not file.path.exists()
