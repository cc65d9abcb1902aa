"""An operation under a cell: the plan, and then step by step how it goes.

The view is a card of HTML with a text twin, replaced a few times a second while the operation
runs; what stays in the saved notebook is its end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from buildflow_nb.cockpit.views import markup
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.core.status.operations import (
    Op,
    Operation,
    OperationEvent,
    Outcome,
    Result,
    Step,
    StepDone,
    StepFailed,
    StepPlanned,
    StepStarted,
    Summary,
)
from buildflow_nb.infra.report import (
    SIGNS,
    changed,
    grouped,
    headline,
    line,
    plan_text,
    warnings,
)

__all__ = ("OperationView",)

EVERY_S = 0.25  # between two updates of the view
_TONES = {Op.CREATE: "ok", Op.UPDATE: "warn", Op.REPLACE: "warn", Op.DELETE: "err"}
_MARKS = {"err": "✕ ", "warn": "▲ "}
_HEADS: list[markup.Cell] = [("change", "l"), ("resource", "l"), ("state", "")]
_STATES = {StepPlanned: "planned", StepStarted: "…", StepFailed: "failed"}
_AT_LAST = {"…": "interrupted"}  # of a step that the end of the operation finds under way


class OperationView:
    """What a cell shows of one operation; hears its events on the kernel's main thread."""

    def __init__(self, operation: Operation, stack: str) -> None:
        self.title = f"{operation.value} · stack {stack}"
        self.stack = stack
        self._operation = operation
        self._steps: dict[str, tuple[Step, str]] = {}
        self._said: list[OperationEvent] = []
        self._summary: Summary | None = None
        self._shown_at = 0.0
        self._handle: object = None
        self._warned: list[str] = []

    @property
    def has_steps(self) -> bool:
        """Whether a step was told of."""
        return bool(self._steps)

    def hear(self, event: OperationEvent) -> None:
        """Take in one event, and show it soon."""
        self.note(event)
        if isinstance(event, Summary) or time.monotonic() - self._shown_at > EVERY_S:
            self.show()

    def note(self, event: OperationEvent) -> None:
        """Take in one event."""
        if isinstance(event, (StepPlanned, StepStarted, StepDone, StepFailed)):
            taken = f"{event.seconds:.1f} s" if isinstance(event, StepDone) else ""
            state = taken or _STATES.get(type(event), "")
            self._steps[event.step.urn] = (event.step, state)
        elif isinstance(event, Summary):
            self._summary = event
            for urn, (step, state) in self._steps.items():
                self._steps[urn] = (step, _AT_LAST.get(state, state))
        else:
            self._said.append(event)

    def take(self, outcome: Outcome, *, show: bool = True) -> None:
        """Take in an operation that has ended, and show it."""
        self._warned = warnings(outcome.deletions)
        for event in (*outcome.events, outcome.summary):
            self.note(event)
        if show:
            self.show()

    def show(self) -> None:
        """Show the view under the cell, or replace what is shown."""
        from IPython.display import display, update_display

        self._shown_at = time.monotonic()
        bundle = self.bundle()
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            shown = self._handle.display_id  # type: ignore[attr-defined]
            update_display(bundle, raw=True, display_id=shown)  # type: ignore[no-untyped-call]

    def bundle(self) -> dict[str, str]:
        """Both forms, by MIME type."""
        return {"text/html": self.html(), "text/plain": self.text()}

    def text(self) -> str:
        """The operation as text."""
        head = f"{self.title}: {self._headline()}"
        if self._operation is Operation.PREVIEW and self._summary is not None:
            head, _, rest = plan_text(self._outcome(self._summary)).partition("\n")
            return "\n".join(filter(None, (f"{self.title}: {head}", *self._warned, rest)))
        rows = [
            f"  {SIGNS[step.op]} {step.type} {step.name}  {state}"
            for step, state in self._ordered()
            if not step.of_primitive
        ]
        return "\n".join([head, *rows, *filter(None, (line(event) for event in self._said))])

    def html(self) -> str:
        """The operation as a card."""
        header = f"<b>{quote(self.title)}</b><span class='grow'></span>{self._chip()}"
        return markup.card(self.title, header, self.body())

    def stands(self) -> tuple[str, str]:
        """How it stands, in one line, and in which tone."""
        shape = _MARKS.get(self._tone(), "")
        return f"{shape}{self._headline()}", self._tone() if shape else "mute"

    def body(self) -> str:
        """The steps, and what was said, as HTML."""
        rows = [row for step, state in self._ordered() for row in _rows(step, state)]
        body = "".join(f'<div class="err pad">{quote(one)}</div>' for one in self._warned)
        body += markup.table(self.title, _HEADS, rows) if rows else ""
        said = "\n".join(filter(None, (line(event) for event in self._said)))
        if said:
            body += f'<pre class="wrap {self._tone()}">{quote(said)}</pre>'
        return body

    def _ordered(self) -> list[tuple[Step, str]]:
        """Primitives, each with its resources below it."""
        steps = grouped(step for step, _ in self._steps.values())
        return [self._steps[step.urn] for _, group in steps for step in group]

    def _outcome(self, summary: Summary) -> Outcome:
        return Outcome(summary, tuple(StepPlanned(step) for step, _ in self._steps.values()))

    def _headline(self) -> str:
        if self._summary is None:
            return "running …"
        told = self._summary.error or headline(self._outcome(self._summary))
        return f"{self._share()}{told}" if self._summary.error else told

    def _share(self) -> str:
        """How much was done of what failed or was interrupted: "12 of 124 done; "."""
        steps = [
            (step, state)
            for step, state in self._steps.values()
            if step.op in SIGNS and not step.of_primitive
        ]
        done = [step for step, state in steps if state.endswith(" s")]
        if not done or self._operation is Operation.PREVIEW:
            return ""
        return f"{len(done)} of {len(steps)} done; "

    def _chip(self) -> str:
        return f'<span class="{self._tone()}">{quote(self._headline(), 300)}</span>'

    def _tone(self) -> str:
        tones: Mapping[Result, str] = {Result.DONE: "ok", Result.FAILED: "err"}
        if self._summary is None:
            return "info"
        if self._operation is Operation.PREVIEW and self._summary.changes.get(Op.DELETE):
            return "err"  # what is to be deleted is no good news
        return tones.get(self._summary.result, "warn")


def _rows(step: Step, state: str) -> list[list[markup.Cell]]:
    tone = _TONES.get(step.op, "mute")
    sign = f'<span class="{tone}">{SIGNS.get(step.op, "")} {step.op.value}</span>'
    if step.of_primitive:  # a heading: what is counted are resources
        sign, state = "", ""
    name = quote(step.owner) if step.of_primitive else f"{quote(step.type)} {quote(step.name)}"
    shown = f"<b>{name}</b>" if step.of_primitive else f"&emsp;{name}"
    changes = "".join(
        f"<br>&emsp;&emsp;<code>{quote(changed(change))}</code>" for change in step.changes
    )
    return [[(sign, "l"), (shown + changes, "w"), (quote(state), "mute")]]
