"""Which elements of a processor are traced, and what is kept of them, bounded.

Traced are the last element of each chunk, each one that is tried again or failed, each one that
came with a trace that asks for it, and a sample: one in so many, and up to ten a second, so that a
flow that has little to do is traced whole. Of these the sampled ones are kept, and take their trace
along to where they are written; of the others only the very last is.

A processor that was lately given traces takes no sample of its own: it would begin traces in the
middle of the way.
"""

from __future__ import annotations

import math
import random
from collections import deque

from buildflow_nb.runtime.observability.visits import Visit

__all__ = ("KEPT", "TraceBook")

KEPT = 100  # sampled visits of a processor
FAILED = 400  # visits of failed ones: 200 failures, tried twice
EACH_S = 0.1  # seconds for one sample more than the share
BURST_S = 0.9  # of them that may be had at once: ten
FED_S = 10.0  # seconds after a trace that came, in which none is begun


class TraceBook:
    """The traces of one processor; `rate` (0..1) is the share that is sampled, 0 for none at all.

    `source` names what it reads. Written on the loop only; read on any thread.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.source = ""
        self.kept: deque[Visit] = deque(maxlen=KEPT)
        self.failed: deque[Visit] = deque(maxlen=FAILED)
        self.last: Visit | None = None
        self._left = self._gap() - 1 if rate else 0  # elements before the next of the share
        self._free_at = -math.inf
        self._fed_until = -math.inf

    def draw(self, count: int, now: float) -> list[int]:
        """Which of the next `count` elements are sampled, in order."""
        if now < self._fed_until:
            return []
        found: list[int] = []
        at = self._left
        while at < count:
            found.append(at)
            at += self._gap()
        self._left = at - count
        if now >= self._free_at - BURST_S:
            self._free_at = max(now, self._free_at) + EACH_S
            if not found or found[-1] != count - 1:
                found.append(count - 1)
        return found

    def fed(self, now: float) -> None:
        """A trace has come with an element."""
        self._fed_until = now + FED_S

    def add(self, visit: Visit) -> None:
        """Keep a visit: as the last one, and where it is sampled for longer."""
        self.last = visit
        if visit.sampled:
            self.kept.append(visit)

    def fail(self, visit: Visit) -> None:
        """Keep a visit that failed."""
        self.failed.append(visit)

    def visits(self) -> list[Visit]:
        """All that there are, each once, oldest first."""
        found = {id(visit): visit for visit in (*list(self.kept), *list(self.failed))}
        if (last := self.last) is not None:
            found[id(last)] = last
        return sorted(found.values(), key=lambda visit: visit.pulled)

    def _gap(self) -> int:
        """Elements from one of the share to the next one."""
        if self.rate >= 1:
            return 1
        return int(math.log(1 - random.random()) / math.log1p(-self.rate)) + 1  # noqa: S311
