"""Tells whether a run has got somewhere that nothing announces: drained, or so many done."""

from __future__ import annotations

import time

from buildflow_nb.core.snapshot import FlowSnapshot, State

__all__ = ("Watch", "finished")

_NOT_YET = (State.STARTING, State.WAITING)  # what cannot be read now may hold anything
IDLE_S = 0.5  # an endless source without backlog is drained when nothing came for so long


class Watch:
    """Tells whether nothing is left to do, also for sources that never end."""

    def __init__(self) -> None:
        self._seen = -1
        self._since = time.monotonic()

    def drained(self, snapshot: FlowSnapshot) -> bool:
        """Whether nothing is in flight and nothing more comes."""
        total = sum(p.elements_in for p in snapshot.processors)
        if total != self._seen:
            self._seen, self._since = total, time.monotonic()
        consumers = [p for p in snapshot.processors if p.kind == "consumer"]
        if any(p.in_flight or p.state in _NOT_YET for p in snapshot.processors):
            return False
        if all(p.state.ended for p in consumers):
            return True
        idle = time.monotonic() - self._since >= IDLE_S
        return idle and not any(p.backlog for p in consumers if not p.state.ended)


def finished(snapshot: FlowSnapshot) -> int:
    """Elements that are done with, over all processors."""
    return sum(p.elements_in - p.in_flight for p in snapshot.processors)
