"""An operation while it goes on: lines, JSON, or a table that changes."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from buildflow_nb.cli.operations import _Confirm
from buildflow_nb.cli.output.operation import progress_of
from buildflow_nb.cli.output.operation_view import ResourceView
from buildflow_nb.cli.output.terminal import Terminal
from buildflow_nb.core.status.operations import (
    Diagnostic,
    Op,
    Operation,
    Outcome,
    Result,
    Step,
    StepDone,
    StepFailed,
    StepPlanned,
    StepStarted,
    Summary,
)

QUEUE = Step("urn:q", Op.CREATE, "aws:sqs/queue:Queue", "orders", "SQSQueue orders")
OWNER = Step("urn:o", Op.CREATE, "buildflow:SQSQueue", "orders", "SQSQueue orders")
BUCKET = Step("urn:b", Op.DELETE, "aws:s3/bucket:Bucket", "old", "S3Bucket old")
DONE = Summary(Operation.APPLY, Result.DONE, {Op.CREATE: 1}, 0, 1.25)
EVENTS = (
    StepPlanned(OWNER),
    StepPlanned(QUEUE),
    StepPlanned(BUCKET),
    StepStarted(QUEUE),
    StepStarted(BUCKET),
    Diagnostic("warning", "[odd] markup is text"),
    StepDone(QUEUE, 0.5),
    StepFailed(BUCKET),
    Diagnostic("error", "the first error"),
    Diagnostic("error", "the second error"),
    DONE,
)


def test_lines_leave_the_first_error_for_the_end(capsys):
    with progress_of(Terminal(), Operation.APPLY) as progress:
        for event in EVENTS:
            progress(event)
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "warning: [odd] markup is text",
        "+ aws:sqs/queue:Queue orders created",
        "! aws:s3/bucket:Bucket old failed",
        "error: the second error",
        "1 created in 1.2 s",
    ]


def test_a_preview_in_lines_is_its_plan(capsys):
    with progress_of(Terminal(), Operation.PREVIEW) as progress:
        progress(StepPlanned(QUEUE))
        progress(Summary(Operation.PREVIEW, Result.DONE, {Op.CREATE: 1}))
        assert capsys.readouterr().out == ""
        summary = Summary(Operation.PREVIEW, Result.DONE, {Op.CREATE: 1})
        progress.plan(Outcome(summary, (StepPlanned(QUEUE),)))
    assert capsys.readouterr().out.splitlines()[0] == "1 to create"


def test_documents_are_one_for_each_event(capsys):
    with progress_of(Terminal(json=True), Operation.APPLY) as progress:
        for event in EVENTS:
            progress(event)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["event"] for one in found] == [type(event).__name__ for event in EVENTS]
    assert found[1]["step"]["op"] == "create"
    assert found[-1] == {
        "event": "Summary",
        "operation": "apply",
        "result": "done",
        "changes": {"create": 1},
        "unchanged": 0,
        "seconds": 1.25,
        "error": "",
        "text": "",
        "mark": "",
        "primitives": None,
        "kept": 0,
    }


def test_a_preview_in_json_has_no_events(capsys):
    with progress_of(Terminal(json=True), Operation.PREVIEW) as progress:
        progress(StepPlanned(QUEUE))
        progress.plan(Outcome(DONE))
    out, error = capsys.readouterr()
    assert (out, "created" in error) == ("", True)


@pytest.fixture
def console():
    return Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)


def shown(view, console):
    """The table as it stands."""
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_the_table_has_each_resource_in_its_state(console):
    view = ResourceView(console, Operation.APPLY)
    with view:
        for event in EVENTS[:5]:
            view(event)
        now = shown(view, console)
        assert "… + aws:sqs/queue:Queue orders creating" in now
        assert "buildflow:SQSQueue" not in now, "the primitive itself is no resource"
        for event in EVENTS[5:]:
            view(event)
    rows = [line.rstrip() for line in shown(view, console).splitlines() if line.strip()]
    assert rows == [
        "✓ + aws:sqs/queue:Queue orders created 0.5 s",
        "✕ - aws:s3/bucket:Bucket old   delete failed",
    ]
    said = console.file.getvalue()
    assert "warning: [odd] markup is text" in said
    assert "the first error" not in said
    assert "error: the second error" in said
    assert said.endswith("1 created in 1.2 s\n"), "the summary stands at the end"


def test_it_stands_still_while_something_is_asked(console):
    view = ResourceView(console, Operation.APPLY)
    with view:
        view.pause()
        assert not view._live.is_started
        view.plan(Outcome(DONE, (StepPlanned(QUEUE),)))
        view(StepStarted(QUEUE))
        assert view._live.is_started
    assert not view._live.is_started
    assert "SQSQueue orders\n" in console.file.getvalue()


def test_a_preview_leaves_its_plan_alone(console):
    view = ResourceView(console, Operation.PREVIEW)
    with view:
        view(StepPlanned(QUEUE))
        view(Summary(Operation.PREVIEW, Result.DONE, {Op.CREATE: 1}))
    view.plan(Outcome(DONE, (StepPlanned(QUEUE),)))
    assert console.file.getvalue().count("1 created") == 1


class Plan:
    """What a face is told while something is asked."""

    def __init__(self):
        self.told = []

    def __call__(self, event):
        self.told.append(event)

    def pause(self):
        self.told.append("pause")

    def plan(self, outcome):
        self.told.append(outcome)


@pytest.mark.parametrize(("said", "agreed"), [("y", True), ("", False)])
def test_a_person_sees_the_plan_and_is_asked(monkeypatch, said, agreed):
    asked = []

    def read(text):
        asked.append(text)
        return said

    monkeypatch.setattr("builtins.input", read)
    terminal, face = Terminal(), Plan()
    terminal.lively = True
    plan = Outcome(DONE, (StepPlanned(QUEUE),))
    assert _Confirm(terminal, face)(plan) is agreed
    assert face.told == ["pause", plan]
    assert asked == ["Apply this change? [y/N] "]


def test_a_program_is_asked_beside_its_answer(monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda: "yes")
    face = Plan()
    assert _Confirm(Terminal(json=True), face)(Outcome(DONE, (StepPlanned(QUEUE),)))
    out, error = capsys.readouterr()
    assert out == ""
    assert "SQSQueue orders\n" in error
    assert error.endswith("Apply this change? [y/N] ")
