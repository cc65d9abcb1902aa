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
    """The box of one source; at most ten messages for each call that was expected."""

    def __init__(self, link: QueueLink, leases: Leases) -> None:
        self.lease_s: int | None = None
        self.arrived = asyncio.Event()
        self._link = link
        self._leases = leases
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._letters: list[Letter] = []
        self._fault: BuildFlowError | None = None
        self._came_empty = False
        self._under_way = 0
        self._closed = False

    def open(self) -> None:
        """Wake the loop that runs now, from now on."""
        self._loop = asyncio.get_running_loop()

    def expect(self, most: int) -> bool:
        """Count one more call as under way, if fewer than `most` are; `fetch` has to follow."""
        with self._lock:
            if self._closed or self._under_way >= most:
                return False
            self._under_way += 1
            return True

    def fetch(self) -> None:
        """Make one receive call and leave what came of it."""
        letter: Letter = []
        fault: BuildFlowError | None = None
        try:
            self.lease_s = self._link.lease_s
            letter = self._link.receive()
        except BuildFlowError as error:
            fault = error
        finally:  # whatever happens, the call is no longer under way
            orphans = self._leave(letter, fault)
        if orphans:
            with suppress(BuildFlowError):  # then they come when their leases run out
                self._link.hide([handle for _, handle, _ in orphans], 0)

    def take(self) -> list[Letter]:
        """All that lies here."""
        with self._lock:
            found, self._letters = self._letters, []
        return found

    def fault(self) -> BuildFlowError | None:
        """Why the last call failed, once."""
        with self._lock:
            found, self._fault = self._fault, None
        return found

    def came_empty(self) -> bool:
        """Whether a call has found nothing since this was asked last."""
        with self._lock:
            found, self._came_empty = self._came_empty, False
        return found

    def close(self) -> None:
        """Take nothing more in; what still comes is shown to other consumers again."""
        with self._lock:
            self._closed = True

    def _leave(self, letter: Letter, fault: BuildFlowError | None) -> Letter:
        with self._lock:
            self._under_way -= 1
            if self._closed:
                return letter
            self._fault = fault
            if letter:
                self._leases.take((handle for _, handle, _ in letter), self.lease_s or 0)
                self._letters.append(letter)
            elif fault is None:
                self._came_empty = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has been closed, and nobody waits any more
                self._loop.call_soon_threadsafe(self.arrived.set)
        return []
