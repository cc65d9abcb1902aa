"""Which received messages are leased to us, and until when.

A queue hides a message that it has delivered until a lease is over, then delivers it again. Until
the queue has answered what it was told of a message, the lease is renewed at half its time: so
leases may be short (a killed consumer's messages come back soon) and an element may still take
hours. A bound ends that, so that an element which hangs for ever comes back.

What nobody has tried is given back to come again at once, what failed after a pause. A queue that
shows it at once delivers it again within milliseconds, thousands of times while somebody mends the
code, and each time it fails as before. So it waits a second, then twice as long each time. Queues
count deliveries, but a delivery is no failure: a consumer that was stopped has given back what it
never tried. Hence what the queue counts is believed up to a point only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

__all__ = ("Fate", "Leases", "Pauses", "Receipt")

AGAIN_S = 60.0  # in which what could not be settled is settled again, or never
FIRST_PAUSE_S = 1
LONGEST_PAUSE_S = 300  # a message that somebody has mended the code for should not take all day
BELIEVED = 5  # failures before this run, at most; so the first of a run waits half a minute at most
REMEMBERED = 10_000  # elements whose failures are counted; older ones begin anew


class Fate(Enum):
    """What the queue is told of a message."""

    OPEN = "open"  # nothing yet: it is worked on
    DELETE = "delete"
    SHOW = "show"  # to be delivered again, at once or later


@dataclass(eq=False, slots=True)
class Receipt:
    """A message that is ours, by the handle of its latest delivery; changed by `Leases` only."""

    id: str
    handle: str
    times: int  # that it has come, as the queue counts
    renew_at: float  # monotonic seconds, as all that follow
    hidden_until: float
    until: float  # when it is not renewed any more
    fate: Fate = Fate.OPEN
    asked: bool = False  # whether a call that settles it waits or is under way
    lost: bool = False
    pause_s: int | None = None  # for which it waits once it is shown again

    def lease(self, asked_at: float, lease_s: float) -> None:
        """Count it as hidden for the whole time, from when that was asked for."""
        self.renew_at, self.hidden_until = asked_at + lease_s / 2, asked_at + lease_s


class Leases:
    """The messages that are not settled, in the order they came; safe between threads."""

    def __init__(self, longest_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._longest_s = longest_s  # for which a lease is renewed
        self._now = now
        self._lock = threading.Lock()
        self._held: dict[Receipt, None] = {}

    def __len__(self) -> int:
        """How many are kept alive, or should be."""
        return len(self._held)

    def take(self, received: Iterable[tuple[str, str, int]], lease_s: float) -> list[Receipt]:
        """These came right now: of each its id, its handle, and how often it has come."""
        with self._lock:
            return self._add(received, self._now(), lease_s)

    def settling(self, receipts: Iterable[object], fate: Fate) -> list[Receipt]:
        """Those of them that are held, about to be told to the queue."""
        with self._lock:
            found = [r for r in receipts if isinstance(r, Receipt) and r in self._held]
            for receipt in found:
                receipt.fate, receipt.asked = fate, True
        return found

    def settled(self, receipts: Iterable[Receipt]) -> None:
        """The queue has done what it was told of these."""
        with self._lock:
            self._drop(receipts)

    def unsettled(self, receipts: Iterable[Receipt]) -> None:
        """The queue could not be told of these; they may be settled again for a while."""
        until = self._now() + AGAIN_S
        with self._lock:
            for receipt in receipts:
                receipt.asked, receipt.until = False, min(receipt.until, until)

    def due(self) -> list[Receipt]:
        """Those to be renewed now; forgets those that were to be settled again, and were not."""
        now = self._now()
        with self._lock:
            for receipt in [r for r in self._held if r.until <= now and not r.asked]:
                if receipt.fate is not Fate.OPEN:
                    self._give_up(receipt)
            return [
                receipt
                for receipt in self._held
                if receipt.renew_at <= now < receipt.until
                and not receipt.lost
                and receipt.fate is not Fate.SHOW
            ]

    def renewed(self, receipts: Iterable[Receipt], lease_s: float, asked_at: float) -> None:
        """These are hidden again for the whole time, from when that was asked for."""
        with self._lock:
            for receipt in receipts:
                receipt.lease(asked_at, lease_s)

    def lost(self, handles: Iterable[tuple[Receipt, str]]) -> None:
        """The queue renews these no more under these handles; they may be delivered again."""
        with self._lock:
            for receipt, handle in handles:
                receipt.lost = receipt.handle == handle

    def held(self) -> list[Receipt]:
        """All that nobody has begun to settle."""
        with self._lock:
            return [receipt for receipt in self._held if receipt.fate is Fate.OPEN]

    def _add(
        self, received: Iterable[tuple[str, str, int]], now: float, lease_s: float
    ) -> list[Receipt]:
        renew_at, hidden_until, until = now + lease_s / 2, now + lease_s, now + self._longest_s
        added = [Receipt(i, h, n, renew_at, hidden_until, until) for i, h, n in received]
        self._held.update(dict.fromkeys(added))
        return added

    def _give_up(self, receipt: Receipt) -> None:
        self._drop((receipt,))

    def _drop(self, receipts: Iterable[Receipt]) -> None:
        held = self._held
        for receipt in receipts:
            held.pop(receipt, None)


class Pauses:
    """Counts failures by message id; used by one loop or under one lock."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}

    def after_failure(self, message_id: str, deliveries: int = 1) -> int:
        """Whole seconds for which this one waits; `deliveries` is what the queue counts."""
        before = self._failures.pop(message_id, None)
        if before is None:
            before = min(max(deliveries - 1, 0), BELIEVED)
        self._failures[message_id] = before + 1
        if len(self._failures) > REMEMBERED:
            del self._failures[next(iter(self._failures))]
        return min(FIRST_PAUSE_S << min(before, 16), LONGEST_PAUSE_S)

    def forget(self, message_ids: Iterable[str]) -> None:
        """These are done."""
        for message_id in message_ids:
            self._failures.pop(message_id, None)
