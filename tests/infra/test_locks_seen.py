"""What doctor and stack view see of an operation under way, and of one that was killed."""

from __future__ import annotations

from buildflow_nb.core.status.operations import Result
from buildflow_nb.flow.doctor.project import _engine_locks, _turn
from buildflow_nb.infra.stack_view import view_of
from tests.infra.conftest import ENGINE
from tests.infra.primitives import T
from tests.infra.pulumi.test_recovery import (
    DEADLINE_S,
    Background,
    engine_of,
    held,  # noqa: F401  (a fixture)
    kill_engine,
)

pytestmark = ENGINE


def test_locks_are_seen_while_they_are_held_and_after_their_holder_died(project, held):  # noqa: F811
    slow = project.on(attached=held.ports)
    apply = Background(slow, T("seen-locked"))
    assert held.after.wait(DEADLINE_S)
    engine = engine_of(slow)
    (turn,), (lock,) = _turn(slow.deployment), _engine_locks(slow.deployment)
    assert "held by process" in turn.said
    assert f"held by process {engine} " in lock.said
    assert view_of(slow.deployment, local=True).pending == ("seen-locked",)

    kill_engine(slow)
    held.let_go()
    assert apply.end().summary.result is Result.FAILED
    (lock,) = _engine_locks(slow.deployment)
    assert f"left by process {engine}, which is dead" in lock.said
    assert "the next preview or apply" in lock.cure
    project.destroy()


def test_nothing_is_seen_of_what_has_ended_well(project):
    project.apply(T("seen-free"))
    assert [*_turn(project.deployment), *_engine_locks(project.deployment)] == []
    assert view_of(project.deployment, local=True).pending == ()
    project.destroy()
