"""Time as the runtime sees it, so that tests can turn the hands.

`now` is monotonic seconds, for intervals; `time` is seconds since the epoch, for people.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Protocol

__all__ = ("SYSTEM", "Clock", "SystemClock", "backoff_s")

FIRST_BACKOFF_S = 0.1  # short enough that a blip goes unnoticed
MAX_BACKOFF_S = 30.0  # long enough that a dead service is not hammered


class Clock(Protocol):
    """Reads and waits."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait on the running loop."""
        await asyncio.sleep(seconds)


SYSTEM = SystemClock()


def backoff_s(tries: int) -> float:
    """Seconds to wait after `tries` failures: doubling, capped, with up to a quarter of jitter."""
    wait = min(FIRST_BACKOFF_S * 2 ** min(tries - 1, 16), MAX_BACKOFF_S)
    return float(wait) * random.uniform(0.75, 1.0)  # noqa: S311  (jitter, not cryptography)
