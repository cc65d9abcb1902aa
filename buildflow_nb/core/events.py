"""What happens, as data; faces (widget, command line, plain text) each render the same events.

Listeners are called on the thread that makes the event and must return at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from buildflow_nb.core.status.snapshot import Failure, State

__all__ = ("ElementFailed", "Event", "Listener", "StateChanged")


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A processor, or the run as a whole (`processor_id` is None), entered a state.

    `at` is seconds since the epoch.
    """

    at: float
    processor_id: str | None
    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class ElementFailed:
    """An element failed for good."""

    failure: Failure


Event = StateChanged | ElementFailed
Listener = Callable[[Event], None]
