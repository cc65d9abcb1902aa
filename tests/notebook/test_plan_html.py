"""A plan as HTML and as text: what goes first, what would be lost, what it costs."""

from __future__ import annotations

import re

import pytest

from buildflow_nb.cockpit.views.operation_view import OperationView
from buildflow_nb.cockpit.views.plan_html import counts_html, plan_html
from buildflow_nb.core.resource_look import Held
from buildflow_nb.core.status.operations import (
    Op,
    Operation,
    Outcome,
    PropertyChange,
    Result,
    Step,
    StepDone,
    StepFailed,
    StepPlanned,
    StepStarted,
    Summary,
)
from buildflow_nb.core.status.plan import Loss, Monthly, Price, Review, changes_of
from buildflow_nb.infra.report import plan_text

EVIL = "<img src=x onerror=alert(1)>"


def step(op, owner, name, *changes):
    return Step(f"urn::{owner}::{name}", op, "aws:x/y:Thing", name, owner, changes)


STEPS = (
    step(Op.CREATE, "S3Bucket uploads", "bucket", PropertyChange("name", None, "uploads")),
    step(Op.CREATE, "S3Bucket uploads", "policy"),
    step(Op.UPDATE, "SQSQueue clicks", "clicks", PropertyChange("deadline", 60, 600)),
    step(Op.DELETE, "S3Bucket old", "old"),
    step(Op.DELETE, "SQSQueue returns", "returns"),
    step(Op.DELETE, "SQSQueue odd", "odd"),
)
REVIEW = Review(
    changes_of(STEPS),
    Loss(
        {
            "S3Bucket old": Held("objects", 1_204, bytes=2_100_000_000),
            "SQSQueue returns": Held("messages", 3, "about"),
            "SQSQueue odd": Held("messages", None),
        }
    ),
    Price(
        124.0,
        0.7,
        ("SQSQueue odd",),
        {
            "S3Bucket uploads": Monthly("S3Bucket uploads", 0.4, "2,628,000 objects written"),
            "S3Bucket old": Monthly("S3Bucket old", 0.05, "2.1 GB"),
            "SQSQueue odd": Monthly("SQSQueue odd", None, "depends on usage"),
        },
        "at the last run's 120/s: 124.00 US dollars a month (list prices of 2026-09)",
        ("S3, storage: 0.023 per GB-month; somebody, 2026-03-13",),
    ),
)


def outcome(review=REVIEW, steps=STEPS):
    summary = Summary(Operation.PREVIEW, Result.DONE, {Op.DELETE: 3, Op.UPDATE: 1, Op.CREATE: 2})
    return Outcome(summary, tuple(map(StepPlanned, steps)), review=review)


def test_what_goes_comes_first_then_what_changes_then_what_comes():
    html = plan_html("plan", REVIEW.changes, REVIEW)
    names = re.findall(r"<b>(\w+)</b> <span", html)
    assert names == ["old", "odd", "returns", "clicks", "uploads"]
    assert html.count('class="sg d"') == 3
    assert html.count('class="sg c"') == 1
    assert html.count('class="sg a"') == 1


def test_what_would_be_lost_stands_above_and_in_its_row():
    html = plan_html("plan", REVIEW.changes, REVIEW)
    band = re.search(r'<div class="band err" role="alert">(.*?)</div>', html)[1]
    assert "would delete 1,204 objects, 2.1 GB" not in band
    assert "would delete 1,204 objects, about 3 messages" in band
    assert "not known" in band
    assert "1,204 objects go, 2.1 GB" in html
    assert "about 3 messages go" in html
    assert "its messages would go: not known how many" in html
    assert html.index("band err") < html.index("<table")


def test_the_price_has_its_basis_and_its_sources():
    html = plan_html("plan", REVIEW.changes, REVIEW)
    for said in ("+0.40", "-0.05", "not known", "124.00 US dollars a month", "this plan: +0.70"):
        assert said in html
    assert "somebody, 2026-03-13" in html
    assert "2,628,000 objects written" in html
    assert "a month" not in plan_html("plan", REVIEW.changes, None)


def test_cloud_objects_are_folded_beneath():
    html = plan_html("plan", REVIEW.changes, REVIEW)
    assert "2 cloud objects: Thing, Thing" in html
    assert html.count("<details") == 6  # five primitives, and where prices are from


def test_text_says_the_same_in_the_same_order():
    lines = plan_text(outcome()).splitlines()
    assert lines[1].startswith("! would delete 1,204 objects, about 3 messages")
    assert [line for line in lines if line[0] in "-~+"] == [
        "- S3Bucket old  1,204 objects go, 2.1 GB  -0.05 a month",
        "- SQSQueue odd  its messages would go: not known how many  not known a month",
        "- SQSQueue returns  about 3 messages go",
        "~ SQSQueue clicks",
        "+ S3Bucket uploads  +0.40 a month",
    ]
    assert lines[-1].endswith("; this plan: +0.70")


def test_one_thing_is_counted_in_the_title_the_rows_and_the_progress():
    view = OperationView(Operation.APPLY, "dev")
    for one in STEPS:
        view.note(StepPlanned(one))
    assert view.progress()[:2] == (0, 5)
    view.note(StepStarted(STEPS[0]))
    view.note(StepDone(STEPS[0], 0.3))
    done, total, now = view.progress()
    assert (done, total, now) == (0, 5, "create uploads"), "a half is none"
    view.note(StepDone(STEPS[1], 0.5))
    assert view.progress()[0] == 1
    view.note(StepFailed(STEPS[2]))
    states = {change.name: view.state_of(change) for change in view.changes}
    assert states["uploads"] == "0.5 s"
    assert states["clicks"] == "failed"
    assert counts_html(view.counts).count("</span>") == 4
    plan = OperationView(Operation.PREVIEW, "dev")
    plan.take(outcome(), show=False)
    assert plan.stands()[0].endswith("3 to delete, 1 to update, 1 to create")
    assert plan.text().startswith("preview · stack dev: 3 to delete, 1 to update, 1 to create\n!")


def test_an_interrupted_preview_is_told():
    view = OperationView(Operation.PREVIEW, "dev")
    view.note(Summary(Operation.PREVIEW, Result.CANCELLED, error="preview was interrupted"))
    assert view.text() == "preview · stack dev: preview was interrupted"


@pytest.mark.parametrize("states", [None, {f"Q {EVIL}": EVIL}])
def test_nothing_of_a_plan_is_html(states):
    evil = Step("u", Op.DELETE, EVIL, EVIL, f"Q {EVIL}", (PropertyChange(EVIL, EVIL, EVIL),))
    price = Price(1, 1, (), {f"Q {EVIL}": Monthly("", 1.0, EVIL)}, EVIL, (EVIL,))
    changes = changes_of([evil])
    review = Review(changes, Loss({f"Q {EVIL}": Held(EVIL, 3)}), price)
    assert "<img" not in plan_html(EVIL, changes, review, [EVIL], states)
