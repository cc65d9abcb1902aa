"""What all tests share: asyncio's own loop, as a plain install has it.

uvloop is an extra; kernels and scripts that tests start as processes of their own do use it.
"""

from __future__ import annotations

import sys

sys.modules["uvloop"] = None  # type: ignore[assignment]  # an import of it fails from now on
