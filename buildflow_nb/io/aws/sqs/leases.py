"""Which received messages are hidden from other consumers, and until when.

A message that was received is ours for the queue's visibility timeout, then SQS gives it to others.
Until a delete has been answered the lease is renewed at half its time, so a queue may have a short
timeout (a killed consumer's messages come back soon) and an element may still take an hour. SQS
hides a message for 12 hours in all (Developer Guide, "Visibility timeout"); renewal ends before
that, so that an element which hangs for ever comes back.

A lease may be lost all the same: the machine slept, the network stood still. Then the message is
delivered again, under another handle, and the old one deletes nothing any more (API Reference,
"DeleteMessage"). So messages are known by their ids: one that comes while it is still worked on
only changes its handle, and one that is done with is named to be deleted, not handed out again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from buildflow_nb.io.aws.sqs.client import Message

__all__ = ("Fate", "Leases", "Receipt", "Taken")

AGAIN_S = 60.0  # in which what could not be settled is settled again, or never
LONGEST_S = 11.5 * 3600  # seconds for which a lease is renewed; SQS refuses more than 12 h
MOST_DONE = 10_000  # ids of messages that are done with and not deleted


class Fate(Enum):
    """What SQS is told of a message."""

    OPEN = "open"  # nothing yet: it is worked on
    DELETE = "delete"
    SHOW = "show"  # to be delivered again, at once or later


@dataclass(eq=False, slots=True)
class Receipt:
    """A message that is ours, by the handle of its latest delivery; changed by `Leases` only."""

    id: str
    handle: str
    times: int
    renew_at: float  # monotonic seconds, as all that follow
    hidden_until: float
    until: float  # when it is not renewed any more
    fate: Fate = Fate.OPEN
    asked: bool = False  # whether a call that settles it waits or is under way
    lost: bool = False
    pause_s: int | None = None  # for which it waits once it is shown again


@dataclass(frozen=True, slots=True)
class Taken:
    """What a call has brought: messages to hand out, and handles of some that are done with."""

    fresh: Sequence[tuple[Message, Receipt]] = ()
    done: dict[str, str] = field(default_factory=dict)  # handle by id


class Leases:
    """The messages that are not settled, in the order they came; safe between threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._held: dict[str, Receipt] = {}
        self._done: dict[str, None] = {}

    def __len__(self) -> int:
        """How many are kept alive, or should be."""
        return len(self._held)

    def take(self, messages: Iterable[Message], lease_s: float) -> Taken:
        """These were received right now."""
        now = self._now()
        fresh: list[tuple[Message, Receipt]] = []
        done: dict[str, str] = {}
        with self._lock:
            for message in messages:
                old = self._held.get(message.id)
                if old is not None and old.fate is Fate.DELETE and not old.asked:
                    self._note_done(old.id)
                if message.id in self._done:
                    done[message.id] = message.handle
                elif old is None or old.fate is Fate.SHOW or old.until <= now:
                    fresh.append((message, self._add(message, now, lease_s)))
                else:
                    old.handle, old.times, old.lost = message.handle, message.times, False
                    self._renew(old, now, lease_s)
        return Taken(fresh, done)

    def settling(self, receipts: Iterable[object], fate: Fate) -> list[Receipt]:
        """Those of them that are held, about to be told to SQS."""
        with self._lock:
            found = [r for r in receipts if isinstance(r, Receipt) and self._held.get(r.id) is r]
            for receipt in found:
                receipt.fate, receipt.asked = fate, True
        return found

    def settled(self, receipts: Iterable[Receipt]) -> None:
        """SQS has done what it was told of these."""
        with self._lock:
            for receipt in receipts:
                self._drop(receipt)

    def unsettled(self, receipts: Iterable[Receipt]) -> None:
        """SQS could not be told of these; they may be settled again."""
        until = self._now() + AGAIN_S
        with self._lock:
            for receipt in receipts:
                receipt.asked, receipt.until = False, min(receipt.until, until)

    def too_late(self, receipts: Iterable[Receipt]) -> None:
        """These are done with, but SQS has them still: they are deleted when they come again."""
        with self._lock:
            for receipt in receipts:
                self._note_done(receipt.id)

    def deleted(self, ids: Iterable[str]) -> None:
        """These do not come again."""
        with self._lock:
            for one in ids:
                self._done.pop(one, None)

    def due(self) -> list[Receipt]:
        """Those to be renewed now."""
        now = self._now()
        with self._lock:
            for receipt in [r for r in self._held.values() if r.until <= now and not r.asked]:
                if receipt.fate is Fate.DELETE:
                    self._note_done(receipt.id)
                elif receipt.fate is Fate.SHOW:
                    self._drop(receipt)
            return [
                receipt
                for receipt in self._held.values()
                if receipt.renew_at <= now < receipt.until
                and not receipt.lost
                and receipt.fate is not Fate.SHOW
            ]

    def renewed(self, receipts: Iterable[Receipt], lease_s: float, asked_at: float) -> None:
        """These are hidden again for the whole time, from when that was asked for."""
        with self._lock:
            for receipt in receipts:
                self._renew(receipt, asked_at, lease_s)

    def lost(self, handles: Iterable[tuple[Receipt, str]]) -> None:
        """SQS renews these no more under these handles; they may be delivered again."""
        with self._lock:
            for receipt, handle in handles:
                receipt.lost = receipt.handle == handle

    def held(self) -> list[Receipt]:
        """All that are not settled."""
        with self._lock:
            return list(self._held.values())

    def _add(self, message: Message, now: float, lease_s: float) -> Receipt:
        self._held.pop(message.id, None)  # so that it stands at the end
        receipt = self._held[message.id] = Receipt(
            message.id, message.handle, message.times, 0.0, 0.0, now + LONGEST_S
        )
        self._renew(receipt, now, lease_s)
        return receipt

    def _note_done(self, one: str) -> None:
        self._held.pop(one, None)
        self._done[one] = None
        if len(self._done) > MOST_DONE:
            del self._done[next(iter(self._done))]

    def _drop(self, receipt: Receipt) -> None:
        if self._held.get(receipt.id) is receipt:
            del self._held[receipt.id]

    @staticmethod
    def _renew(receipt: Receipt, now: float, lease_s: float) -> None:
        receipt.renew_at, receipt.hidden_until = now + lease_s / 2, now + lease_s
