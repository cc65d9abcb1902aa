"""A run in a terminal: processors with their states, rates and failures, and the last log lines.

What processors print is shown below the table, the last ten lines of it; what anybody else prints
moves past above. Once the run has ended, the table stays as it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from buildflow_nb.cli.output.run_lines import LogTail
from buildflow_nb.core.events import ElementFailed, Event
from buildflow_nb.core.status.snapshot import (
    FlowSnapshot,
    ProcessorSnapshot,
    State,
    harmless,
    served_text,
)
from buildflow_nb.runtime.handle import RunHandle
from buildflow_nb.runtime.observability.logs import captured

__all__ = ("RunView",)

LINES = 10
LONGEST = 500  # characters of a line; a terminal crops what is wider than it
_STYLES = {
    State.RUNNING: "green",
    State.WAITING: "yellow",
    State.DRAINING: "yellow",
    State.DONE: "cyan",
    State.FAILED: "bold red",
}


class RunView:
    """The live table."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="ellipsis")
        self._lines: deque[Text] = deque(maxlen=LINES)
        self._tail = LogTail()
        self._runtime_address: str | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Take the terminal; rich first, so that what processors print passes it by."""
        with self._live, captured():
            self._console.show_cursor(True)  # a run that is ended at once could not bring it back
            yield

    def begin(self, handle: RunHandle) -> None:
        """Show it."""
        self._runtime_address = handle.runtime_address
        self.look(handle)

    def tell(self, event: Event) -> None:
        """A failure is a line; a state is in the table."""
        if isinstance(event, ElementFailed):
            failure = event.failure
            text = f"{failure.error} ({failure.fate})"
            self._add(failure.processor_id, "FAILED", text)

    def look(self, handle: RunHandle) -> None:
        """Draw it anew."""
        for name, line in self._tail.new(handle):
            self._add(name, line.level, line.text)
        self._draw(handle.snapshot())

    def end(self, snapshot: FlowSnapshot, lost: int) -> None:
        """Leave the table as it is."""
        if lost:
            self._add("", "", f"{lost:,} events came too fast to be told")
        self._draw(snapshot)

    def _add(self, name: str, level: str, text: str) -> None:
        style = "red" if level in ("ERROR", "CRITICAL", "FAILED", "STDERR") else "dim"
        self._lines.append(Text.assemble((f"{name} ", "bold"), (harmless(text[:LONGEST]), style)))

    def _draw(self, snapshot: FlowSnapshot) -> None:
        head = f"{served_text(snapshot, self._runtime_address)}: {snapshot.state.value}"
        rows: list[RenderableType] = [Text(head), _table(snapshot)]
        for line in self._lines:
            line.no_wrap, line.overflow = True, "ellipsis"
            rows.append(line)
        self._live.update(Group(*rows), refresh=True)


def _table(snapshot: FlowSnapshot) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("processor", "kind", "state"):
        table.add_column(name, no_wrap=name != "state")
    for name in ("in", "out", "failed", "in/s", "p95"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in snapshot.processors:
        table.add_row(*_cells(one))
    return table


def _cells(one: ProcessorSnapshot) -> tuple[Text, ...]:
    reason = f": {harmless(one.reason)}" if one.reason else ""
    state = Text(f"{one.state.value}{reason}", _STYLES.get(one.state, ""))
    p95 = "-" if one.p95_s is None else f"{one.p95_s * 1000:,.1f} ms"
    return (
        Text(one.processor_id, "bold"),
        Text(one.kind),
        state,
        Text(f"{one.elements_in:,}"),
        Text(f"{one.elements_out:,}"),
        Text(f"{one.failed:,}", "red" if one.failed else ""),
        Text(f"{one.in_per_s:,.0f}"),
        Text(p95),
    )
