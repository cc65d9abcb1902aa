"""How many requests of a route run at once; more wait in line, and beyond that are turned away."""

from __future__ import annotations

import asyncio
from collections import deque

from buildflow_nb.runtime.http.errors import HttpError

__all__ = ("LINE", "ConcurrencyLimit")

LINE = 10  # requests that wait for each one that runs: a longer line outlives its clients


class ConcurrencyLimit:
    """Lets `limit` in; first come, first served."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inside = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._empty: asyncio.Future[None] | None = None

    @property
    def open(self) -> bool:
        """Whether one may go in at once."""
        return self.inside < self.limit

    async def enter(self) -> None:
        """Go in, or wait in line until it is one's turn; `leave` must follow.

        Raises:
            HttpError: the line is too long.
        """
        if self.open:
            self.inside += 1
            return
        if len(self._line) >= LINE * self.limit:
            msg = f"busy: {self.limit} requests are running and {len(self._line)} waiting"
            raise HttpError(503, msg, {"Retry-After": "1"})
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Go out; the next in line takes the place."""
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.inside -= 1
        if self.inside == 0 and self._empty is not None:
            self._empty.set_result(None)
            self._empty = None

    async def emptied(self) -> None:
        """Wait until nobody is inside or in line."""
        if self.inside == 0:
            return
        if self._empty is None:
            self._empty = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._empty)
