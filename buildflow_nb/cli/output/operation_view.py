"""An operation in a terminal: every resource in a line that changes until it is done.

The engine tells on threads of its own; rich draws on one of its own, eight times a second.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from buildflow_nb.core.status.operations import (
    Diagnostic,
    Op,
    Operation,
    OperationEvent,
    Outcome,
    Step,
    StepDone,
    StepFailed,
    StepPlanned,
    StepStarted,
    Summary,
)
from buildflow_nb.infra.report import SIGNS, line, plan_text

__all__ = ("ResourceView",)

COLOURS = {
    Op.CREATE: "green",
    Op.UPDATE: "yellow",
    Op.REPLACE: "magenta",
    Op.DELETE: "red",
    Op.READ: "cyan",
}
_BY_SIGN = {SIGNS[op]: colour for op, colour in COLOURS.items()}
_WORDS = {
    Op.CREATE: {"planned": "to create", "working": "creating", "done": "created"},
    Op.UPDATE: {"planned": "to update", "working": "updating", "done": "updated"},
    Op.REPLACE: {"planned": "to replace", "working": "replacing", "done": "replaced"},
    Op.DELETE: {"planned": "to delete", "working": "deleting", "done": "deleted"},
    Op.READ: {"planned": "to read", "working": "reading", "done": "read"},
}
_DOING = {
    Operation.PREVIEW: "looking at what would change",
    Operation.APPLY: "applying",
    Operation.REFRESH: "looking at the cloud",
    Operation.DESTROY: "destroying",
}


@dataclass
class _Row:
    step: Step
    state: str  # "planned", "working", "done" or "failed"
    began: float = 0.0
    seconds: float = 0.0


class ResourceView:
    """The live table; a context while the operation goes on."""

    def __init__(self, console: Console, operation: Operation) -> None:
        self._console = console
        self._operation = operation
        self._rows: dict[str, _Row] = {}
        self._lock = threading.Lock()
        self._errors = 0
        self._summary = ""
        self._spinner = Spinner("dots", text=f" {_DOING[operation]}")
        self._ended = False
        self._live = self._made()

    def __enter__(self) -> ResourceView:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended = True
        self._live.stop()
        if self._summary:
            self._console.print(Text(self._summary))

    def __call__(self, event: OperationEvent) -> None:
        """Hear an event, on whatever thread."""
        if not self._live.is_started and not self._ended:
            self._live = self._made()  # the question is answered
            self._live.start()
        with self._lock:
            self._hear(event)
        text = self._said(event)
        if text:
            self._live.console.print(Text(text))

    def pause(self) -> None:
        """Stand still: something is asked."""
        self._live.stop()

    def plan(self, outcome: Outcome) -> None:
        """The plan as text, coloured by what happens."""
        for row in plan_text(outcome).splitlines():
            self._console.print(Text(row, style=_BY_SIGN.get(row.strip()[:1], "")))

    def __rich__(self) -> RenderableType:
        with self._lock:
            rows = list(self._rows.values())
        table = Table.grid(padding=(0, 1))
        for row in rows:
            table.add_row(*_cells(row))
        return Group(table) if self._ended else Group(table, self._spinner)

    def _made(self) -> Live:
        transient = self._operation is Operation.PREVIEW
        return Live(self, console=self._console, refresh_per_second=8, transient=transient)

    def _hear(self, event: OperationEvent) -> None:
        if not isinstance(event, (StepPlanned, StepStarted, StepDone, StepFailed)):
            return
        step = event.step
        if step.of_primitive or step.op is Op.SAME or self._operation is Operation.PREVIEW:
            return
        row = self._rows.setdefault(step.urn, _Row(step, "planned"))
        if isinstance(event, StepStarted):
            row.state, row.began = "working", time.monotonic()
        elif isinstance(event, StepDone):
            row.state, row.seconds, row.step = "done", event.seconds, step
        elif isinstance(event, StepFailed):
            row.state = "failed"

    def _said(self, event: OperationEvent) -> str:
        """What is no step: warnings, all errors but the first, the summary."""
        if isinstance(event, Diagnostic) and event.severity == "error":
            self._errors += 1
            if self._errors == 1:
                return ""
        if isinstance(event, (StepPlanned, StepStarted, StepDone, StepFailed)):
            return ""
        if isinstance(event, Summary):
            self._summary = "" if self._operation is Operation.PREVIEW else line(event)
            return ""
        return line(event)


def _cells(row: _Row) -> tuple[Text, Text, Text, Text]:
    colour = COLOURS.get(row.step.op, "")
    seconds = row.seconds or (time.monotonic() - row.began if row.state == "working" else 0.0)
    marks = {
        "planned": Text("·", "dim"),
        "working": Text("…", colour),
        "done": Text("✓", "green"),
        "failed": Text("✕", "bold red"),
    }
    name = Text.assemble((row.step.type, "dim"), " ", row.step.name)
    told = _WORDS.get(row.step.op, {}).get(row.state, f"{row.step.op.value} {row.state}")
    took = f" {seconds:.1f} s" if seconds >= 0.05 else ""  # noqa: PLR2004  (shown as 0.0)
    return marks[row.state], Text(SIGNS.get(row.step.op, " "), colour), name, Text(told + took)
