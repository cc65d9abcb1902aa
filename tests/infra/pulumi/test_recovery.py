"""Sudden ends of every kind, and that the next operation mends them without a hint."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import grpc
import psutil
import pytest
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from buildflow_nb.core.config import Stack
from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.status.operations import Diagnostic, Op, Operation, Result
from buildflow_nb.infra.pulumi.recover import Recovery
from buildflow_nb.local_cloud.provider.aws.queue import Queue
from buildflow_nb.local_cloud.provider.gcp.topic import Topic
from buildflow_nb.local_cloud.provider.server import ProviderServers
from tests.infra.conftest import ENGINE
from tests.infra.primitives import Q, T

pytestmark = ENGINE
DEADLINE_S = 30.0


class Held:
    """Provider servers that stop in the middle of making a topic, until they are let go."""

    def __init__(self, monkeypatch) -> None:
        self.before = threading.Event()  # a creation has been asked for
        self.after = threading.Event()  # the cloud has carried it out
        self.begin = threading.Event()  # set: carry it out
        self.answer = threading.Event()  # set: answer the engine
        self.begin.set()
        make = Topic.create

        def create(resource, cloud, inputs):
            self.before.set()
            assert self.begin.wait(DEADLINE_S)
            made = make(resource, cloud, inputs)
            self.after.set()
            assert self.answer.wait(DEADLINE_S)
            return made

        monkeypatch.setattr(Topic, "create", create)
        self._servers = ProviderServers()
        self.ports = self._servers.start()

    def let_go(self) -> None:
        self.begin.set()
        self.answer.set()

    def stop(self) -> None:
        self.let_go()
        self._servers.stop()


@pytest.fixture
def held(monkeypatch):
    made = Held(monkeypatch)
    yield made
    made.stop()


@pytest.fixture
def topics(cloud):
    """The names of all topics."""
    channel = grpc.insecure_channel(cloud.endpoints["pubsub"].removeprefix("http://"))
    client = PublisherClient(transport=PublisherGrpcTransport(channel=channel))

    def names():
        found = client.list_topics(project="projects/local-project")
        return {topic.name.rpartition("/")[2] for topic in found}

    yield names
    channel.close()


class Background:
    """An apply on a thread."""

    def __init__(self, project, *managed) -> None:
        self.outcome = None
        self._project, self._managed = project, managed
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.outcome = self._project.apply(*self._managed)

    def end(self):
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        return self.outcome


def engine_of(project) -> int:
    return json.loads(project.deployment.lock.read_text())["engine"]


def kill_engine(project) -> None:
    os.kill(engine_of(project), signal.SIGKILL)


def said(outcome) -> str:
    return "\n".join(e.message for e in outcome.events if isinstance(e, Diagnostic))


def test_an_engine_killed_after_the_cloud_has_made_it(project, held, topics):
    slow = project.on(attached=held.ports)
    apply = Background(slow, T("adopted"))
    assert held.after.wait(DEADLINE_S)
    kill_engine(slow)
    held.let_go()
    assert apply.end().summary.result is Result.FAILED
    assert "adopted" in topics()
    assert '"adopted"' in json.dumps(json.loads(slow.state)["checkpoint"]["latest"])

    again = project.apply(T("adopted"))
    assert again.summary.result is Result.DONE, again.summary.text
    assert again.summary.changes == {}
    assert again.summary.unchanged == 1
    assert "cut off" in said(again)
    assert "removed the lock" in said(again)
    assert project.apply(T("adopted")).summary.changes == {}
    assert project.destroy(T("adopted")).summary.changes == {Op.DELETE: 1}
    assert "adopted" not in topics()


def test_an_engine_killed_before_the_cloud_has_made_it(project, held, topics):
    held.begin.clear()
    slow = project.on(attached=held.ports)
    apply = Background(slow, T("not-yet"))
    assert held.before.wait(DEADLINE_S)
    kill_engine(slow)
    assert apply.end().summary.result is Result.FAILED
    assert "not-yet" not in topics()

    again = project.apply(T("not-yet"))
    assert again.summary.changes == {Op.CREATE: 1}, again.summary.text
    assert "not-yet" in topics()
    assert project.destroy(T("not-yet")).summary.changes == {Op.DELETE: 1}


def test_a_queue_that_was_cut_off_is_found_by_its_name(project, monkeypatch, queues):
    """SQS gives queues their ids, so it has to be asked; a profile of the user's does not count."""
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    make = Queue.create
    made, answer = threading.Event(), threading.Event()

    def create(resource, cloud, inputs):
        found = make(resource, cloud, inputs)
        made.set()
        assert answer.wait(DEADLINE_S)
        return found

    monkeypatch.setattr(Queue, "create", create)
    servers = ProviderServers()
    slow = project.on(attached=servers.start())
    apply = Background(slow, Q("by-name"))
    assert made.wait(DEADLINE_S)
    kill_engine(slow)
    answer.set()
    assert apply.end().summary.error.startswith("the engine was killed (signal 9)")
    servers.stop()
    again = project.apply(Q("by-name"))
    assert (again.summary.unchanged, again.summary.changes) == (1, {})
    assert project.destroy().summary.changes == {Op.DELETE: 1}
    assert queues("by-name") == []


