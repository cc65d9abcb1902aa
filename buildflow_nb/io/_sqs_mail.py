"""Where receive calls, which run in threads, leave what they bring for the loop that pulls.

Nothing falls between the two: under one lock a letter is either put into the box, or, once the box
is closed, shown to other consumers again by the thread that brought it.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.io._sqs_leases import Leases
from buildflow_nb.io._sqs_link import Message, QueueLink

__all__ = ("Letter", "Mail")

Letter = list[Message]  # what one call has brought: up to ten messages


class Mail:
    """The box of one source: `most` calls at once, and none begins while as many letters lie here.

    Letters count apart from calls, since the loop takes them several at a time: calls that waited
    for it would leave a busy source half idle.
    """

    def __init__(self, link: QueueLink, leases: Leases) -> None:
        self.most = 1
        self.lease_s: int | None = None
        self.arrived = asyncio.Event()
        self._link = link
        self._leases = leases
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._letters: list[Letter] = []
        self._fault: Exception | None = None
        self._came_empty = False
        self._under_way = 0
        self._wanted = False
        self._told = False
        self._closed = False

    def open(self) -> None:
        """Tell the loop that runs now, from now on."""
        self._loop = asyncio.get_running_loop()

    def expect(self) -> bool:
        """Count one more call as under way, if there may be one; `fetch` has to follow."""
        with self._lock:
            self._wanted = True
            if not self._room():
                return False
            self._under_way += 1
            return True

    def fetch(self) -> None:
        """Receive and leave what came, again and again while there is plenty and it is wanted."""
        again = True
        while again:
            letter: Letter = []
            fault: Exception | None = None
            try:
                self.lease_s = self._link.lease_s
                letter = self._link.receive()
            except Exception as error:  # noqa: BLE001  (raised by the pull that waits for it)
                fault = error
            again = self._leave(letter, fault)

    def take(self) -> list[Letter]:
        """All that lies here."""
        with self._lock:
            found, self._letters = self._letters, []
            self._told = False
        self.arrived.clear()
        return found

    def fault(self) -> Exception | None:
        """Why the last call failed, once."""
        with self._lock:
            found, self._fault = self._fault, None
        return found

    def came_empty(self) -> bool:
        """Whether a call has found nothing since this was asked last."""
        with self._lock:
            found, self._came_empty = self._came_empty, False
        return found

    def pause(self) -> None:
        """Make no further call until one is expected again."""
        with self._lock:
            self._wanted = False

    def close(self) -> None:
        """Take nothing more in; what still comes is shown to other consumers again."""
        with self._lock:
            self._closed = True

    def _room(self) -> bool:
        return not self._closed and max(len(self._letters), self._under_way) < self.most

    def _leave(self, letter: Letter, fault: Exception | None) -> bool:
        """Put a letter into the box; whether to make the next call at once."""
        with self._lock:
            self._under_way -= 1
            closed, tell = self._closed, not self._told
            if not closed:
                self._put(letter, fault)
                self._told = True
            again = bool(letter) and self._wanted and self._room()
            self._under_way += again
        if closed and letter:
            with suppress(BuildFlowError):  # then they come when their leases run out
                self._link.hide([handle for _, handle, _ in letter], 0)
        elif tell and self._loop is not None:
            with suppress(RuntimeError):  # the loop has been closed, and nobody waits any more
                self._loop.call_soon_threadsafe(self.arrived.set)
        return again

    def _put(self, letter: Letter, fault: Exception | None) -> None:
        self._fault = fault
        if letter:
            self._leases.take((handle for _, handle, _ in letter), self.lease_s or 0)
            self._letters.append(letter)
        elif fault is None:
            self._came_empty = True
