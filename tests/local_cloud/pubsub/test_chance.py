"""Whatever happens to a subscription, nothing is lost, doubled or out of order."""

import datetime
import random

import pytest

from buildflow_nb.local_cloud.pubsub.lease import Holder
from tests.local_cloud.pubsub.fakes import MANY_BYTES, Shop

STEPS = 400
KEYS = ("", "", "a", "b", "c")


class Chance:
    """A subscription, and what must be true of it after each step."""

    def __init__(self, seed, *, ordered, backoff_s):
        bounds = datetime.timedelta(seconds=backoff_s)
        policy = {"minimum_backoff": bounds, "maximum_backoff": bounds * 4}
        self.random = random.Random(seed)  # noqa: S311
        self.ordered = ordered
        self.shop = Shop(enable_message_ordering=ordered, retry_policy=policy)
        self.holders = [None, Holder(), Holder()]
        self.out = {}  # ack id -> message and holder
        self.open = {}  # seq -> message

    def publish(self):
        count = self.random.randint(1, 4)
        before = self.shop.broker.last_seq
        self.shop.publish(*[b"x" * self.random.randint(1, 50)] * count, key=self.key())
        for message in self.shop.subscription.unacknowledged():
            if message.seq > before:
                self.open[message.seq] = message

    def key(self):
        return self.random.choice(KEYS)

    def take(self):
        holder = self.random.choice(self.holders)
        max_bytes = self.random.choice([1, 150, MANY_BYTES])
        out = self.shop.subscription.take(self.random.randint(1, 6), max_bytes, 10, holder)
        for ack_id, message in zip(out.ack_ids, out.messages, strict=True):
            assert message.seq in self.open
            assert message.seq not in self.seqs_out()
            if self.ordered and message.key:
                self.check_order(message, holder)
            self.out[ack_id] = message, holder

    def check_order(self, message, holder):
        for seq, other in self.open.items():
            if other.key == message.key and seq < message.seq:
                assert seq in self.seqs_out(), "an older message of the key still waits"
        for other, holder_of_other in self.out.values():
            if other.key == message.key and holder_of_other is not None:
                assert holder_of_other is holder, "two streams share a key"

    def seqs_out(self):
        self.forget_lapsed()
        return {message.seq for message, _ in self.out.values()}

    def some_out(self):
        ids = list(self.out)
        return self.random.sample(ids, self.random.randint(0, len(ids)))

    def acknowledge(self):
        chosen = self.some_out()
        assert self.shop.subscription.acknowledge(chosen) == []
        for ack_id in chosen:
            message, _ = self.out.pop(ack_id)
            del self.open[message.seq]

    def give_back(self):
        self.shop.subscription.give_back(self.some_out()[:2])
        self.forget_lapsed()

    def extend(self):
        assert self.shop.subscription.extend(self.some_out(), 20) == []

    def wait(self):
        self.shop.pass_time(self.random.choice([0.5, 3, 11]))
        self.forget_lapsed()

    def forget_lapsed(self):
        for ack_id in self.shop.subscription.not_leased(list(self.out)):
            del self.out[ack_id]

    def check(self):
        held = self.shop.subscription.unacknowledged()
        assert [message.seq for message in held] == sorted(self.open)
        assert self.shop.subscription.held_bytes == sum(message.size for message in held)
        for holder in self.holders[1:]:
            mine = [message for message, one in self.out.values() if one is holder]
            assert holder.messages == len(mine)
            assert holder.bytes == sum(message.size for message in mine)

    def run(self):
        steps = [self.publish, self.take, self.take, self.acknowledge, self.give_back]
        steps += [self.extend, self.wait]
        for _ in range(STEPS):
            self.random.choice(steps)()
            self.check()

    def finish(self):
        """Take and acknowledge the rest: everything must come."""
        for _ in range(STEPS):
            self.shop.pass_time(60)
            self.forget_lapsed()
            self.take()
            for ack_id, (message, _) in list(self.out.items()):
                self.shop.subscription.acknowledge([ack_id])
                del self.out[ack_id], self.open[message.seq]
            if not self.open:
                return
        pytest.fail(f"{len(self.open)} messages never came")


@pytest.mark.parametrize("backoff_s", [0, 2])
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_doubled_or_out_of_order(seed, ordered, backoff_s):
    chance = Chance(seed, ordered=ordered, backoff_s=backoff_s)
    chance.run()
    chance.finish()
    chance.check()
    assert chance.shop.broker.last_seq > STEPS / 10