def test_a_preview_recovers_too(project, held, topics):
    slow = project.on(attached=held.ports)
    apply = Background(slow, T("looked-at"))
    assert held.after.wait(DEADLINE_S)
    kill_engine(slow)
    held.let_go()
    apply.end()
    plan = project.preview(T("looked-at"))
    assert plan.summary.result is Result.DONE
    assert plan.summary.changes == {}
    assert project.destroy().summary.changes == {Op.DELETE: 1}
    assert "looked-at" not in topics()


def test_an_interrupt_finishes_the_step_under_way(project, held, topics):
    slow = project.on(attached=held.ports)
    first = T("first-of-two")
    second = T("second-of-two", above=(first,))
    main = threading.main_thread().ident

    def interrupt_then_let_go():
        assert held.after.wait(DEADLINE_S)
        signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.5)  # the engine has to have taken notice before the step ends
        held.let_go()

    other = threading.Thread(target=interrupt_then_let_go)
    other.start()
    outcome = slow.apply(first, second)
    other.join(DEADLINE_S)
    assert outcome.summary.result is Result.CANCELLED
    assert outcome.summary.error == "apply was interrupted; what was done is kept"
    assert topics() & {"first-of-two", "second-of-two"} == {"first-of-two"}

    rest = project.apply(first, second)
    assert rest.summary.changes == {Op.CREATE: 1}
    assert rest.summary.unchanged == 1
    assert project.destroy().summary.changes == {Op.DELETE: 2}


def test_a_second_interrupt_kills_and_nothing_is_orphaned(project, held, topics):
    slow = project.on(attached=held.ports)
    main = threading.main_thread().ident

    def interrupt_twice():
        assert held.after.wait(DEADLINE_S)
        for _ in range(2):
            signal.pthread_kill(main, signal.SIGINT)
            time.sleep(0.5)

    other = threading.Thread(target=interrupt_twice)
    other.start()
    outcome = slow.apply(T("impatient"))
    other.join(DEADLINE_S)
    held.let_go()
    assert outcome.summary.result is Result.CANCELLED
    assert "impatient" in topics()
    assert project.apply(T("impatient")).summary.unchanged == 1
    assert project.destroy().summary.changes == {Op.DELETE: 1}


