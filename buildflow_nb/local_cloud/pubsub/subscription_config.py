"""What a subscription may be configured to, and what Google fills in.

Ranges and defaults are those that google/pubsub/v1/pubsub.proto gives at `Subscription`,
`RetryPolicy`, `DeadLetterPolicy` and `ExpirationPolicy`. What the local server could not deliver
(BigQuery, Cloud Storage, Bigtable, transforms) is refused rather than dropped.
"""

from __future__ import annotations

from buildflow_nb.local_cloud.pubsub.filter import compile_filter
from buildflow_nb.local_cloud.pubsub.names import check_labels
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.proto import Subscription as Config
from buildflow_nb.local_cloud.pubsub.redelivery import (
    DEFAULT_ATTEMPTS,
    DEFAULT_MAXIMUM_S,
    DEFAULT_MINIMUM_S,
    MOST_ATTEMPTS,
    seconds,
)
from buildflow_nb.local_cloud.pubsub.status import invalid, unimplemented

__all__ = (
    "IMMUTABLE_FIELDS",
    "LONGEST_ACK_DEADLINE_S",
    "SHORTEST_ACK_DEADLINE_S",
    "check_config",
    "check_retention",
    "fill_defaults",
)

IMMUTABLE_FIELDS = frozenset(
    {
        "name",
        "topic",
        "filter",
        "enable_message_ordering",
        "detached",
        "state",
        "tags",
        "topic_message_retention_duration",
        "analytics_hub_subscription_info",
    }
)
SHORTEST_ACK_DEADLINE_S = 10
LONGEST_ACK_DEADLINE_S = 600

_DAY_S = 86_400
_SHORTEST_RETENTION_S = 600
_LONGEST_RETENTION_S = 31 * _DAY_S
_DEFAULT_RETENTION_S = 7 * _DAY_S
_DEFAULT_TTL_S = 31 * _DAY_S
_LONGEST_BACKOFF_S = 600
_MISSING = ("bigquery_config", "cloud_storage_config", "bigtable_config")


def fill_defaults(config: Pb) -> None:
    """Set what the client left open to what Google would choose."""
    config.ack_deadline_seconds = config.ack_deadline_seconds or SHORTEST_ACK_DEADLINE_S
    config.ClearField("topic_message_retention_duration")  # for answers only
    config.state = Config.State.Value("ACTIVE")
    if not config.HasField("push_config"):
        config.push_config.SetInParent()
    if not config.HasField("message_retention_duration"):
        config.message_retention_duration.seconds = _DEFAULT_RETENTION_S
    if not config.HasField("expiration_policy"):
        config.expiration_policy.ttl.seconds = _DEFAULT_TTL_S
    if config.dead_letter_policy.dead_letter_topic:
        policy = config.dead_letter_policy
        policy.max_delivery_attempts = policy.max_delivery_attempts or DEFAULT_ATTEMPTS
    else:
        config.ClearField("dead_letter_policy")
    if config.HasField("retry_policy"):
        retry = config.retry_policy
        if not retry.HasField("minimum_backoff"):
            retry.minimum_backoff.seconds = int(DEFAULT_MINIMUM_S)
        if not retry.HasField("maximum_backoff"):
            retry.maximum_backoff.seconds = int(DEFAULT_MAXIMUM_S)


def check_config(config: Pb) -> None:
    """Refuse what Google would refuse.

    Raises:
        StatusError: INVALID_ARGUMENT for a value out of its range, UNIMPLEMENTED for a kind of
            delivery that the local server does not have.
    """
    for field in _MISSING:
        if config.HasField(field):
            message = f"The local Pub/Sub server does not deliver by {field}; use pull or push."
            raise unimplemented(message)
    if config.message_transforms:
        message = "The local Pub/Sub server has no message transforms; remove message_transforms."
        raise unimplemented(message)
    check_labels(config.labels)
    compile_filter(config.filter)
    _check_range(
        "ack_deadline_seconds",
        config.ack_deadline_seconds,
        SHORTEST_ACK_DEADLINE_S,
        LONGEST_ACK_DEADLINE_S,
    )
    check_retention(config.message_retention_duration)
    if config.expiration_policy.HasField("ttl"):
        ttl = seconds(config.expiration_policy.ttl)
        _check_range("expiration_policy.ttl", ttl, _DAY_S, 365 * _DAY_S)
    _check_dead_letter_policy(config)
    _check_retry_policy(config)
    _check_push(config)


def check_retention(duration: Pb) -> None:
    """Refuse a retention that is not between ten minutes and 31 days."""
    name = "message_retention_duration"
    _check_range(name, seconds(duration), _SHORTEST_RETENTION_S, _LONGEST_RETENTION_S)


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        message = f"Invalid {name} given (value={value:g}). It must be from {least} to {most}."
        raise invalid(message)


def _check_dead_letter_policy(config: Pb) -> None:
    if config.HasField("dead_letter_policy"):
        attempts = config.dead_letter_policy.max_delivery_attempts
        name = "dead_letter_policy.max_delivery_attempts"
        _check_range(name, attempts, DEFAULT_ATTEMPTS, MOST_ATTEMPTS)


def _check_retry_policy(config: Pb) -> None:
    if not config.HasField("retry_policy"):
        return
    least = seconds(config.retry_policy.minimum_backoff)
    most = seconds(config.retry_policy.maximum_backoff)
    _check_range("retry_policy.minimum_backoff", least, 0, _LONGEST_BACKOFF_S)
    _check_range("retry_policy.maximum_backoff", most, 0, _LONGEST_BACKOFF_S)
    if least > most:
        message = "Invalid retry_policy: minimum_backoff must not be above maximum_backoff."
        raise invalid(message)


def _check_push(config: Pb) -> None:
    endpoint = config.push_config.push_endpoint
    if not endpoint:
        return
    if not endpoint.startswith(("http://", "https://")):
        message = f"Invalid push endpoint given (endpoint={endpoint}). It must be an HTTP URL."
        raise invalid(message)
    if config.enable_exactly_once_delivery:
        message = "Exactly-once delivery works with pull only; remove the push endpoint."
        raise invalid(message)
