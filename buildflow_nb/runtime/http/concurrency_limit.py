"""How many requests of a route run at once; more wait in line, and beyond that are turned away.

What comes after the function has run (an answer that is still being streamed, work in the
background) takes no place, since it mostly waits; it has a bound of its own. Nor does a function
that waits for more of a body: clients that send nothing would keep all others out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from buildflow_nb.runtime.http.errors import HttpError

__all__ = ("LATER", "LINE", "READING", "ConcurrencyLimit")

LINE = 10  # requests that wait for each one that runs: a longer line outlives its clients
LATER = 1000  # answers that are being streamed, and background work, of one route
READING = 1000  # functions of one route that wait for more of their bodies


class ConcurrencyLimit:
    """Lets `limit` in; first come, first served."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inside = 0
        self.later = 0
        """How many stay after their turn."""
        self.reading = 0
        """How many wait for more of a body."""
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
        await self._turn()

    async def _turn(self) -> None:
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
        self._tell_empty()

    @contextmanager
    def staying(self) -> Iterator[None]:
        """Stay after one's turn, beside those that are inside.

        Raises:
            HttpError: too many do.
        """
        if self.later >= LATER:
            msg = f"busy: {self.later} answers are being sent"
            raise HttpError(503, msg, {"Retry-After": "1"})
        self.later += 1
        try:
            yield
        finally:
            self.later -= 1
            self._tell_empty()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Give one's place to the next while staying; for an instant at the end one is inside.

        Raises:
            HttpError: too many stay.
        """
        with self.staying():
            self.leave()
            try:
                yield
            finally:
                self.inside += 1

    @asynccontextmanager
    async def while_reading(self) -> AsyncIterator[None]:
        """Give one's place to the next while waiting for more of a body; then wait for one's turn.

        Raises:
            HttpError: too many wait so.
        """
        if self.reading >= READING:
            msg = f"busy: {self.reading} requests wait for the rest of their bodies"
            raise HttpError(503, msg, {"Retry-After": "1"}, close=True)
        self.reading += 1
        self.leave()
        try:
            yield
        except BaseException:
            self._come_back()  # it is at its end, and waits for nobody
            raise
        if self.open:
            self._come_back()
            return
        try:
            await self._turn()
        except asyncio.CancelledError:
            self._come_back()
            raise
        self.reading -= 1

    def _come_back(self) -> None:
        self.reading -= 1
        self.inside += 1

    def _tell_empty(self) -> None:
        if self.inside + self.later + self.reading == 0 and self._empty is not None:
            self._empty.set_result(None)
            self._empty = None

    async def emptied(self) -> None:
        """Wait until nobody is inside, in line, or stays."""
        if self.inside + self.later + self.reading == 0:
            return
        if self._empty is None:
            self._empty = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._empty)
