"""Which errors pass by themselves, and how long to wait before the next try.

Sources, sinks, back-offs between retries and waits for a connection all ask here, so that a fault
means the same wherever it happens.
"""

from __future__ import annotations

import random

from buildflow_nb.core.errors import TemporaryError

__all__ = ("FIRST_BACKOFF_S", "MAX_BACKOFF_S", "TEMPORARY", "backoff_s")

TEMPORARY = (TemporaryError, ConnectionError, TimeoutError)
FIRST_BACKOFF_S = 0.1  # short enough that a blip goes unnoticed
MAX_BACKOFF_S = 30.0  # long enough that a dead service is not hammered


def backoff_s(tries: int) -> float:
    """Seconds to wait after `tries` failures: doubling, capped, with up to a quarter of jitter."""
    wait = min(FIRST_BACKOFF_S * 2 ** min(tries - 1, 16), MAX_BACKOFF_S)
    return float(wait) * random.uniform(0.75, 1.0)  # noqa: S311  (jitter, not cryptography)
