"""What a processor waits for: temporary faults, shown as its state and waited out with back-off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from buildflow_nb.core.errors import told
from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.concurrency.backoff import TEMPORARY, backoff_s
from buildflow_nb.runtime.concurrency.calls import contained
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.liveness import Liveness

__all__ = ("Waits",)

T = TypeVar("T")
_AT_WORK = (State.RUNNING, State.WAITING, State.STARTING)


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
