"""An operation that a button began: asked, answered, cancelled, shown."""

import re
import threading

import pytest

from buildflow_nb.cockpit.panel import operation_box
from buildflow_nb.cockpit.panel.operation_box import OperationBox
from buildflow_nb.cockpit.views.operation_html import operation_html
from buildflow_nb.cockpit.views.operation_view import OperationView
from buildflow_nb.core.errors import InfraError, RejectedError
from buildflow_nb.core.status.operations import (
    Op,
    Operation,
    Outcome,
    PropertyChange,
    Result,
    Step,
    StepDone,
    StepPlanned,
    StepStarted,
    Summary,
)

DEADLINE_S = 10
QUEUE = Step("urn:queue", Op.CREATE, "aws:sqs/queue:Queue", "orders", "SQSQueue orders")
BUCKET = Step(
    "urn:bucket",
    Op.UPDATE,
    "aws:s3/bucket:Bucket",
    "mine",
    "S3Bucket mine",
    (PropertyChange("tags", None, "<b>"),),
)
PLAN = Outcome(
    Summary(Operation.PREVIEW, Result.DONE, {Op.CREATE: 1, Op.UPDATE: 1}),
    (StepPlanned(QUEUE), StepPlanned(BUCKET)),
)
LOSSES = Outcome(
    Summary(Operation.PREVIEW, Result.DONE, {Op.DELETE: 1}),
    (
        StepPlanned(
            Step("urn:queue", Op.DELETE, "aws:sqs/queue:Queue", "orders", "SQSQueue orders")
        ),
    ),
)
VALUES = {"yes": False, "delete": False}


class FakeFlow:
    """Asks like `FlowStack.change`, and does what the test says."""

    stack = "prod"

    def __init__(self, *, local=False, plan=PLAN, work=lambda _listener, _stop: None):
        self.place = type("Place", (), {"local": local})
        self.plan = plan
        self.work = work

    def apply(self, *, yes, delete, confirm, listener, stop):
        if not yes and not confirm(self.plan):
            msg = "apply rejected; nothing was changed"
            raise RejectedError(msg)
        self.work(listener, stop)
        summary = Summary(Operation.APPLY, Result.DONE, self.plan.summary.changes, seconds=1)
        listener(summary)
        return Outcome(summary)

    destroy = apply


class Shown:
    """A box whose changes can be waited for, with an operation on a thread."""

    def __init__(self):
        self.news = threading.Condition()
        self.box = OperationBox(self._changed)
        self.error = None

    def _changed(self):
        with self.news:
            self.news.notify_all()

    def until(self, condition):
        with self.news:
            assert self.news.wait_for(condition, DEADLINE_S)

    def begin(self, flow, operation=Operation.APPLY):
        def work():
            try:
                self.box.carry_out(operation, flow, VALUES)
            except InfraError as error:
                self.error = error

        self.thread = threading.Thread(target=work, daemon=True)
        self.thread.start()

    def end(self):
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive()

    @property
    def html(self):
        return operation_html(self.box)


@pytest.fixture
def shown():
    made = Shown()
    yield made
    made.box.cancel()


def test_the_plan_is_shown_by_sign_and_word_and_a_yes_carries_it_out(shown):
    shown.begin(FakeFlow())
    shown.until(lambda: shown.box.asking)
    assert "1 to update, 1 to create" in shown.html
    for sign, word in (("+", "create"), ("~", "update")):
        assert f'aria-hidden="true">{sign}</span>' in shown.html
        assert f">{word}</span>" in shown.html
    assert "&lt;b&gt;" in shown.html
    assert "Apply 2 changes" in shown.html
    shown.box.answer(yes=True)
    shown.end()
    assert shown.error is None
    assert "1 updated, 1 created in 1.0 s" in shown.html
    assert not shown.box.busy
    shown.box.close()
    assert shown.html == ""


def test_a_no_changes_nothing_and_puts_the_plan_away(shown):
    shown.begin(FakeFlow())
    shown.until(lambda: shown.box.asking)
    shown.box.answer(yes=False)
    shown.end()
    assert isinstance(shown.error, RejectedError)
    assert shown.html == ""


