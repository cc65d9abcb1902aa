"""All resources of a server, and the way of a message between them.

Everything runs on one event loop without waiting inside, so every call sees and leaves a
consistent state.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import chain

import grpc

from buildflow_nb.local_cloud.pubsub.clock import Clock
from buildflow_nb.local_cloud.pubsub.history import History
from buildflow_nb.local_cloud.pubsub.message import Message, stamp
from buildflow_nb.local_cloud.pubsub.names import DELETED_TOPIC
from buildflow_nb.local_cloud.pubsub.options import PubSubOptions
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.snapshot import LIFE_S, Snapshot
from buildflow_nb.local_cloud.pubsub.status import StatusError, not_found
from buildflow_nb.local_cloud.pubsub.subscription import Subscription
from buildflow_nb.local_cloud.pubsub.topic import Topic

__all__ = ("Broker",)

logger = logging.getLogger(__name__)


class Broker:
    """Topics, subscriptions, snapshots and policies by their full names."""

    def __init__(self, options: PubSubOptions, clock: Clock) -> None:
        self.options = options
        self.clock = clock
        self.topics: dict[str, Topic] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.policies: dict[str, Pb] = {}
        self.last_seq = 0
        self.closing = False

    def topic(self, name: str) -> Topic:
        """Give a topic, or raise NOT_FOUND."""
        topic = self.topics.get(name)
        if topic is None:
            raise not_found(name)
        return topic

    def subscription(self, name: str) -> Subscription:
        """Give a subscription, or raise NOT_FOUND."""
        subscription = self.subscriptions.get(name)
        if subscription is None:
            raise not_found(name)
        return subscription

    def snapshot(self, name: str) -> Snapshot:
        """Give a snapshot, or raise NOT_FOUND."""
        snapshot = self.snapshots.get(name)
        if snapshot is None:
            raise not_found(name)
        return snapshot

    def history_of(self, name: str) -> History:
        """Give what a topic retains; an empty history if the topic is gone."""
        topic = self.topics.get(name)
        return topic.history if topic is not None else History(self.options.history_bytes)

    def publish(self, name: str, incoming: Sequence[Pb]) -> list[Message]:
        """Deliver messages to all subscriptions of a topic, or to none.

        Raises:
            StatusError: NOT_FOUND without such a topic, RESOURCE_EXHAUSTED if a subscription is
                full, INVALID_ARGUMENT for an ordering key that is too long.
        """
        topic = self.topic(name)
        messages = stamp(incoming, self.last_seq + 1, self.clock.wall())
        size = sum(message.size for message in messages)
        if topic.fullest() + size > self.options.backlog_bytes:
            message = (
                f"A subscription of {name} holds {topic.fullest()} bytes of unacknowledged "
                f"messages; the limit is {self.options.backlog_bytes}. Pull, acknowledge or "
                "delete it, or seek it forward."
            )
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, message)
        self.last_seq += len(messages)
        topic.deliver(messages)
        return messages

    def forward(self, name: str, letter: Pb) -> bool:
        """Publish a dead letter, and tell whether its topic could take it."""
        try:
            self.publish(name, [letter])
        except StatusError as error:
            logger.warning("a dead letter for %s waits: %s", name, error)
            return False
        return True

    def add_topic(self, config: Pb) -> Topic:
        """Make a topic of a configuration that was checked."""
        topic = Topic(config, History(self.options.history_bytes))
        self.topics[topic.name] = topic
        topic.update_retention(0)
        return topic

    def remove_topic(self, name: str) -> None:
        """Delete a topic; its subscriptions keep what they have."""
        topic = self.topic(name)
        del self.topics[name]
        self.policies.pop(name, None)
        for subscription in self.subscriptions.values():
            if subscription.config.topic == topic.name:
                subscription.config.topic = DELETED_TOPIC
        for snapshot in self.snapshots.values():
            if snapshot.config.topic == name:
                snapshot.config.topic = DELETED_TOPIC

    def add_subscription(self, config: Pb) -> Subscription:
        """Make a subscription of a configuration that was checked."""
        topic = self.topics.get(config.topic)
        history = self.history_of(config.topic)
        subscription = Subscription(config, history, self.clock, self.forward)
        self.subscriptions[subscription.name] = subscription
        if topic is not None and not config.detached:
            topic.subscriptions.append(subscription)
        self.update_retention(config.topic)
        return subscription

    def remove_subscription(self, name: str) -> None:
        """Delete a subscription with its messages."""
        subscription = self.subscription(name)
        self.detach(subscription)
        del self.subscriptions[name]
        self.policies.pop(name, None)
        subscription.close()

    def detach(self, subscription: Subscription) -> None:
        """Cut a subscription from its topic."""
        topic = self.topics.get(subscription.config.topic)
        if topic is not None and subscription in topic.subscriptions:
            topic.subscriptions.remove(subscription)
            self.update_retention(topic.name)

    def remove_snapshot(self, name: str) -> None:
        """Delete a snapshot."""
        snapshot = self.snapshot(name)
        del self.snapshots[name]
        self.policies.pop(name, None)
        self.update_retention(snapshot.config.topic)

    def update_retention(self, name: str) -> None:
        """Let a topic, if there is one, retain what its subscriptions and snapshots need."""
        topic = self.topics.get(name)
        if topic is not None:
            needed = any(one.config.topic == name for one in self.snapshots.values())
            topic.update_retention(LIFE_S if needed else 0.0)

    def tick(self) -> None:
        """Do what is due by the clock: called about ten times a second."""
        for subscription in list(self.subscriptions.values()):
            subscription.tick()

    def clean(self) -> None:
        """Drop what is too old: called every few seconds."""
        wall = self.clock.wall()
        for subscription in self.subscriptions.values():
            subscription.expire()
        for topic in self.topics.values():
            topic.history.trim(wall)
        expired = [name for name, one in self.snapshots.items() if one.expires() <= wall]
        for name in expired:
            self.remove_snapshot(name)

    def close(self) -> None:
        """Ask all who wait for messages to go."""
        self.closing = True
        for subscription in self.subscriptions.values():
            subscription.news.set()

    def messages(self) -> dict[int, Message]:
        """Give every message that somebody still holds, by `seq`, oldest first."""
        parts = chain(
            *(subscription.unacknowledged() for subscription in self.subscriptions.values()),
            *(topic.history for topic in self.topics.values()),
            *(snapshot.unacknowledged for snapshot in self.snapshots.values()),
        )
        found = {message.seq: message for message in parts}
        return dict(sorted(found.items()))
