"""What a processor waits for: temporary faults, shown as its state and waited out with back-off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from buildflow_nb.core.snapshot import State
from buildflow_nb.runtime.clock import Clock, backoff_s
from buildflow_nb.runtime.ledger import Ledger
from buildflow_nb.runtime.push import TEMPORARY
from buildflow_nb.runtime.traces import describe

__all__ = ("Waits",)

T = TypeVar("T")


class Waits:
    """The reasons for which one processor waits, by what they concern ("source", "sink")."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._reasons: dict[str, str] = {}

    def show(self, what: str, reason: str) -> None:
        """Show that something cannot be used for now, or with "" that it can again."""
        if reason:
            self._reasons[what] = reason
        else:
            self._reasons.pop(what, None)
        if self._ledger.state in (State.RUNNING, State.WAITING, State.STARTING):
            first = next(iter(self._reasons.values()), "")
            self._ledger.enter(State.WAITING if first else State.RUNNING, first)

    async def out(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Attempt it until no temporary fault is in the way.

        Raises:
            Exception: any other fault.
        """
        tries = 0
        while True:
            try:
                made = await attempt()
            except TEMPORARY as error:
                tries += 1
                self.show(what, str(error) or describe(error))
                await self._clock.sleep(backoff_s(tries))
            else:
                if tries:
                    self.show(what, "")
                return made
