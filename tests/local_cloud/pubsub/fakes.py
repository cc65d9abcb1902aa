"""A clock to turn by hand, and short ways to make what the server is made of."""

from __future__ import annotations

from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.broker import Broker
from buildflow_nb.local_cloud.pubsub.clock import Clock
from buildflow_nb.local_cloud.pubsub.message import Message, stamp
from buildflow_nb.local_cloud.pubsub.options import PubSubOptions
from buildflow_nb.local_cloud.pubsub.publisher import Publisher
from buildflow_nb.local_cloud.pubsub.snapshots import Snapshots
from buildflow_nb.local_cloud.pubsub.subscriber import Subscriber

TOPIC = "projects/shop/topics/orders"
LETTERS = "projects/shop/topics/letters"
SUBSCRIPTION = "projects/shop/subscriptions/till"
SNAPSHOT = "projects/shop/snapshots/noon"
MANY_BYTES = 1 << 40


class Hands:
    """The hands of a clock; both of its times move together."""

    def __init__(self) -> None:
        self.passed = 0.0

    def turn(self, seconds: float) -> None:
        self.passed += seconds

    def clock(self) -> Clock:
        return Clock(lambda: 50.0 + self.passed, lambda: 1_700_000_000.0 + self.passed)


def raw(*data: bytes, key: str = "", **attributes: str) -> list:
    return [proto.PubsubMessage(data=one, attributes=attributes, ordering_key=key) for one in data]


def stamped(
    *data: bytes, first: int = 1, at: float = 1_700_000_000.0, key: str = ""
) -> list[Message]:
    return stamp(raw(*data, key=key), first, at)


def data(messages) -> list[bytes]:
    return [message.decode().data for message in messages]


class Shop:
    """A broker with a topic and a subscription, and the calls of its services."""

    def __init__(self, options: PubSubOptions | None = None, **fields) -> None:
        self.hands = Hands()
        self.broker = Broker(options or PubSubOptions(), self.hands.clock())
        self.publisher = Publisher(self.broker)
        self.subscriber = Subscriber(self.broker)
        self.snapshots = Snapshots(self.broker)
        for topic in (TOPIC, LETTERS):
            self.publisher.create(proto.Topic(name=topic))
        self.subscriber.create(proto.Subscription(name=SUBSCRIPTION, topic=TOPIC, **fields))

    @property
    def subscription(self):
        return self.broker.subscriptions[SUBSCRIPTION]

    def publish(self, *data: bytes, key: str = "", **attributes: str) -> None:
        self.broker.publish(TOPIC, raw(*data, key=key, **attributes))

    def pass_time(self, seconds: float) -> None:
        self.hands.turn(seconds)
        self.broker.tick()

    def take(self, limit: int = 100, holder=None):
        return self.subscription.take(limit, MANY_BYTES, 10.0, holder)

    def taken(self, limit: int = 100, holder=None) -> list[bytes]:
        return data(self.take(limit, holder).messages)
