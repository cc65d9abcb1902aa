"""What elements' time went into, by second, of the last minute: a few additions a chunk."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from buildflow_nb.core.status.profile import SPAN_S

__all__ = ("PartTimes", "Sums")


class Sums(NamedTuple):
    """Sums over some seconds: elements done with, and the seconds that all of them took together.

    `total_s` is from pull to ack, or from request to answer; the others are parts of it. `pushes`
    to the sink had `pushed` elements and took `pushing_s`.
    """

    elements: float = 0.0
    total_s: float = 0.0
    decode_s: float = 0.0
    code_s: float = 0.0
    encode_s: float = 0.0
    sink_s: float = 0.0
    pushes: float = 0.0
    pushed: float = 0.0
    pushing_s: float = 0.0


class PartTimes:
    """The sums of each of the last seconds; `now` is monotonic seconds everywhere."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, list[float]]] = deque(maxlen=SPAN_S + 2)

    def add(  # noqa: PLR0913, PLR0917  (one number for each part)
        self,
        now: float,
        count: int,
        total_s: float,
        decode_s: float,
        code_s: float,
        encode_s: float,
        sink_s: float,
    ) -> None:
        """Count elements that were done with at `now`."""
        sums = self._of(now)
        sums[0] += count
        sums[1] += total_s
        sums[2] += decode_s
        sums[3] += code_s
        sums[4] += encode_s
        sums[5] += sink_s

    def push(self, now: float, count: int, seconds: float) -> None:
        """Count a push that was over at `now`."""
        sums = self._of(now)
        sums[6] += 1
        sums[7] += count
        sums[8] += seconds

    def take(self, now: float, sums: Sequence[float]) -> None:
        """Count what was summed up elsewhere."""
        own = self._of(now)
        for i, number in enumerate(sums):
            own[i] += number

    def since(self, second: int, now: float) -> tuple[Sums, int]:
        """The sums of all whole seconds from this one on, and the second to ask for next."""
        end = int(now)
        return _summed([s for at, s in list(self._seconds) if second <= at < end]), end

    def last(self, now: float, span_s: float) -> Sums:
        """The sums of the last seconds, the one under way among them."""
        return _summed([sums for at, sums in list(self._seconds) if at > now - span_s - 1])

    def _of(self, now: float) -> list[float]:
        second = int(now)
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, [0.0] * len(Sums._fields)))
        return self._seconds[-1][1]


def _summed(found: Sequence[Sequence[float]]) -> Sums:
    return Sums(*map(sum, zip(*found, strict=True))) if found else Sums()
