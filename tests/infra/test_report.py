"""Operations as plain text."""

from __future__ import annotations

import pytest

from buildflow_nb.core.errors import RejectedError, UsageError
from buildflow_nb.core.status.operations import (
    Deletions,
    Diagnostic,
    Op,
    Operation,
    Outcome,
    PropertyChange,
    Result,
    Step,
    StepDone,
    StepFailed,
    StepPlanned,
    Summary,
    Unknown,
)
from buildflow_nb.infra.ask import answer, ask, question
from buildflow_nb.infra.report import gist, headline, line, plan_text, shown_value, told


def resource(op: Op, *changes: PropertyChange) -> Step:
    return Step("u", op, "aws:sqs/queue:Queue", "orders", "SQSQueue orders", changes)


def owner(op: Op) -> Step:
    return Step("c", op, "buildflow:SQSQueue", "orders", "SQSQueue orders")


def plan(*steps: Step, **counts: int) -> Outcome:
    changes = {Op[name.upper()]: count for name, count in counts.items()}
    summary = Summary(Operation.PREVIEW, Result.DONE, changes, unchanged=3)
    return Outcome(summary, tuple(StepPlanned(step) for step in steps))


def test_a_plan():
    change = PropertyChange("visibilityTimeoutSeconds", 30, 60)
    forced = PropertyChange("name", "a", "b", forces_replacement=True)
    gone = PropertyChange("tags.team", "core", None)
    text = plan_text(plan(resource(Op.UPDATE, change, forced, gone), update=1))
    assert text.splitlines() == [
        "1 to update, 3 unchanged",
        "~ SQSQueue orders",
        "    aws:sqs/queue:Queue orders",
        "        visibilityTimeoutSeconds: 30 → 60",
        '        name: "a" → "b"  (forces replacement)',
        '        tags.team: "core" → removed',
    ]


def test_a_primitive_has_the_sign_since_primitives_are_counted():
    text = plan_text(plan(owner(Op.CREATE), resource(Op.CREATE), create=1))
    assert text.splitlines()[1:3] == ["+ SQSQueue orders", "    aws:sqs/queue:Queue orders"]


def test_nothing_to_do_is_said():
    assert headline(plan()) == "nothing to do: 3 resources as declared"
    empty = Summary(Operation.DESTROY, Result.DONE, {}, unchanged=2)
    assert headline(Outcome(empty)) == "nothing to do: the stack is empty"


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (Operation.APPLY, "1 deleted, 2 updated in 1.5 s"),
        (Operation.REFRESH, "1 gone, 2 changed in 1.5 s"),
    ],
)
def test_what_was_done(operation, said):
    summary = Summary(operation, Result.DONE, {Op.DELETE: 1, Op.UPDATE: 2}, seconds=1.5)
    assert headline(Outcome(summary)) == said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("no such thing\nand a traceback", "no such thing"),
        ("python inline source runtime error: no shelf\nTraceback (most", "no shelf"),
        ("1 error occurred:\n\t* creating queue: denied\n\n", "creating queue: denied"),
        ("2 errors occurred:\n    1) no room\n    2) Unknown", "no room"),
    ],
)
def test_the_gist_of_a_message(message, said):
    assert gist(message) == said


def test_lines_of_progress():
    assert line(StepDone(resource(Op.CREATE), 0.2)) == "+ aws:sqs/queue:Queue orders created"
    assert line(StepDone(owner(Op.CREATE), 0.2)) == ""
    assert line(StepFailed(resource(Op.CREATE))) == "! aws:sqs/queue:Queue orders failed"
    assert line(Diagnostic("error", "no")) == "error: no"
    assert line(Diagnostic("info", "recovered")) == "recovered"
    assert line(Diagnostic("info", "chatter", "urn")) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a", '"a"'),
        (["ü", 1, None], '["ü", 1, null]'),
        (Unknown(), "(known after apply)"),
        ([{"arn": Unknown()}], '[{"arn": (known after apply)}]'),
        ("x" * 300, '"' + "x" * 199 + "…"),
    ],
)
def test_values(value, shown):
    assert shown_value(value) == shown


