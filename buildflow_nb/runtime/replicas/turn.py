"""Whose turn it is in a group: what concerns all replicas is done while none of them changes.

Replicas come beside each other, for a setup may take as long as code of the user's does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

__all__ = ("PATIENCE_S", "Turn")

PATIENCE_S = 5.0  # for replicas that come or go, before what is to be done to all is done


class Turn:
    """Who may change replicas; used on one loop. `calm` has them stop to come and go."""

    def __init__(self, calm: Callable[[], Awaitable[None]]) -> None:
        self._calm = calm
        self._lock = asyncio.Lock()
        self._beside = 0

    @asynccontextmanager
    async def alone(self, patience_s: float | None = None) -> AsyncIterator[None]:
        """Nobody comes or goes meanwhile; after `patience_s`, if told, who does is stopped."""
        try:
            async with asyncio.timeout(patience_s):
                await self._lock.acquire()
        except TimeoutError:
            await self._calm()
            await self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Others may come meanwhile, too, and nothing else happens."""
        if not self._beside:
            await self._lock.acquire()
        self._beside += 1
        try:
            yield
        finally:
            self._beside -= 1
            if not self._beside:
                self._lock.release()
