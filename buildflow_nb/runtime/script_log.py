"""What a run says where no face shows it: `python main.py` must not be silent over lost elements.

Failures, faults that are waited out and processors that end badly go to the logger
"buildflow_nb.run" as warnings and errors. Without any set-up of logging Python writes those to
stderr; a program that has set logging up gets them where it wants them. A flood of failures is
counted, not listed.
"""

from __future__ import annotations

import logging
from collections import Counter

from buildflow_nb.core.events import ElementFailed, Event, StateChanged
from buildflow_nb.core.snapshot import State
from buildflow_nb.core.snapshot_text import harmless

__all__ = ("ScriptLog",)

LISTED = 10  # failures of a processor that have a line of their own
EACH = 1_000  # of those beyond, a line for so many
_LOGGER = logging.getLogger("buildflow_nb.run")


class ScriptLog:
    """A listener of one run."""

    def __init__(self) -> None:
        self._failed: Counter[str] = Counter()
        self._said: dict[str, tuple[State, str]] = {}

    def __call__(self, event: Event) -> None:
        """Log what a person has to know of."""
        if isinstance(event, ElementFailed):
            self._element_failed(event)
        elif event.processor_id is None:
            self._ended()
        else:
            self._changed(event, event.processor_id)

    def _changed(self, event: StateChanged, name: str) -> None:
        now = (event.state, event.reason)
        if not event.reason or self._said.get(name) == now:
            return
        self._said[name] = now
        level = logging.ERROR if event.state is State.FAILED else logging.WARNING
        _LOGGER.log(level, "%s is %s: %s", name, event.state.value, harmless(event.reason))

    def _element_failed(self, event: ElementFailed) -> None:
        failure = event.failure
        name, where = failure.processor_id, f"{failure.origin}: " if failure.origin else ""
        self._failed[name] += 1
        count = self._failed[name]
        if count <= LISTED:
            error = harmless(failure.error)
            _LOGGER.warning("%s: an element failed: %s%s (%s)", name, where, error, failure.fate)
        elif count % EACH == 0:
            _LOGGER.warning("%s: %s elements failed until now", name, f"{count:,}")

    def _ended(self) -> None:
        for name, count in self._failed.items():
            plural = "s" if count > 1 else ""
            _LOGGER.warning("%s: %s element%s failed in all", name, f"{count:,}", plural)