KERNEL = """
    import sys
    from pathlib import Path
    from buildflow_nb.core.config import Config, Stack
    from buildflow_nb.core.status.operations import Operation
    from buildflow_nb.core.options import FlowOptions
    from buildflow_nb.infra.pulumi.deployment import Deployment
    from buildflow_nb.infra.flow_stack import FlowStack
    from buildflow_nb.infra.operation import operate
    from tests.infra.primitives import Q, T

    folder, cloud, aws, gcp = sys.argv[1:]
    config = Config.implicit(Path(cloud))
    env = FlowStack(config, config.stack(None), FlowOptions()).env()
    ports = {"aws": int(aws), "gcp": int(gcp)}
    operate(
        Deployment("shop", Stack("local", cloud="local"), Path(folder), ".buildflow/pulumi",
                   env, (T("orphan"),), ports),
        Operation.APPLY,
    )
"""


def test_a_kernel_killed_in_the_middle(project, held, topics, cloud_folder):
    ports = [str(held.ports[name]) for name in ("aws", "gcp")]
    words = [sys.executable, "-c", textwrap.dedent(KERNEL), str(project.folder), str(cloud_folder)]
    kernel = subprocess.Popen([*words, *ports])
    assert held.after.wait(DEADLINE_S)
    engine = engine_of(project)
    kernel.kill()
    kernel.wait(DEADLINE_S)
    assert psutil.pid_exists(engine), "the engine outlives its kernel"

    outcome: list = []
    other = threading.Thread(target=lambda: outcome.append(project.apply(T("orphan"))))
    other.start()
    time.sleep(0.5)  # while the engine is being asked to end, its step ends
    held.let_go()
    other.join(DEADLINE_S)
    assert outcome[0].summary.result is Result.DONE, outcome[0].summary.text
    assert not psutil.pid_exists(engine) or psutil.Process(engine).status() == "zombie"
    assert "orphan" in topics()
    assert project.destroy().summary.changes == {Op.DELETE: 1}
    assert "orphan" not in topics()


@pytest.mark.parametrize(
    "owner", ["John Doe@elsewhere", r"DOM\\jane doe@elsewhere", "root@elsewhere"]
)
def test_a_lock_of_another_machine_is_left_alone(project, owner):
    text = (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) "
        f"to end or delete the lock file with `pulumi cancel`.\n  file:///x: created by {owner} "
        "(pid 1) at 2026-01-31T12:00:00Z"
    )
    recovery = Recovery(project.deployment, Untouchable(), lambda _: None)
    with pytest.raises(InfraError, match=r"locked by .*@elsewhere \(process 1\)"):
        recovery.unlock(text)
    with pytest.raises(InfraError, match=r"is locked; wait"):
        recovery.unlock("the stack is currently locked by 1 lock(s), told in other words")


class Untouchable:
    """A stack that nobody may cancel."""

    name = "local"

    def cancel(self):
        pytest.fail("a lock was removed")


def test_two_applies_at_once(project, held):
    slow = project.on(attached=held.ports)
    apply = Background(slow, T("busy"))
    assert held.after.wait(DEADLINE_S)
    with pytest.raises(
        InfraError, match=rf"is being changed by \S+ \(process {os.getpid()}\): apply since"
    ):
        project.apply(T("busy"))
    held.let_go()
    assert apply.end().summary.result is Result.DONE
    project.destroy()


def test_the_engines_own_lock_of_a_living_engine(project, held):
    """As from another machine or another tool: our own lock file knows nothing of it."""
    shared = Stack("local", "file://./shared", "local")
    slow = project.on(stack=shared, attached=held.ports)
    other = project.on(stack=shared, pulumi_home=".buildflow/other")
    apply = Background(slow, T("locked"))
    assert held.after.wait(DEADLINE_S)
    engine = engine_of(slow)
    with pytest.raises(InfraError, match=rf"locked by \S+ \(.*process {engine}\)+ since \S+; wait"):
        other.apply(T("locked"))
    held.let_go()
    assert apply.end().summary.result is Result.DONE
    assert slow.do(Operation.DESTROY).summary.changes == {Op.DELETE: 1}
