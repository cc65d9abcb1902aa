"""A topic: who receives what is published to it, and what it retains."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from buildflow_nb.local_cloud.pubsub.history import History
from buildflow_nb.local_cloud.pubsub.message import Message
from buildflow_nb.local_cloud.pubsub.names import check_labels
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.redelivery import seconds
from buildflow_nb.local_cloud.pubsub.status import StatusError, unimplemented
from buildflow_nb.local_cloud.pubsub.subscription import Subscription
from buildflow_nb.local_cloud.pubsub.subscription_config import check_retention

__all__ = ("IMMUTABLE_FIELDS", "Listener", "Topic", "check_topic")

Listener: TypeAlias = Callable[[Sequence[Pb]], None]  # is given what was just published

logger = logging.getLogger(__name__)

IMMUTABLE_FIELDS = frozenset({"name", "state", "satisfies_pzs", "tags"})

_MISSING = ("schema_settings", "ingestion_data_source_settings")


def check_topic(config: Pb) -> None:
    """Refuse what Google would refuse, and what the local server could not keep.

    Raises:
        StatusError: INVALID_ARGUMENT or UNIMPLEMENTED.
    """
    for field in _MISSING:
        if config.HasField(field):
            message = f"The local Pub/Sub server does not have {field}; remove it from the topic."
            raise unimplemented(message)
    if config.message_transforms:
        message = "The local Pub/Sub server has no message transforms; remove message_transforms."
        raise unimplemented(message)
    check_labels(config.labels)
    if config.HasField("message_retention_duration"):
        check_retention(config.message_retention_duration)


class Topic:
    """A topic and its subscriptions, in the order of their making."""

    def __init__(self, config: Pb, history: History) -> None:
        self.config = config
        self.history = history
        self.subscriptions: list[Subscription] = []
        self.listeners: list[Listener] = []

    @property
    def name(self) -> str:
        """The full name."""
        return str(self.config.name)

    @property
    def retention_s(self) -> float:
        """For how many seconds the topic itself retains all messages; 0 if it does not."""
        return seconds(self.config.message_retention_duration)

    def deliver(self, messages: Sequence[Message]) -> None:
        """Hand messages to all subscriptions and listeners."""
        self.history.add(messages)
        for subscription in self.subscriptions:
            subscription.offer(messages)
        if self.listeners:
            decoded = [message.decode() for message in messages]
            for listener in list(self.listeners):
                self._tell(listener, decoded)

    def _tell(self, listener: Listener, messages: Sequence[Pb]) -> None:
        try:
            listener(messages)
        except StatusError as error:  # the messages are published; their publisher did no wrong
            logger.warning("what was published to %s was not passed on: %s", self.name, error)

    def fullest(self) -> int:
        """Give the bytes in the fullest of the subscriptions."""
        return max((one.held_bytes for one in self.subscriptions), default=0)

    def update_retention(self, snapshots_s: float) -> None:
        """Retain for all who may ask; `snapshots_s` is what snapshots need, in seconds."""
        asked = [
            subscription.retention_s
            for subscription in self.subscriptions
            if subscription.config.retain_acked_messages
        ]
        self.history.keep_s = max([self.retention_s, snapshots_s, *asked])
