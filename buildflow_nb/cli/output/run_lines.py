"""A run in plain lines: for a pipe, a container's log, and a terminal that has no colours.

What processors print goes where it always goes. A flood of failures is counted, not listed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

from buildflow_nb.cli.output.terminal import Terminal
from buildflow_nb.core.events import ElementFailed, Event, StateChanged
from buildflow_nb.core.status.snapshot import FlowSnapshot, State, harmless, run_text, served_text
from buildflow_nb.runtime.handle import RunHandle
from buildflow_nb.runtime.observability.logs import LogLine

__all__ = ("LogTail", "RunLines")

FAILURES = 10  # lines in each period
PERIOD_S = 5.0
_QUIET = (State.PENDING, State.STARTING)


class RunLines:
    """Says what changes."""

    def __init__(self, terminal: Terminal, clock: Callable[[], float] = time.monotonic) -> None:
        self._terminal = terminal
        self._clock = clock
        self._since = clock()
        self._told = 0
        self._more: dict[str, int] = {}

    def open(self) -> AbstractContextManager[None]:
        """Lines need nothing."""
        return nullcontext()

    def begin(self, handle: RunHandle) -> None:
        """Which flow runs, and where it answers."""
        self._terminal.say(served_text(handle.snapshot(), handle.runtime_address))

    def tell(self, event: Event) -> None:
        """A state, or a failure."""
        if isinstance(event, StateChanged):
            if event.processor_id is not None and event.state not in _QUIET:
                reason = f": {harmless(event.reason)}" if event.reason else ""
                self._terminal.say(f"{event.processor_id} is {event.state.value}{reason}")
        elif isinstance(event, ElementFailed):
            self._failed(event)

    def look(self, handle: RunHandle) -> None:  # noqa: ARG002  (a face's signature)
        """Count what was too much to list."""
        if self._clock() - self._since >= PERIOD_S:
            self._count()

    def end(self, snapshot: FlowSnapshot, lost: int) -> None:
        """The numbers of every processor."""
        self._count()
        if lost:
            self._terminal.say(f"{lost:,} events came too fast to be told")
        self._terminal.say(run_text(snapshot))

    def _failed(self, event: ElementFailed) -> None:
        failure = event.failure
        self._told += 1
        if self._told <= FAILURES:
            error = harmless(failure.error)
            where = f"{harmless(failure.origin)}: " if failure.origin else ""
            self._terminal.say(
                f"{failure.processor_id}: an element failed: {where}{error} ({failure.fate})"
            )
        else:
            self._more[failure.processor_id] = self._more.get(failure.processor_id, 0) + 1

    def _count(self) -> None:
        for name, count in self._more.items():
            self._terminal.say(f"{name}: {count:,} more elements failed")
        self._more.clear()
        self._told, self._since = 0, self._clock()


class LogTail:
    """Remembers, for each processor, how far its ring was read."""

    def __init__(self) -> None:
        self._read: dict[str, int] = {}

    def new(self, handle: RunHandle) -> Iterator[tuple[str, LogLine]]:
        """The lines that are new, with the processor's id, oldest first."""
        found: list[tuple[str, LogLine]] = []
        for shot in handle.snapshot().processors:
            lines = handle.logs(shot.processor_id, self._read.get(shot.processor_id, 0))
            if lines:
                self._read[shot.processor_id] = lines[-1].number
                found += [(shot.processor_id, line) for line in lines]
        yield from sorted(found, key=lambda pair: pair[1].at)
