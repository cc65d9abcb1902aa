"""Time as the runtime sees it, so that tests can turn the hands.

`now` is monotonic seconds, for intervals; `time` is seconds since the epoch, for people.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

__all__ = ("SYSTEM", "Clock", "SystemClock")


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
