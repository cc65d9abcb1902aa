"""Dead letters: what was delivered too often goes to another topic, with a note of its origin.

The attributes are those of the Pub/Sub documentation, "Dead-letter topics", section "How
dead-letter topics work".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from buildflow_nb.infra.local_cloud.pubsub.message import Message, to_timestamp
from buildflow_nb.infra.local_cloud.pubsub.names import project_of, short_name
from buildflow_nb.infra.local_cloud.pubsub.proto import Pb

__all__ = ("DEFAULT_ATTEMPTS", "MOST_ATTEMPTS", "Forward", "dead_letter", "is_due")

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
