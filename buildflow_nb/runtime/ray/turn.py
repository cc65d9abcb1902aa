"""Who starts a Ray on this machine, one after the other.

Ray's processes give up on each other within 15 s that nobody can set (`WaitForPersistedPort` in its
raylet/node_manager.cc), and a start takes both cores of a small machine for half of that: several
at the same time fail, where one after the other they work.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from buildflow_nb.core.project_folder import try_lock

__all__ = ("TURN_S", "turn_to_start")

TURN_S = 60.0  # then others take too long, or hang: it is tried beside them
LOOK_EVERY_S = 0.1
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


@asynccontextmanager
async def turn_to_start(place: Path) -> AsyncIterator[None]:
    """Have one's turn among all of this user who start a Ray; `place` is for temporary files."""
    try:
        user = os.getuid() if hasattr(os, "getuid") else 0
        handle = os.open(place / f"buildflow-ray-{user}.lock", _FLAGS, 0o600)
    except OSError:  # without a lock it works as well, as a rule
        yield
        return
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(TURN_S):
                while not try_lock(handle):  # noqa: ASYNC110  (another process lets go of it)
                    await asyncio.sleep(LOOK_EVERY_S)
        yield
    finally:
        os.close(handle)
