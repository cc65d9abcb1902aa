"""Which received messages are hidden from other consumers, and until when.

A message that was received is ours for the queue's visibility timeout, then SQS gives it to others.
While it is worked on the lease is renewed at half its time, so a queue may have a short timeout (a
killed consumer's messages come back soon) and an element may still take an hour. SQS hides a
message for 12 hours in all (Developer Guide, "Visibility timeout"); renewal ends before that, so
that an element which hangs for ever comes back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ("Leases",)

FORGET_S = 3600.0  # after which nobody will settle again what could not be settled
LONGEST_S = 11.5 * 3600  # seconds for which a lease is renewed; SQS refuses more than 12 h


@dataclass(slots=True)
class _Lease:
    renew_at: float  # monotonic seconds, as the next
    until: float
    settling: bool = False


class Leases:
    """The messages that are not settled, in the order they came; safe between threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._held: dict[str, _Lease] = {}

    def take(self, handles: Iterable[str], lease_s: float) -> None:
        """These were received right now."""
        now = self._now()
        with self._lock:
            for handle in handles:
                self._held[handle] = _Lease(now + lease_s / 2, now + LONGEST_S)

    def settling(self, handles: Iterable[object]) -> list[str]:
        """Those of them that are held; they are renewed no more."""
        found = []
        until = self._now() + FORGET_S
        with self._lock:
            for handle in handles:
                if isinstance(handle, str) and (lease := self._held.get(handle)) is not None:
                    lease.settling, lease.until = True, until
                    found.append(handle)
        return found

    def drop(self, handles: Iterable[str]) -> None:
        """These are settled."""
        with self._lock:
            for handle in handles:
                self._held.pop(handle, None)

    def due(self) -> list[str]:
        """Those to be renewed now."""
        now = self._now()
        with self._lock:
            ended = [h for h, lease in self._held.items() if lease.settling and lease.until <= now]
            for handle in ended:
                del self._held[handle]
            return [
                handle
                for handle, lease in self._held.items()
                if lease.renew_at <= now < lease.until and not lease.settling
            ]

    def renewed(self, handles: Iterable[str], lease_s: float) -> None:
        """These are hidden again for the whole time."""
        now = self._now()
        with self._lock:
            for handle in handles:
                if (lease := self._held.get(handle)) is not None:
                    lease.renew_at = now + lease_s / 2

    def lost(self, handles: Iterable[str]) -> None:
        """SQS renews these no more; they may be delivered again."""
        with self._lock:
            for handle in handles:
                if (lease := self._held.get(handle)) is not None:
                    lease.until = 0.0

    def held(self) -> list[str]:
        """All that are not settled."""
        with self._lock:
            return list(self._held)
