"""Leases: which message is out under which ack id, until when, and with whom.

What is delivered together shares one `Grant`, so a delivery costs one heap entry however many
messages it has. Extending moves a message to a new grant. A grant that nothing is left of forgets
its ids, and falls out of the heap when its time comes.
"""

from __future__ import annotations

import heapq
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TypeAlias

from buildflow_nb.local_cloud.pubsub.message import Message

__all__ = ("ACK_ID_BYTES", "Grant", "Held", "Holder", "Leases")

_PREFIX_BYTES = 4  # tells the ids of one server's life from those of another
_COUNTER_DIGITS = 12  # hexadecimal; at a million messages a second it lasts eight years
ACK_ID_BYTES = 2 * _PREFIX_BYTES + _COUNTER_DIGITS


@dataclass(slots=True, eq=False)
class Holder:
    """Somebody who holds messages over several deliveries: a stream. Counts what it holds."""

    messages: int = 0
    bytes: int = 0


@dataclass(slots=True, eq=False)
class Grant:
    """The terms of messages that were leased together; `left` of them still are.

    `deadline` is in the clock's seconds.
    """

    deadline: float
    holder: Holder | None
    ack_ids: list[str]
    left: int


Held: TypeAlias = tuple[Message, Grant]


class Leases:
    """All messages of a subscription that are out."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._alarms: list[tuple[float, int, Grant]] = []
        self._prefix = secrets.token_hex(_PREFIX_BYTES)
        self._counter = 0
        self._alarm_counter = 0

    def __contains__(self, ack_id: str) -> bool:
        return ack_id in self._held

    def messages(self) -> Iterator[Message]:
        """Give the messages that are out."""
        return (message for message, _ in self._held.values())

    def grant(
        self, messages: Sequence[Message], deadline: float, holder: Holder | None
    ) -> list[str]:
        """Lease messages until `deadline`, and give an ack id for each."""
        prefix, first = self._prefix, self._counter
        self._counter += len(messages)
        ack_ids = [f"{prefix}{number:012x}" for number in range(first, self._counter)]
        grant = Grant(deadline, holder, ack_ids, len(ack_ids))
        self._held.update(zip(ack_ids, zip(messages, repeat(grant)), strict=False))
        if holder is not None:
            holder.messages += len(messages)
            holder.bytes += sum(message.size for message in messages)
        self._set_alarm(grant)
        return ack_ids

    def extend(self, ack_ids: Iterable[str], deadline: float) -> list[str]:
        """Move leases to a new deadline, and give the ids that are not leased."""
        unknown = []
        grants: dict[Holder | None, Grant] = {}
        for ack_id in ack_ids:
            held = self._held.get(ack_id)
            if held is None:
                unknown.append(ack_id)
                continue
            message, old = held
            grant = grants.get(old.holder)
            if grant is None:
                grant = grants[old.holder] = Grant(deadline, old.holder, [], 0)
            grant.ack_ids.append(ack_id)
            grant.left += 1
            self._leave(old)
            self._held[ack_id] = (message, grant)
        for grant in grants.values():
            self._set_alarm(grant)
        return unknown

    def end(self, ack_id: str) -> Message | None:
        """Take a message back, if it is out under this id."""
        held = self._held.pop(ack_id, None)
        if held is None:
            return None
        message, grant = held
        self._leave(grant)
        if grant.holder is not None:
            grant.holder.messages -= 1
            grant.holder.bytes -= message.size
        return message

    def clear(self) -> None:
        """Take everything back."""
        for ack_id in list(self._held):
            self.end(ack_id)
        self._alarms.clear()

    def lapsed(self, now: float) -> list[str]:
        """Give the ids whose deadline has passed; they stay leased until they are ended."""
        found: list[str] = []
        while self._alarms and self._alarms[0][0] <= now:
            grant = heapq.heappop(self._alarms)[2]
            found += (
                ack_id
                for ack_id in grant.ack_ids
                if (held := self._held.get(ack_id)) is not None and held[1] is grant
            )
        return found

    @staticmethod
    def _leave(grant: Grant) -> None:
        grant.left -= 1
        if not grant.left:
            grant.ack_ids = []  # it may stay in the heap for minutes

    def _set_alarm(self, grant: Grant) -> None:
        self._alarm_counter += 1
        heapq.heappush(self._alarms, (grant.deadline, self._alarm_counter, grant))
