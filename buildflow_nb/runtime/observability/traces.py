"""Which elements of a processor are traced, and what is kept of them, bounded.

Traced are each element that is tried again or failed, each one that came with a trace that asks
for it, and a sample: one in so many, and up to ten a second, so that a flow that has little to do
is traced whole. These are kept, and take their trace along to where they are written. The very last
element is kept besides, with what is known of its chunk. Of a chunk its first elements are the
sample, as many as there are in it by chance: so the loop over all others need not be interrupted.

A processor that was lately given traces takes no sample of its own: it would begin traces in the
middle of the way.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable

from buildflow_nb.runtime.observability.visits import Visit

__all__ = ("KEPT", "TraceBook")

KEPT = 100  # sampled visits of a processor
WHOLE = 20  # of which the elements are kept, too: as many as `peek` shows
FAILED = 200  # visits of failed ones
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
        self.last: Visit | Callable[[], Visit] | None = None
        self._left = self._gap() - 1 if rate else 0  # elements before the next of the share
        self._free_at = -math.inf
        self._fed_until = -math.inf

    def draw(self, count: int, now: float) -> int:
        """How many of the next `count` elements are sampled."""
        if now < self._fed_until:
            return 0
        found, left = 0, self._left
        while left < count:
            found += 1
            left += self._gap()
        self._left = left - count
        if not found and now >= self._free_at - BURST_S:
            self._free_at = max(now, self._free_at) + EACH_S
            return 1
        return found

    def fed(self, now: float) -> None:
        """A trace has come with an element."""
        self._fed_until = now + FED_S

    def add(self, visit: Visit) -> None:
        """Keep a visit: as the last one, and where it is sampled for longer."""
        self.last = visit
        if visit.sampled:
            self.keep(visit)

    def keep(self, visit: Visit) -> None:
        """Keep a sampled visit; of older ones the elements are let go."""
        kept = self.kept
        kept.append(visit)
        if len(kept) > WHOLE:
            kept[-WHOLE - 1].forget()

    def _made_last(self) -> Visit | None:
        """The last visit, which is made when somebody looks."""
        last = self.last
        if last is not None and not isinstance(last, Visit):
            made = last()
            if self.last is last:
                self.last = made
            return made
        return last

    def fail(self, visit: Visit) -> None:
        """Keep a visit that failed."""
        self.failed.append(visit)

    def visits(self) -> list[Visit]:
        """All that there are, each once, oldest first."""
        found = {id(visit): visit for visit in (*list(self.kept), *list(self.failed))}
        if (last := self._made_last()) is not None:
            found[id(last)] = last
        return sorted(found.values(), key=lambda visit: visit.seen_at)

    def _gap(self) -> int:
        """Elements from one of the share to the next one."""
        if self.rate >= 1:
            return 1
        return int(math.log(1 - random.random()) / math.log1p(-self.rate)) + 1  # noqa: S311
