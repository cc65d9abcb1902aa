"""An operation that is ended from another thread than the one that waits for it."""

from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from buildflow_nb.core.config import Config, Stack
from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.core.status.operations import (
    Consent,
    DeclaredPrimitives,
    Op,
    Operation,
    Result,
    StepDone,
    StepPlanned,
)
from buildflow_nb.flow import Flow
from buildflow_nb.infra.flow_stack import FlowStack
from buildflow_nb.infra.operation import operate
from buildflow_nb.infra.stop import Stop
from buildflow_nb.local_cloud import client
from tests.infra.conftest import ENGINE
from tests.infra.primitives import Q, T
from tests.infra.pulumi.test_recovery import held, topics  # noqa: F401  (fixtures)

DEADLINE_S = 60.0


class TestStop:
    def test_it_tells_what_was_asked_before_and_what_is_asked_now(self):
        stop, heard = Stop(), []
        assert not stop.asked
        stop.ask()
        assert stop.asked
        with stop.heard_by(lambda: heard.append("!")):
            assert heard == ["!"]
            stop.ask()
            assert heard == ["!", "!"]
        stop.ask()
        assert heard == ["!", "!"]

    @pytest.mark.parametrize("operation", ["preview", "apply", "refresh", "destroy"])
    def test_asked_before_the_start_nothing_begins(self, tmp_path, monkeypatch, operation):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(client, "start_cloud", lambda _: pytest.fail("begun"))
        stop = Stop()
        stop.ask()
        told = []
        flow = Flow()
        flow.manage(Q("never"))
        with pytest.raises(InfraError, match=f"^{operation}: {operation} was interrupted; nothing"):
            getattr(flow, operation)(listener=told.append, stop=stop)
        assert [event.result for event in told] == [Result.CANCELLED]
        assert list(tmp_path.iterdir()) == []


@pytest.fixture
def elsewhere():
    """A thread of its own, as a panel's button has one."""
    with ThreadPoolExecutor(1) as made:
        yield made


class TestWithAnEngine:
    pytestmark = ENGINE

    @pytest.fixture
    def shop(self, cloud_folder, cloud, tmp_path):
        stack = Stack("here", f"file://{tmp_path}", "local")
        config = Config("stops", cloud_folder, {"here": stack}, "here")
        made = FlowStack(config, stack, FlowOptions())
        yield made
        made.operate(Operation.DESTROY, DeclaredPrimitives(()))
        gc.collect()  # what the SDK leaves open is found in the test that opened it

    @pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
    def test_asked_in_the_middle(self, project, held, topics, elsewhere, times):  # noqa: F811
        first = T(f"stop-{times}-a")
        second = T(f"stop-{times}-b", above=(first,))
        deployment = replace(project.deployment, attached=held.ports, managed=(first, second))
        stop = Stop()
        running = elsewhere.submit(lambda: operate(deployment, Operation.APPLY, stop=stop))
        assert held.after.wait(DEADLINE_S)
        for _ in range(times):
            stop.ask()
            time.sleep(0.5)  # the engine has to have taken notice before the step ends
        if times == 1:
            held.let_go()
        ended = running.result(DEADLINE_S)
        held.let_go()
        assert ended.result is Result.CANCELLED
        assert ended.error == "apply was interrupted; what was done is kept"
        assert topics() & {first.name, second.name} == {first.name}
        assert project.apply(first, second).summary.changes == {Op.CREATE: 1}
        assert project.destroy().summary.changes == {Op.DELETE: 2}

    def test_off_the_main_thread_the_question_and_each_step_are_told_there(self, shop, elsewhere):
        told, threads, ready = [], set(), threading.Event()
        released = threading.Event()

        def confirm(plan) -> bool:
            threads.add(threading.current_thread())
            ready.set()
            return released.wait(DEADLINE_S) and bool(plan.steps)

        def hear(event) -> None:
            threads.add(threading.current_thread())
            told.append(event)

        managed = (Q("panel"), Q("panel-too"))
        running = elsewhere.submit(
            lambda: shop.change(
                Operation.APPLY, DeclaredPrimitives(managed), Consent(confirm), hear
            )
        )
        assert ready.wait(DEADLINE_S)
        released.set()
        assert running.result(DEADLINE_S).summary.changes == {Op.CREATE: 2}
        assert len(threads) == 1
        assert threading.main_thread() not in threads
        planned = [event.step.urn for event in told if isinstance(event, StepPlanned)]
        done = [event.step.urn for event in told if isinstance(event, StepDone)]
        assert len(planned) == 4  # two queues, and the nodes of two primitives
        assert sorted(planned) == sorted(done)

    def test_asked_while_the_question_stands_nothing_is_changed(self, shop, queues):
        stop = Stop()

        def confirm(plan) -> bool:
            stop.ask()
            return True

        with pytest.raises(InfraError, match="apply was interrupted; nothing was begun"):
            shop.change(
                Operation.APPLY, DeclaredPrimitives((Q("late"),)), Consent(confirm), stop=stop
            )
        assert queues("late") == []
