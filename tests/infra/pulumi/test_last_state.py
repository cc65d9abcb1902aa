"""A full disk and a damaged state: nothing that was there is lost."""

from __future__ import annotations

import shutil
from collections import namedtuple

import pytest

from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.status.operations import Diagnostic, Op, Result
from tests.infra.conftest import ENGINE
from tests.infra.primitives import Q

pytestmark = ENGINE
Usage = namedtuple("Usage", "total used free")


def test_a_full_disk_is_told_before_anything_is_touched(project, queues, monkeypatch):
    project.apply(Q("roomy"))
    before = project.state
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 9, 1_500_000))
    with pytest.raises(InfraError, match=r"has 1\.5 MB left, .* may need 17 MB; make room first"):
        project.apply(Q("roomy"), Q("roomy-too"))
    assert project.state == before
    assert queues("roomy") == ["roomy"]
    monkeypatch.undo()
    assert project.apply(Q("roomy")).nothing_to_do
    project.destroy()


def test_a_state_that_was_cut_off_is_replaced_by_the_last_whole_one(project, queues):
    project.apply(Q("cut"))
    assert project.apply(Q("cut")).nothing_to_do  # which keeps a copy of the state
    whole = project.state
    path = project.deployment.state
    path.write_text(whole[: len(whole) // 2])
    outcome = project.apply(Q("cut"))
    assert outcome.summary.result is Result.DONE, outcome.summary.text
    assert outcome.summary.unchanged == 1
    said = [event.message for event in outcome.events if isinstance(event, Diagnostic)]
    assert any("put aside as local.damaged" in text for text in said)
    assert path.with_suffix(".damaged").read_text() == whole[: len(whole) // 2]
    assert project.destroy().summary.changes == {Op.DELETE: 1}
    assert queues("cut") == []


def test_without_a_copy_a_damaged_state_is_left_as_it_is(project):
    project.apply(Q("left"))
    path = project.deployment.state
    whole = path.read_text()
    (project.deployment.home / "local.last.json").unlink(missing_ok=True)
    path.write_text("{")
    with pytest.raises(InfraError, match=r"is damaged, and no copy of it is at .*last\.json"):
        project.apply(Q("left"))
    assert path.read_text() == "{"
    path.write_text(whole)
    project.destroy()
