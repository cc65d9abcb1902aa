"""An operation while it goes on: a table of resources in a terminal, lines in a pipe, or JSON.

The first error is left for the end, where it is the reason and is told once.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from buildflow_nb.cli.output.terminal import Terminal, plain
from buildflow_nb.core.status.operations import Diagnostic, Operation, OperationEvent, Outcome
from buildflow_nb.infra.report import line, plan_text

if TYPE_CHECKING:
    from buildflow_nb.cli.output.operation_view import ResourceView

__all__ = ("Progress", "progress_of")


class Progress(Protocol):
    """Hears the events of an operation."""

    def __call__(self, event: OperationEvent) -> None:
        """Hear one."""

    def pause(self) -> None:
        """Stop moving: something is asked."""

    def plan(self, outcome: Outcome) -> None:
        """Show a plan."""


@contextmanager
def progress_of(terminal: Terminal, operation: Operation) -> Iterator[Progress]:
    """What tells of an operation in this terminal, until it has ended."""
    if terminal.json:
        yield _Documents(terminal, operation)
    elif terminal.lively:
        from buildflow_nb.cli.output.operation_view import ResourceView

        view: ResourceView = ResourceView(terminal.console(), operation)
        with view:
            yield view
    else:
        yield _Lines(terminal, operation)


class _FirstError:
    """Tells whether an event is the first error."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    def __call__(self, event: OperationEvent) -> bool:
        if not isinstance(event, Diagnostic) or event.severity != "error":
            return False
        with self._lock:
            self._count += 1
            return self._count == 1


class _Lines:
    """Each event in a line; of a preview only what the engine has to say."""

    def __init__(self, terminal: Terminal, operation: Operation) -> None:
        self._terminal = terminal
        self._kinds = (Diagnostic,) if operation is Operation.PREVIEW else (object,)
        self._first_error = _FirstError()

    def __call__(self, event: OperationEvent) -> None:
        if self._first_error(event):
            return
        text = line(event)
        if text and isinstance(event, self._kinds):
            self._terminal.say(text)

    def pause(self) -> None:
        """Lines do not move."""

    def plan(self, outcome: Outcome) -> None:
        """The plan as text."""
        self._terminal.say(plan_text(outcome))


class _Documents:
    """Each event as a line of JSON; a preview is one document, which its command gives."""

    def __init__(self, terminal: Terminal, operation: Operation) -> None:
        self._terminal = terminal
        self._quiet = operation is Operation.PREVIEW

    def __call__(self, event: OperationEvent) -> None:
        found = plain(event)
        if not self._quiet and isinstance(found, dict):
            self._terminal.line({"event": type(event).__name__, **found})

    def pause(self) -> None:
        """Nothing moves."""

    def plan(self, outcome: Outcome) -> None:
        """What is asked about is told to a person."""
        sys.stderr.write(f"{plan_text(outcome)}\n")
