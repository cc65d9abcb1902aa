"""Whether a unit is its processor, for all to see: not yet, now, or no more.

Two units share a ledger while one replaces the other. The one that is being made says nothing
until it takes over, and the one that goes says nothing once it has to: so a replacement never
passes through a state that others take for the end of the processor or of the run.
"""

from __future__ import annotations

from buildflow_nb.core.status.snapshot import State
from buildflow_nb.runtime.observability.ledger import Ledger

__all__ = ("Liveness",)


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
