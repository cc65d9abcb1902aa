"""A run as lines of JSON: states, failures, what processors print and log, and how it ended.

Elements are told as their repr, as failures keep them; nothing is evaluated.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from buildflow_nb.cli.output.run_lines import LogTail
from buildflow_nb.cli.output.terminal import Terminal
from buildflow_nb.core.events import ElementFailed, Event
from buildflow_nb.core.status.snapshot import FlowSnapshot
from buildflow_nb.runtime.handle import RunHandle
from buildflow_nb.runtime.observability.logs import captured

__all__ = ("RunDocuments",)


class RunDocuments:
    """Writes a document for each thing that happens."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._tail = LogTail()

    def open(self) -> AbstractContextManager[None]:
        """What processors print is told as documents, too."""
        return captured()

    def begin(self, handle: RunHandle) -> None:
        """Which flow runs, and where it answers."""
        snapshot = handle.snapshot()
        self._terminal.line(
            {
                "event": "started",
                "flow_id": snapshot.flow_id,
                "stack": snapshot.stack,
                "address": snapshot.address,
                "runtime_address": handle.runtime_address,
                "processors": [one.processor_id for one in snapshot.processors],
            }
        )

    def tell(self, event: Event) -> None:
        """A state, or a failure."""
        if isinstance(event, ElementFailed):
            failure = event.failure
            self._terminal.line(
                {
                    "event": "failure",
                    "at": failure.at,
                    "processor_id": failure.processor_id,
                    "element": repr(failure.element),
                    "error": failure.error,
                    "fate": failure.fate,
                }
            )
        else:
            self._terminal.line(
                {
                    "event": "state",
                    "at": event.at,
                    "processor_id": event.processor_id,
                    "state": event.state,
                    "reason": event.reason,
                }
            )

    def look(self, handle: RunHandle) -> None:
        """What was printed and logged since."""
        for name, line in self._tail.new(handle):
            self._terminal.line(
                {
                    "event": "log",
                    "at": line.at,
                    "processor_id": name,
                    "level": line.level,
                    "text": line.text,
                }
            )

    def end(self, snapshot: FlowSnapshot, lost: int) -> None:
        """How it ended, with every number."""
        self._terminal.line({"event": "ended", "lost_events": lost, "snapshot": snapshot})
