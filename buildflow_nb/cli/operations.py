"""Cloud resources: preview, apply, refresh and destroy, told resource by resource."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from buildflow_nb.cli.entry import flow_asked
from buildflow_nb.cli.output.operation import Progress, progress_of
from buildflow_nb.cli.output.terminal import Terminal
from buildflow_nb.core.status.operations import Operation, Outcome
from buildflow_nb.flow import Flow
from buildflow_nb.infra.ask import answer, ask
from buildflow_nb.infra.report import headline, plan_text

__all__ = ("apply", "destroy", "preview", "refresh")

Values = Mapping[str, Any]


def preview(values: Values, terminal: Terminal) -> None:
    """What apply would do."""
    flow = _flow(values, terminal)
    with progress_of(terminal, Operation.PREVIEW) as progress:
        outcome = flow.preview(progress)
    if terminal.json:
        plan = {"summary": outcome.summary, "steps": outcome.steps, "review": outcome.review}
        terminal.line(plan)
    else:
        progress.plan(outcome)


def apply(values: Values, terminal: Terminal) -> None:
    """Make it as declared."""
    flow = _flow(values, terminal)
    with progress_of(terminal, Operation.APPLY) as progress:
        outcome = flow.apply(
            yes=values["yes"],
            delete=values["delete"],
            confirm=_Confirm(terminal, progress),
            listener=progress,
        )
    _end(outcome, terminal, progress)


def refresh(values: Values, terminal: Terminal) -> None:
    """Look at the cloud."""
    flow = _flow(values, terminal)
    with progress_of(terminal, Operation.REFRESH) as progress:
        flow.refresh(progress)


def destroy(values: Values, terminal: Terminal) -> None:
    """Delete everything of the stack."""
    flow = _flow(values, terminal)
    with progress_of(terminal, Operation.DESTROY) as progress:
        outcome = flow.destroy(
            yes=values["yes"],
            delete=values["delete"],
            confirm=_Confirm(terminal, progress),
            listener=progress,
        )
    _end(outcome, terminal, progress)


def _flow(values: Values, terminal: Terminal) -> Flow:
    """The flow; a person reads on which stack and cloud it is about to be looked at or changed."""
    flow = flow_asked(values)
    terminal.note(flow.place.stack.caution or f"on stack {flow.place.stack.said}")
    return flow


class _Confirm:
    """The question before something is changed; what is asked is no answer for a program."""

    def __init__(self, terminal: Terminal, progress: Progress) -> None:
        self._terminal = terminal
        self._progress = progress

    def __call__(self, plan: Outcome) -> bool:
        self._progress.pause()
        if self._terminal.lively:
            self._progress.plan(plan)
            return answer(plan)
        if not self._terminal.json:
            return ask(plan)
        sys.stderr.write(f"{plan_text(plan)}\n")
        return answer(plan, _read_beside)


def _read_beside(text: str) -> str:
    """Ask on stderr, since stdout belongs to a program."""
    sys.stderr.write(text)
    sys.stderr.flush()
    return input()


def _end(outcome: Outcome, terminal: Terminal, progress: Progress) -> None:
    """Where the plan had nothing in it, no event has told how it ended."""
    if outcome.nothing_to_do and outcome.summary.operation is Operation.PREVIEW:
        if terminal.json:
            progress(outcome.summary)
        else:
            terminal.say(headline(outcome))
