"""What comes back: it waits before it is delivered again, and one day it is a dead letter.

What was delivered too often goes to another topic, with a note of its origin. Its attributes are
those of the Pub/Sub documentation, "Dead-letter topics", section "How dead-letter topics work".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from buildflow_nb.local_cloud.pubsub.message import Message, to_timestamp
from buildflow_nb.local_cloud.pubsub.names import project_of, short_name
from buildflow_nb.local_cloud.pubsub.proto import Pb

__all__ = (
    "DEFAULT_ATTEMPTS",
    "DEFAULT_MAXIMUM_S",
    "DEFAULT_MINIMUM_S",
    "MOST_ATTEMPTS",
    "Backoff",
    "Forward",
    "dead_letter",
    "is_due",
    "seconds",
)

DEFAULT_ATTEMPTS = 5  # also the fewest that google.pubsub.v1.DeadLetterPolicy allows
MOST_ATTEMPTS = 100

_PREFIX = "CloudPubSubDeadLetterSource"

Forward: TypeAlias = Callable[[str, Pb], bool]  # publish to a topic; False if it cannot be


def is_due(config: Pb, failures: int) -> bool:
    """Tell whether a subscription gives a message up after so many failed deliveries."""
    policy = config.dead_letter_policy
    return bool(policy.dead_letter_topic) and failures >= policy.max_delivery_attempts


def dead_letter(message: Message, subscription: str, failures: int) -> Pb:
    """Give the message to publish to the dead letter topic."""
    letter = message.decode()
    letter.ClearField("message_id")
    letter.ClearField("publish_time")
    letter.attributes.update(
        {
            f"{_PREFIX}DeliveryCount": str(failures),
            f"{_PREFIX}Subscription": short_name(subscription),
            f"{_PREFIX}SubscriptionProject": project_of(subscription),
            f"{_PREFIX}TopicPublishTime": to_timestamp(message.published).ToJsonString(),
        }
    )
    return letter


DEFAULT_MINIMUM_S = 10.0  # defaults of google.pubsub.v1.RetryPolicy
DEFAULT_MAXIMUM_S = 600.0
_MOST_DOUBLINGS = 20  # beyond any maximum; keeps the power small


def seconds(duration: Pb) -> float:
    """Give a protobuf duration in seconds."""
    return float(duration.seconds + duration.nanos / 1e9)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off between two bounds in seconds."""

    minimum_s: float = 0.0
    maximum_s: float = 0.0

    @classmethod
    def of(cls, config: Pb) -> Backoff:
        """Read a subscription's retry policy; without one, messages come back at once."""
        if not config.HasField("retry_policy"):
            return cls()
        policy = config.retry_policy
        return cls(seconds(policy.minimum_backoff), seconds(policy.maximum_backoff))

    def delay(self, failures: int) -> float:
        """Give the wait in seconds after so many failed deliveries, 1 or more."""
        return min(self.maximum_s, self.minimum_s * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))
