"""How many messages may be held unsettled, so that none of them outlives its lease.

Whoever takes more than can be settled or renewed in time gets them again from SQS, does the work
twice, and is later still. Two things are measured for that, and the larger bound holds:

* what was settled in the last seconds: a third of a lease's worth goes through without renewal;
* how many calls the queue answers: what is held longer has to be renewed, and a sixth of a lease
  is left to that, as receiving and deleting go on beside it.

A slow queue, a busy machine and a slow network all show in these numbers, and so does their end.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from buildflow_nb.io.aws.sqs.client import BATCH

__all__ = ("Allowance",)

SPAN_S = 5.0  # over which is counted what was settled, or a lease where that is longer
THROUGH = 1 / 3  # of a lease, in which what is held should be settled
RENEWING = 1 / 6  # of a lease, in which what is held could be renewed
GUESS = 18.0  # calls in a second, until there were some: as one connection to a far region
WEIGHT = 0.1  # of the latest call in the mean


class Allowance:
    """The bound for one queue; safe between threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._calls_per_s = GUESS
        self._under_way = 0
        self._settled: deque[tuple[float, int]] = deque()
        self._count = 0
        self._since = now()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Measure a call that settles or renews up to ten messages."""
        began = self._now()
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            took = max(self._now() - began, 1e-4)
            with self._lock:
                # Calls that ran side by side were answered side by side.
                rate = self._under_way / took
                self._under_way -= 1
                self._calls_per_s += WEIGHT * (rate - self._calls_per_s)

    def begin(self) -> None:
        """The first message after a quiet time has come: what was before says nothing."""
        with self._lock:
            self._settled.clear()
            self._count, self._since = 0, self._now()

    def settled(self, count: int) -> None:
        """So many were settled."""
        with self._lock:
            self._settled.append((self._now(), count))
            self._count += count

    def most(self, lease_s: float) -> int:
        """How many may be held, under leases of so many seconds."""
        now = self._now()
        with self._lock:
            span = max(SPAN_S, lease_s)
            while self._settled and self._settled[0][0] <= now - span:
                self._count -= self._settled.popleft()[1]
            elapsed = min(now - self._since, span)
            settled_per_s = self._count / elapsed if elapsed > 0 else 0.0
            through = settled_per_s * lease_s * THROUGH
            renewing = self._calls_per_s * BATCH * lease_s * RENEWING
        return max(BATCH, int(through), int(renewing))