def test_what_is_deleted_from_a_real_stack_wants_its_name_typed(shown):
    shown.begin(FakeFlow(plan=LOSSES), Operation.DESTROY)
    shown.until(lambda: shown.box.asking)
    assert "Delete 1 resource<" in shown.html
    assert "type <b>prod</b> (the stack" in shown.html
    shown.box.answer(yes=True, typed="prd")
    assert shown.box.asking
    assert "type prod to confirm" in shown.html
    shown.box.answer(yes=True, typed=" prod ")
    shown.end()
    assert shown.error is None


def test_a_local_stack_is_deleted_without_typing(shown):
    shown.begin(FakeFlow(plan=LOSSES, local=True), Operation.DESTROY)
    shown.until(lambda: shown.box.asking)
    assert "type <b>" not in shown.html
    shown.box.answer(yes=True)
    shown.end()
    assert shown.error is None


def test_progress_is_a_bar_of_steps_and_cancel_asks_the_engine(shown):
    stopped = threading.Event()

    def work(listener, stop):
        listener(StepStarted(QUEUE))
        listener(StepDone(QUEUE, 0.5))
        listener(StepStarted(BUCKET))
        with stop.heard_by(stopped.set):
            assert stopped.wait(DEADLINE_S)
        msg = "apply: interrupted; what was done is kept"
        raise InfraError(msg)

    shown.begin(FakeFlow(work=work))
    shown.until(lambda: shown.box.asking)
    shown.box.answer(yes=True)
    shown.until(lambda: shown.box.under_way and shown.box.done)
    for said in ('role="progressbar"', 'aria-valuenow="1"', 'aria-valuemax="2"', "width:50%"):
        assert said in shown.html
    assert "1 of 2 · update mine" in shown.html
    assert "0.5 s" in shown.html
    assert shown.box.cancel()
    shown.end()
    assert "interrupted" in str(shown.error)
    assert not shown.box.cancel()


def test_a_double_click_on_cancel_kills_nothing_and_kill_stands_elsewhere(shown):
    times, killed = [], threading.Event()

    def work(listener, stop):
        def interrupt():
            times.append(1)
            if len(times) == 2:
                killed.set()

        listener(StepStarted(QUEUE))
        with stop.heard_by(interrupt):
            assert killed.wait(DEADLINE_S)
        msg = "apply: killed"
        raise InfraError(msg)

    shown.begin(FakeFlow(work=work))
    shown.until(lambda: shown.box.asking)
    shown.box.answer(yes=True)
    shown.until(lambda: shown.box.under_way)
    assert 'data-act="kill"' not in shown.html
    shown.box.end_soon()
    shown.box.end_soon()
    assert times == [1]
    assert "ends after the step under way" in shown.html
    (cancel,) = re.findall('<button[^>]*data-act="cancel"[^>]*>', shown.html)
    assert 'aria-disabled="true"' in cancel
    assert shown.html.index('data-act="kill"') > shown.html.index('role="progressbar"')
    shown.box.cancel()
    shown.end()
    assert times == [1, 1]


def test_an_interrupted_operation_says_how_much_was_done_and_of_each_step_how_it_ended():
    view = OperationView(Operation.APPLY, "local")
    for event in (StepPlanned(QUEUE), StepPlanned(BUCKET), StepStarted(QUEUE)):
        view.note(event)
    view.note(StepDone(QUEUE, 0.5))
    view.note(StepStarted(BUCKET))
    view.note(Summary(Operation.APPLY, Result.FAILED, {}, error="apply: interrupted"))
    assert view.stands() == ("✕ 1 of 2 done; apply: interrupted", "err")
    assert "…" not in view.body()
    assert "interrupted" in view.body()


def test_a_cancel_while_it_asks_is_a_no(shown):
    shown.begin(FakeFlow())
    shown.until(lambda: shown.box.asking)
    assert shown.box.cancel()
    shown.end()
    assert isinstance(shown.error, RejectedError)


def test_a_question_that_nobody_answers_ends(shown, monkeypatch):
    monkeypatch.setattr(operation_box, "ANSWER_S", 0.001)
    shown.begin(FakeFlow())
    shown.end()
    assert "nobody answered" in str(shown.error)


def test_an_answer_without_a_question_is_none(shown):
    shown.box.answer(yes=True)
    shown.begin(FakeFlow())
    shown.until(lambda: shown.box.asking)
    assert not shown.box._answered.is_set()
