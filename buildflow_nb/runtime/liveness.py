"""Whether a unit is its processor, for all to see: not yet, now, or no more; what it waits for.

Two units share a ledger while one replaces the other. The one that is being made says nothing
until it takes over, and the one that goes says nothing once it has to: so a replacement never
passes through a state that others take for the end of the processor or of the run.

Temporary faults are shown as its state, and waited out with back-off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from buildflow_nb.core.errors import told
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.concurrency.backoff import TEMPORARY, backoff_s
from buildflow_nb.runtime.concurrency.calls import contained
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.observability.ledger import Ledger

__all__ = ("Liveness", "Waits")

T = TypeVar("T")
_AT_WORK = (State.RUNNING, State.WAITING, State.STARTING)


class Liveness:
    """One unit's right to write its state into the ledger; used on the loop only."""

    def __init__(self, ledger: Ledger) -> None:
        self.state = State.PENDING
        self._ledger = ledger
        self._live = False

    def begin(self) -> None:
        """From now on it is the processor."""
        self._live = True
        self.enter(State.STARTING)

    def end(self) -> None:
        """Another unit is about to be the processor."""
        self._live = False

    def enter(self, state: State, reason: str = "") -> None:
        """Move to a state; told while the unit is the processor."""
        self.state = state
        if self._live:
            self._ledger.enter(state, reason)

    def remark(self, text: str) -> None:
        """Say something beside the state; told while the unit is the processor."""
        if self._live:
            self._ledger.remark(text)


class Waits:
    """The reasons for which one processor waits, by what they concern ("source", "sink").

    `on_wait` is called whenever there is a reason.
    """

    def __init__(self, live: Liveness, clock: Clock) -> None:
        self.on_wait: Callable[[], None] = lambda: None
        self._live = live
        self._clock = clock
        self._reasons: dict[str, str] = {}

    def show(self, what: str, reason: str) -> None:
        """Show that something cannot be used for now, or with "" that it can again."""
        if reason:
            self._reasons[what] = reason
            self.on_wait()
        else:
            self._reasons.pop(what, None)
        if self._live.state in _AT_WORK:
            first = next(iter(self._reasons.values()), "")
            self._live.enter(State.WAITING if first else State.RUNNING, first)

    def shows(self, what: str) -> bool:
        """Whether there is a reason that concerns this."""
        return what in self._reasons

    def show_again(self) -> None:
        """Show what is waited for, if there is anything, in a state that was just entered."""
        for what, reason in list(self._reasons.items()):
            self.show(what, reason)

    async def out(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Attempt it until no temporary fault is in the way.

        Raises:
            Exception: any other fault.
        """
        tries = 0
        while True:
            try:
                made = await contained(attempt())
            except TEMPORARY as error:
                tries += 1
                self.show(what, told(error))
                await self._clock.sleep(backoff_s(tries))
            else:
                if tries:
                    self.show(what, "")
                return made
