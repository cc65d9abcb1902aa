"""What a plan would delete, weighed: whose it is, how much, and whether it was declared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from buildflow_nb.core.config import Stack
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.status.operations import (
    Deletions,
    Op,
    Operation,
    Outcome,
    Result,
    Step,
    StepPlanned,
    Summary,
)
from buildflow_nb.infra.flow_operation import weighed
from buildflow_nb.infra.pulumi.deployment import Deployment
from tests.infra.primitives import Q

MINE = Deployment(
    "shop",
    Stack("local", cloud="local"),
    Path(),
    ".buildflow/pulumi",
    Env(stack="local"),
    (),
    identity="me.ipynb",
)


def plan(created: int, **gone: str) -> Outcome:
    """A plan that deletes queues by name, each applied by whoever is named."""
    steps = [
        Step(name, Op.DELETE, f"buildflow:{'Q'}", name, f"Q {name}", applied_by=who)
        for name, who in gone.items()
    ]
    steps += [
        Step(f"{name}-r", Op.DELETE, "aws:sqs/queue:Queue", name, f"Q {name}") for name in gone
    ]
    counts = {Op.CREATE: created, Op.DELETE: len(gone)}
    summary = Summary(Operation.PREVIEW, Result.DONE, {k: n for k, n in counts.items() if n})
    return Outcome(summary, tuple(StepPlanned(step) for step in steps))


@pytest.mark.parametrize(
    ("found", "typed"),
    [
        (plan(1), ""),
        (plan(1, a="me.ipynb"), ""),  # a renamed queue
        (plan(0, a="me.ipynb"), "delete 1"),  # more than it creates
        (plan(5, a="other.ipynb"), "delete 1"),  # another's
        (plan(5, a=""), ""),  # of a state that does not say
        (plan(5, b="me.ipynb"), "delete 1"),  # not declared in this session
        (plan(2, a="me.ipynb", b="me.ipynb", c="other.ipynb"), "delete 3"),
    ],
)
def test_what_needs_more_than_a_yes(found, typed):
    deletions = weighed(found, MINE, (Q("a"),), Operation.APPLY).deletions
    assert deletions.must_type == typed


def test_a_destroy_is_asked_only_about_what_others_applied():
    mine = weighed(plan(0, a="me.ipynb", b=""), MINE, (), Operation.DESTROY).deletions
    assert mine.must_type == ""
    theirs = weighed(plan(0, a="me.ipynb", b="you.py"), MINE, (), Operation.DESTROY).deletions
    assert theirs.must_type == "delete 2"
    assert theirs.by_others == {"you.py": ("Q b",)}


def test_who_asked_for_deletions_beforehand_is_asked_no_more():
    agreed = Deletions(3, 0, 0, {"a": ("Q a",)}, ("Q a",), allowed=True)
    assert agreed.must_type == ""


def test_anothers_that_is_replaced_is_gone_as_well():
    step = Step("u", Op.REPLACE, "aws:sqs/queue:Queue", "a", "Q a", applied_by="you.ipynb")
    summary = Summary(Operation.PREVIEW, Result.DONE, {Op.REPLACE: 1})
    found = weighed(Outcome(summary, (StepPlanned(step),)), MINE, (Q("a"),), Operation.APPLY)
    assert found.deletions.must_type == "delete 1"
    assert found.deletions.by_others == {"you.ipynb": ("Q a",)}
    mine = replace(step, applied_by="me.ipynb")
    own = weighed(Outcome(summary, (StepPlanned(mine),)), MINE, (Q("a"),), Operation.APPLY)
    assert own.deletions.must_type == ""
