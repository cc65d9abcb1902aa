"""Leases of an SQS queue's messages, which may come again under another handle.

A message that was received is ours for the queue's visibility timeout. SQS hides it for 12 hours in
all (Developer Guide, "Visibility timeout"); renewal ends before that. A lease may be lost all the
same: the machine slept, the network stood still. Then the message is delivered again, and the old
handle deletes nothing any more (API Reference, "DeleteMessage"). So messages are known by their
ids: one that comes while it is still worked on only changes its handle, and one that is done with
is named to be deleted, not handed out again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from buildflow_nb.io.aws.sqs.client import Message
from buildflow_nb.io.leases import Fate, Leases, Receipt

__all__ = ("MessageLeases", "Taken")

LONGEST_S = 11.5 * 3600  # seconds for which a lease is renewed; SQS refuses more than 12 h
MOST_DONE = 10_000  # ids of messages that are done with and not deleted


@dataclass(frozen=True, slots=True)
class Taken:
    """What a call has brought: messages to hand out, and handles of some that are done with."""

    fresh: Sequence[tuple[Message, Receipt]] = ()
    done: dict[str, str] = field(default_factory=dict)  # handle by id


class MessageLeases(Leases):
    """The messages of a queue that are not settled, and the ids of those done with too late."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(LONGEST_S, now)
        self._by_id: dict[str, Receipt] = {}
        self._done: dict[str, None] = {}

    def receive(self, messages: Iterable[Message], lease_s: float) -> Taken:
        """These were received right now."""
        now = self._now()
        fresh: list[tuple[Message, Receipt]] = []
        done: dict[str, str] = {}
        with self._lock:
            for message in messages:
                old = self._by_id.get(message.id)
                if old is not None and old.fate is Fate.DELETE and not old.asked:
                    self._note_done(old)
                if message.id in self._done:
                    done[message.id] = message.handle
                elif old is None or old.fate is Fate.SHOW or old.until <= now:
                    fresh.append((message, self._replace(old, message, now, lease_s)))
                else:
                    old.handle, old.times, old.lost = message.handle, message.times, False
                    old.lease(now, lease_s)
        return Taken(fresh, done)

    def too_late(self, receipts: Iterable[Receipt]) -> None:
        """These are done with, but SQS has them still: they are deleted when they come again."""
        with self._lock:
            for receipt in receipts:
                self._note_done(receipt)

    def deleted(self, ids: Iterable[str]) -> None:
        """These do not come again."""
        with self._lock:
            for one in ids:
                self._done.pop(one, None)

    def _replace(
        self, old: Receipt | None, message: Message, now: float, lease_s: float
    ) -> Receipt:
        if old is not None:
            self._drop((old,))
        (receipt,) = self._add([(message.id, message.handle, message.times)], now, lease_s)
        self._by_id[message.id] = receipt
        return receipt

    def _note_done(self, receipt: Receipt) -> None:
        self._drop((self._by_id.get(receipt.id, receipt),))
        self._done[receipt.id] = None
        if len(self._done) > MOST_DONE:
            del self._done[next(iter(self._done))]

    def _give_up(self, receipt: Receipt) -> None:
        if receipt.fate is Fate.DELETE:
            self._note_done(receipt)
        else:
            self._drop((receipt,))

    def _drop(self, receipts: Iterable[Receipt]) -> None:
        dropped = list(receipts)
        super()._drop(dropped)
        for receipt in dropped:
            if self._by_id.get(receipt.id) is receipt:
                del self._by_id[receipt.id]
