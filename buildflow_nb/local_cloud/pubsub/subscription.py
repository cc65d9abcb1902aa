"""A subscription: what waits in it, what is out, and what becomes of it.

Delivery is at least once: a message leaves only by an acknowledgement of a lease that still
holds, by the dead letter policy, by seeking, or by its age. A lease that lapses and a deadline of
zero are failures alike: the message comes back after its back-off, or is dead-lettered.

Everything runs on one event loop, and nothing here waits; `news` is set whenever somebody who
waits for messages should look again.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Sequence
from operator import attrgetter

from buildflow_nb.local_cloud.pubsub.backlog import Backlog
from buildflow_nb.local_cloud.pubsub.clock import Clock
from buildflow_nb.local_cloud.pubsub.delivery import Delivery
from buildflow_nb.local_cloud.pubsub.filter import Predicate, compile_filter
from buildflow_nb.local_cloud.pubsub.history import History
from buildflow_nb.local_cloud.pubsub.lease import Holder, Leases
from buildflow_nb.local_cloud.pubsub.message import Message
from buildflow_nb.local_cloud.pubsub.ordering import OrderedBacklog
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.redelivery import (
    Backoff,
    Forward,
    dead_letter,
    is_due,
    seconds,
)

__all__ = ("Subscription",)

_size = attrgetter("size")
_seq = attrgetter("seq")


class Subscription:
    """The messages of one subscription; `config` is its `google.pubsub.v1.Subscription`.

    `held_bytes` counts all messages that are not acknowledged, waiting or out.
    """

    def __init__(self, config: Pb, history: History, clock: Clock, forward: Forward) -> None:
        self.history = history
        self.news = asyncio.Event()
        self.deleted = False
        self.held_bytes = 0
        self._clock = clock
        self._forward = forward
        self._plain = Backlog()
        self._ordered = OrderedBacklog()
        self._leases = Leases()
        self._failures: dict[int, int] = {}
        self.configure(config)

    def configure(self, config: Pb) -> None:
        """Take a new configuration; the filter and the ordering never change."""
        self.config = config
        self.filter: Predicate | None = compile_filter(config.filter)
        self._backoff = Backoff.of(config)
        self._keeps_order: bool = config.enable_message_ordering
        self._counts_attempts = bool(config.dead_letter_policy.dead_letter_topic)
        self.news.set()

    @property
    def name(self) -> str:
        """The full name."""
        return str(self.config.name)

    @property
    def retention_s(self) -> float:
        """How many seconds a message stays, acknowledged or not."""
        return seconds(self.config.message_retention_duration)

    def offer(self, messages: Sequence[Message]) -> None:
        """Queue newly published messages, as far as the filter lets them pass."""
        if self.filter is not None:
            passes = self.filter
            messages = [message for message in messages if passes(message.attributes)]
        self._queue(messages)

    def take(
        self, limit: int, max_bytes: int, deadline_s: float, holder: Holder | None = None
    ) -> Delivery:
        """Lease the next messages for `deadline_s` seconds; an empty delivery if there is none.

        At most `limit` messages and `max_bytes` bytes, though one message of any size.
        """
        out = self._ordered.take(limit, max_bytes, holder) if self._ordered else []
        in_order = len(out)
        left = max_bytes - sum(map(_size, out))
        out += self._plain.take(limit - in_order, left, strict=in_order > 0)
        if not out:
            return Delivery()
        ack_ids = self._leases.grant(out, self._clock.now() + deadline_s, holder)
        if in_order:
            self._ordered.hold(ack_ids[:in_order], out[:in_order], holder)
        attempts = None
        if self._counts_attempts:
            attempts = [self._failures.get(message.seq, 0) + 1 for message in out]
        return Delivery(ack_ids, out, attempts)

    def acknowledge(self, ack_ids: Iterable[str]) -> list[str]:
        """Remove messages for good, and give the ids that are not leased (any more)."""
        unknown = []
        freed = 0
        for ack_id in ack_ids:
            message = self._leases.end(ack_id)
            if message is None:
                unknown.append(ack_id)
                continue
            freed += message.size
            if self._failures:
                self._failures.pop(message.seq, None)
            if self._keeps_order and message.key:
                self._ordered.release(message.key, ack_id)
        self.held_bytes -= freed
        if freed and (self._ordered or self._plain):
            self.news.set()
        return unknown

    def not_leased(self, ack_ids: Iterable[str]) -> list[str]:
        """Give the ids that are not leased (any more)."""
        return [ack_id for ack_id in ack_ids if ack_id not in self._leases]

    def extend(self, ack_ids: Iterable[str], deadline_s: float) -> list[str]:
        """Lease for `deadline_s` seconds from now, and give the ids that are not leased."""
        return self._leases.extend(ack_ids, self._clock.now() + deadline_s)

    def give_back(self, ack_ids: Iterable[str]) -> list[str]:
        """Return messages as failed, and give the ids that are not leased (any more)."""
        unknown = [ack_id for ack_id in ack_ids if not self._return(ack_id)]
        self.tick()
        return unknown

    def tick(self) -> None:
        """Return what was leased too long, and make ready what has waited long enough."""
        now = self._clock.now()
        for ack_id in self._leases.lapsed(now):
            self._return(ack_id)
        plain, ordered = self._plain.wake(now), self._ordered.wake(now)
        if plain or ordered:
            self.news.set()

    def expire(self) -> None:
        """Drop waiting messages that are older than the retention."""
        before = self._clock.wall() - self.retention_s
        for message in [*self._plain.expire(before), *self._ordered.expire(before)]:
            self._forget(message)

    def unacknowledged(self) -> list[Message]:
        """Give all messages, waiting or out, oldest first."""
        return sorted([*self._leases.messages(), *self._plain, *self._ordered], key=_seq)

    def first(self, most: int) -> tuple[int, int, list[Message]]:
        """How many messages wait, how many are out, and the oldest of all."""
        out = list(self._leases.messages())
        waiting = [*self._plain, *self._ordered]
        return len(waiting), len(out), heapq.nsmallest(most, [*out, *waiting], key=_seq)

    def failures(self) -> dict[int, int]:
        """Give how often messages failed, by `seq`, where they did."""
        return dict(self._failures)

    def reset(self, messages: Sequence[Message], failures: dict[int, int] | None = None) -> None:
        """Hold exactly these messages, oldest first; what is out is out no more."""
        self._leases.clear()
        self._plain.clear()
        self._ordered.clear()
        self._failures = dict(failures or {})
        self.held_bytes = 0
        self._queue(messages)

    def close(self) -> None:
        """Say that the subscription is gone to all who wait for its messages."""
        self.deleted = True
        self.news.set()

    def _queue(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        self.held_bytes += sum(map(_size, messages))
        if self._keeps_order:
            self._ordered.add(message for message in messages if message.key)
            messages = [message for message in messages if not message.key]
        self._plain.add(messages)
        self.news.set()

    def _return(self, ack_id: str) -> bool:
        message = self._leases.end(ack_id)
        if message is None:
            return False
        self.news.set()  # its holder has room again, even if the message itself has to wait
        failures = self._failures[message.seq] = self._failures.get(message.seq, 0) + 1
        ready_at = self._clock.now() + self._backoff.delay(failures)
        kept = [] if self._bury(message, failures) else [message]
        if not (self._keeps_order and message.key):
            for one in kept:
                self._plain.put_back(one, ready_at)
            return True
        self._ordered.release(message.key, ack_id)
        for later in self._ordered.later(message.key, message.seq):
            self._ordered.release(message.key, later)
            follower = self._leases.end(later)
            if follower is not None:
                kept.append(follower)
        if kept:
            self._ordered.put_back(kept, ready_at)
        return True

    def _bury(self, message: Message, failures: int) -> bool:
        """Forward a message that failed too often; one that cannot be stays."""
        if not is_due(self.config, failures):
            return False
        letter = dead_letter(message, self.name, failures)
        if not self._forward(self.config.dead_letter_policy.dead_letter_topic, letter):
            return False
        self._forget(message)
        return True

    def _forget(self, message: Message) -> None:
        self.held_bytes -= message.size
        self._failures.pop(message.seq, None)
