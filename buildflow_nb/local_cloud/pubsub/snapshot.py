"""Snapshots, and seeking to them or to a time.

A snapshot is what its subscription had not acknowledged when it was made, and everything
published later (google.pubsub.v1 `CreateSnapshotRequest`). It lives at most seven days, counted
from its oldest message. Seeking makes a subscription's messages unacknowledged again, or
acknowledges them; replaying needs that they were retained.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from buildflow_nb.local_cloud.pubsub.history import History
from buildflow_nb.local_cloud.pubsub.message import MICROS, Message, to_timestamp
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.status import failed_precondition
from buildflow_nb.local_cloud.pubsub.subscription import Subscription

__all__ = ("LIFE_S", "Snapshot", "seek_to_snapshot", "seek_to_time", "take_snapshot")

LIFE_S = 7 * 86_400.0
SHORTEST_LIFE_S = 3_600.0  # Google refuses a snapshot that would expire sooner


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A subscription's state: `unacknowledged` up to the message `last_seq`, and all later ones."""

    config: Pb
    unacknowledged: tuple[Message, ...]
    last_seq: int
    history: History

    def expires(self) -> float:
        """Give the time of its end in seconds since the epoch."""
        return float(self.config.expire_time.ToMicroseconds() / MICROS)


def take_snapshot(config: Pb, subscription: Subscription, last_seq: int, wall: float) -> Snapshot:
    """Make a snapshot at this time since the epoch; `last_seq` is the newest message's.

    Raises:
        StatusError: FAILED_PRECONDITION, if the oldest message is so old that the snapshot would
            expire within the hour.
    """
    unacknowledged = tuple(subscription.unacknowledged())
    oldest = min((message.published for message in unacknowledged), default=wall)
    expires = oldest + LIFE_S
    if expires - wall < SHORTEST_LIFE_S:
        message = (
            "The snapshot would expire in less than an hour, as the oldest unacknowledged message "
            "is nearly seven days old; acknowledge it first."
        )
        raise failed_precondition(message)
    config.expire_time.CopyFrom(to_timestamp(expires))
    return Snapshot(config, unacknowledged, last_seq, subscription.history)


def seek_to_snapshot(subscription: Subscription, snapshot: Snapshot) -> None:
    """Give a subscription the state of a snapshot of the same topic."""
    later = [message for message in snapshot.history if message.seq > snapshot.last_seq]
    current = [one for one in subscription.unacknowledged() if one.seq > snapshot.last_seq]
    _hold(subscription, [*snapshot.unacknowledged, *later, *current])


def seek_to_time(
    subscription: Subscription, since: float, wall: float, topic_retention_s: float
) -> None:
    """Acknowledge what was published before `since`; make the rest unacknowledged.

    Times are seconds since the epoch. What was acknowledged comes back as far as the
    subscription or its topic retains it.
    """
    keeps_s = subscription.retention_s if subscription.config.retain_acked_messages else 0.0
    horizon = max(since, wall - max(keeps_s, topic_retention_s))
    replayed = [one for one in subscription.history if one.published >= horizon]
    current = [one for one in subscription.unacknowledged() if one.published >= since]
    _hold(subscription, [*replayed, *current])


def _hold(subscription: Subscription, messages: Iterable[Message]) -> None:
    passes = subscription.filter
    by_seq = {
        message.seq: message for message in messages if passes is None or passes(message.attributes)
    }
    subscription.reset([by_seq[seq] for seq in sorted(by_seq)])