PLAIN = plan(resource(Op.CREATE), create=1)
LOSSES = Outcome(
    Summary(Operation.PREVIEW, Result.DONE, {Op.CREATE: 1, Op.DELETE: 3}),
    deletions=Deletions(3, 1, 0, {"a.ipynb": ("SQSQueue a", "SQSQueue b")}, ("SQSQueue b", "Q c")),
)


@pytest.mark.parametrize(
    ("answers", "agreed"),
    [
        (["delete 3"], True),
        ([" Delete  3 "], True),
        (["y"], False),
        (["yes"], False),
        (["delete 2"], False),
        ([""], False),
    ],
)
def test_what_must_be_typed_is_no_yes(answers, agreed):
    assert answer(LOSSES, said(*answers)) is agreed


def test_deletions_are_told_first_and_counted_in_the_question():
    assert plan_text(LOSSES).splitlines()[:2] == [
        "3 to delete, 1 to create",
        "! this deletes 3 resources: SQSQueue a, SQSQueue b (applied by a.ipynb); "
        "Q c (not declared in this session)",
    ]
    asked = question(LOSSES)
    assert asked == "Apply these 4 changes, 3 of which delete? [type 'delete 3' to do it] "
    few = plan(resource(Op.DELETE), create=2, delete=1)
    assert question(few) == "Apply these 3 changes, 1 of which deletes? [y/N] "


def test_where_nobody_can_type_it_the_way_out_is_named():
    def nobody(_):
        raise EOFError

    with pytest.raises(UsageError, match="add --yes --delete"):
        answer(LOSSES, nobody)


def test_a_warning_names_a_few_of_many():
    many = tuple(f"Q {number}" for number in range(140))
    text = told(Deletions(140, 1, 0, {"a.ipynb": many}))
    assert (
        text == "deletes 140 resources: Q 0, Q 1, Q 2, Q 3, Q 4 and 135 more (applied by a.ipynb)"
    )


def said(*answers: str):
    left = list(answers)
    return lambda _: left.pop(0)


@pytest.mark.parametrize(
    ("answers", "agreed"),
    [(["y"], True), (["YES "], True), (["n"], False), ([""], False), (["what", "no"], False)],
)
def test_answers(answers, agreed, capsys):
    assert answer(PLAIN, said(*answers)) is agreed
    assert ("neither yes nor no" in capsys.readouterr().out) == (answers[0] == "what")


@pytest.mark.parametrize("error", [EOFError, NotImplementedError])
def test_where_nobody_can_answer_it_says_how_to_go_on(error):
    def nobody(_):
        raise error

    with pytest.raises(UsageError, match=r"--yes.*require_confirmation=False"):
        answer(PLAIN, nobody)


def test_an_interrupted_question_changes_nothing():
    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(RejectedError, match="interrupted; nothing was changed"):
        answer(PLAIN, interrupted)


def test_the_question_shows_the_plan_first(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or "y")
    whole = plan(resource(Op.UPDATE), create=1, update=2)
    assert ask(whole)
    assert asked == ["Apply these 3 changes? [y/N] "]
    assert capsys.readouterr().out == f"{plan_text(whole)}\n"
    assert question(plan(resource(Op.CREATE), create=1)) == "Apply this change? [y/N] "
    assert question(plan(resource(Op.DELETE), delete=1)) == "Delete this resource? [y/N] "
    assert question(plan(resource(Op.DELETE), delete=7)) == "Delete these 7 resources? [y/N] "


def test_a_plan_has_the_same_order_whatever_the_engines_was():
    def step(op: Op, owner: str, name: str) -> Step:
        kind, _, _ = owner.partition(" ")
        return Step(f"urn::{kind}::{name}", op, "aws:x:X", name, owner)

    steps = [
        step(Op.DELETE, "A gone", "1"),
        step(Op.CREATE, "C new", "3"),
        step(Op.CREATE, "B new", "2"),
        step(Op.CREATE, "C new", "1"),
    ]
    one, other = plan(*steps, create=3, delete=1), plan(*reversed(steps), create=3, delete=1)
    assert plan_text(one) == plan_text(other)
    assert [line for line in plan_text(one).splitlines() if not line.startswith(" ")] == [
        "1 to delete, 3 to create, 3 unchanged",
        "- A gone",  # what cannot be undone comes first
        "+ B new",
        "+ C new",
    ]
