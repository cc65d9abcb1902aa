"""An operation under a cell: the plan, and then step by step how it goes.

The view is a card of HTML with a text twin, replaced a few times a second while the operation
runs; what stays in the saved notebook is its end. What is counted, in the title, in the rows and in
the progress, are primitives; their cloud resources are folded beneath.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from buildflow_nb.cockpit.views import markup
from buildflow_nb.cockpit.views.markup import quote
from buildflow_nb.cockpit.views.plan_html import plan_html
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
from buildflow_nb.core.status.plan import Change, Review, changes_of, counts_of
from buildflow_nb.infra.report import (
    SIGNS,
    headline,
    line,
    lost,
    plan_text,
    warnings,
)

__all__ = ("OperationView",)

EVERY_S = 0.25  # between two updates of the view
_MARKS = {"err": "✕ ", "warn": "▲ "}
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
        self._review: Review | None = None

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
        self._review = outcome.review
        self._said.clear()  # the outcome has all of it
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
            outcome = self._outcome(self._summary)
            rest, told = plan_text(outcome).splitlines()[1:], len(lost(self._review))
            lines = [head, *rest[:told], *self._warned, *rest[told:]]
            return "\n".join(filter(None, lines))
        rows = [
            f"  {SIGNS[change.op]} {change.owner}  {self.state_of(change)}"
            for change in self.changes
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
        """What would be lost, the changes, what was said and what it costs, as HTML."""
        said = "\n".join(filter(None, (line(event) for event in self._said)))
        spoken = f'<pre class="wrap {self._tone()}">{quote(said)}</pre>' if said else ""
        states = None
        if self._operation is not Operation.PREVIEW:
            states = {change.owner: self.state_of(change) for change in self.changes}
        return plan_html(self.title, self.changes, self._review, self._warned, states) + spoken

    @property
    def changes(self) -> tuple[Change, ...]:
        """What is changed, by primitive, what goes first."""
        return changes_of(step for step, _ in self._steps.values())

    @property
    def counts(self) -> Mapping[Op, int]:
        """How many primitives are changed how."""
        return counts_of(self.changes)

    def progress(self) -> tuple[int, int, str]:
        """How many primitives are done, of how many, and what is under way."""
        changes = self.changes
        done = [one for one in changes if self.state_of(one).endswith(" s")]
        now = [f"{one.op.value} {one.name}" for one in changes if self.state_of(one) == "…"]
        return len(done), len(changes), ", ".join(now[:3])

    def state_of(self, change: Change) -> str:
        """How far a primitive is: the state of its resources, or the seconds that they took."""
        states = [self._steps[step.urn][1] for step in change.steps]
        for state in ("failed", "…", "interrupted", "planned"):
            if state in states:
                under_way = state == "planned" and any(one.endswith(" s") for one in states)
                return "…" if under_way and self._summary is None else state
        return f"{max(float(state.removesuffix(' s')) for state in states if state):.1f} s"

    def _outcome(self, summary: Summary) -> Outcome:
        counted = summary
        if summary.primitives is None and self._steps:
            counted = replace(summary, primitives=self.counts, kept=summary.unchanged)
        events = tuple(StepPlanned(step) for step, _ in self._steps.values())
        return Outcome(counted, events, review=self._review)

    def _headline(self) -> str:
        if self._summary is None:
            return "running …"
        told = self._summary.error or headline(self._outcome(self._summary))
        return f"{self._share()}{told}" if self._summary.error else told

    def _share(self) -> str:
        """How much was done of what failed or was interrupted: "12 of 124 done; "."""
        done, total, _ = self.progress()
        if not done or self._operation is Operation.PREVIEW:
            return ""
        return f"{done} of {total} done; "

    def _chip(self) -> str:
        return f'<span class="{self._tone()}">{quote(self._headline(), 300)}</span>'

    def _tone(self) -> str:
        tones: Mapping[Result, str] = {Result.DONE: "ok", Result.FAILED: "err"}
        if self._summary is None:
            return "info"
        if self._operation is Operation.PREVIEW and self._summary.changes.get(Op.DELETE):
            return "err"  # what is to be deleted is no good news
        return tones.get(self._summary.result, "warn")
