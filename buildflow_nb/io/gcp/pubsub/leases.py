"""Which received messages are leased to us, and until when.

Pub/Sub delivers a message again when nobody has acknowledged it by its deadline. Until that has
been answered the deadline is moved on, at half its time, so that messages of a killed consumer come
back soon and an element may still take an hour. After that it is left to Pub/Sub, so that an
element which hangs for ever comes back; Google's own clients do the same ("Lease management").
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

__all__ = ("Leases",)

AGAIN_S = 60.0  # in which what could not be settled is settled again, or never
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
        self._settling: dict[str, _Lease] = {}
        self._known: dict[str, tuple[str, int]] = {}

    def __len__(self) -> int:
        """How many are not settled."""
        return len(self._held) + len(self._settling)

    def __contains__(self, ack_id: str) -> bool:
        return ack_id in self._held or ack_id in self._settling

    def take(
        self, ack_ids: Sequence[str], lease_s: float, known: Sequence[tuple[str, int]] = ()
    ) -> None:
        """These were received right now; of each is `known` its id, and how often it has come."""
        now = self._now()
        self._known.update(zip(ack_ids, known, strict=False))
        self._held.update(dict.fromkeys(ack_ids, _Lease(now + lease_s / 2, now + LONGEST_S)))

    def settling(self, ack_ids: Iterable[object], *, renew: bool) -> list[str]:
        """Those of them that are not settled; with `renew` they are kept until they are."""
        held, settling = self._held, self._settling
        left_alone = _Lease(math.inf, self._now() + LONGEST_S)
        found = []
        for ack_id in ack_ids:
            if isinstance(ack_id, str) and ack_id in self:
                lease = held.pop(ack_id, None) or settling[ack_id]
                settling[ack_id] = lease if renew else left_alone
                found.append(ack_id)
        return found

    def unsettled(self, ack_ids: Iterable[str]) -> None:
        """These could not be settled; they may be settled again for a while."""
        until = self._now() + AGAIN_S
        for ack_id in ack_ids:
            if (lease := self._settling.get(ack_id)) is not None:
                self._settling[ack_id] = _Lease(lease.renew_at, min(lease.until, until))

    def known(self, ack_id: str) -> tuple[str, int]:
        """The message's id, and how often it has come; "" and 0 where that is not known."""
        return self._known.get(ack_id, ("", 0))

    def drop(self, ack_ids: Iterable[str]) -> None:
        """These are settled."""
        for ack_id in ack_ids:
            self._settling.pop(ack_id, None)
            self._known.pop(ack_id, None)

    def due(self) -> list[str]:
        """Those to be renewed now."""
        now = self._now()
        self.drop([i for i, lease in self._settling.items() if lease.until <= now])
        every = (*self._held.items(), *self._settling.items())
        return [ack_id for ack_id, lease in every if lease.renew_at <= now < lease.until]

    def renewed(self, ack_ids: Iterable[str], lease_s: float) -> None:
        """These are leased again for the whole time."""
        renew_at = self._now() + lease_s / 2
        again: dict[float, _Lease] = {}
        for ack_id in ack_ids:
            leases = self._held if ack_id in self._held else self._settling
            lease = leases.get(ack_id)
            if lease is not None and lease.renew_at != math.inf:
                leases[ack_id] = again.setdefault(lease.until, _Lease(renew_at, lease.until))

    def lost(self, ack_ids: Iterable[str]) -> None:
        """These cannot be renewed any more, and will be delivered again."""
        ended = _Lease(math.inf, math.inf)
        for ack_id in ack_ids:
            if ack_id in self._held:
                self._held[ack_id] = ended

    def held(self) -> list[str]:
        """All that nobody has begun to settle."""
        return list(self._held)
