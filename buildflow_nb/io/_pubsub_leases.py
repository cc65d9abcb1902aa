"""Which received messages are leased to us, and until when.

Pub/Sub delivers a message again when nobody has acknowledged it by its deadline. While a message is
worked on the deadline is moved on, at half its time, so that messages of a killed consumer come
back soon and an element may still take an hour. After that it is left to Pub/Sub, so that an
element which hangs for ever comes back; Google's own clients do the same ("Lease management").
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

__all__ = ("Leases",)

FORGET_S = 3600.0  # after which nobody will settle again what could not be settled
LONGEST_S = 3600.0  # seconds for which a lease is renewed


@dataclass(slots=True)
class _Lease:
    """That of all messages which came together."""

    renew_at: float  # monotonic seconds, as the next
    until: float


class Leases:
    """The messages that are not settled, by ack id, in the order they came; of one loop."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._held: dict[str, _Lease] = {}
        self._settling: dict[str, float] = {}  # until when they may be settled again

    def take(self, ack_ids: Sequence[str], lease_s: float) -> None:
        """These were received right now."""
        now = self._now()
        self._held.update(dict.fromkeys(ack_ids, _Lease(now + lease_s / 2, now + LONGEST_S)))

    def settling(self, ack_ids: Iterable[object]) -> list[str]:
        """Those of them that are not settled; they are renewed no more."""
        held, settling, until = self._held, self._settling, self._now() + FORGET_S
        found = []
        for ack_id in ack_ids:
            if isinstance(ack_id, str) and (ack_id in held or ack_id in settling):
                held.pop(ack_id, None)
                settling[ack_id] = until
                found.append(ack_id)
        return found

    def drop(self, ack_ids: Iterable[str]) -> None:
        """These are settled."""
        for ack_id in ack_ids:
            self._settling.pop(ack_id, None)

    def due(self) -> list[str]:
        """Those to be renewed now."""
        now = self._now()
        for ack_id in [i for i, until in self._settling.items() if until <= now]:
            del self._settling[ack_id]
        return [i for i, lease in self._held.items() if lease.renew_at <= now < lease.until]

    def renewed(self, ack_ids: Iterable[str], lease_s: float) -> None:
        """These are leased again for the whole time."""
        renew_at = self._now() + lease_s / 2
        again: dict[float, _Lease] = {}
        for ack_id in ack_ids:
            if (lease := self._held.get(ack_id)) is not None:
                until = lease.until
                self._held[ack_id] = again.setdefault(until, _Lease(renew_at, until))

    def lost(self, ack_ids: Iterable[str]) -> None:
        """These cannot be renewed any more, and will be delivered again."""
        ended = _Lease(0.0, 0.0)
        for ack_id in ack_ids:
            if ack_id in self._held:
                self._held[ack_id] = ended

    def held(self) -> list[str]:
        """All that nobody has begun to settle."""
        return list(self._held)
