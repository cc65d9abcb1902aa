"""Whether a subscription that brings nothing is empty.

A streaming pull cannot say "nothing there": it is just silent, also when the network or the server
is slow. So after a second of silence Pub/Sub is asked, by a unary pull, and hands out what it has
or says that it has nothing (RPC reference, "PullRequest"). While nothing comes the silences grow,
so that an idle subscription costs little.

The question belongs to the source, not to the pull that waits for its answer: what it brings is
leased to us, also when nobody waits any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ("Silence",)

QUIET_S = (1.0, 20.0)  # after which the question is put: at first, and at last
SHORT_ROUNDS = 3  # of answers that brought nothing, before the silences grow
LATE_S = 0.05  # for what a stream has brought with the answer, and nobody has read yet

Ask = Callable[[], Awaitable[bool]]


class Silence:
    """The questions of one source; `ask` says whether the answer brought anything."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._lock = asyncio.Lock()
        self._asked = 0
        self._emptied = 0
        self._rounds = 0
        self._tasks: set[asyncio.Task[bool]] = set()

    def mark(self) -> int:
        """A number that all questions exceed which are put from now on."""
        return self._asked

    def broken(self) -> None:
        """Something came."""
        self._rounds = 0

    @property
    def quiet_s(self) -> float:
        """Seconds of silence before a question."""
        shortest, longest = QUIET_S
        return float(min(shortest * 2 ** max(0, self._rounds - SHORT_ROUNDS), longest))

    async def is_empty(self, mark: int) -> bool:
        """Whether a question that was put after `mark` brought nothing; asks, if none was.

        Raises:
            BuildFlowError: there is no answer.
        """
        async with self._lock:
            if self._emptied > mark:
                return True
            self._asked += 1
            number = self._asked
            task = asyncio.ensure_future(self._ask())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            if await asyncio.shield(task):
                return False
            await asyncio.sleep(LATE_S)
            self._emptied, self._rounds = number, min(self._rounds + 1, 30)
            return True

    async def close(self) -> None:
        """Wait for the answers under way; the caller bounds it."""
        if self._tasks:
            await asyncio.wait(self._tasks)
