"""Measurements beside peers; `python -m tests.benchmarks`, or `make bench`.

All sides run on asyncio's own loop, but where it is said: uvloop is an extra, so it is hidden here
even if it is there.
"""

from __future__ import annotations

import sys

sys.modules["uvloop"] = None  # type: ignore[assignment]  # an import of it fails from now on
