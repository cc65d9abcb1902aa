"""The two times of the server: one that only moves forward, and the date.

Ack deadlines and back-off are measured with `now`, which a change of the machine's date cannot
move; publish times, retention and seeking are dates.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ("Clock",)


@dataclass(frozen=True, slots=True)
class Clock:
    """Both times in seconds: `now` since any moment, `wall` since the epoch."""

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
