"""Preview, apply, refresh and destroy, by the real engine on the local cloud."""

from __future__ import annotations

import json
import re

import pytest

from buildflow_nb.core.config import Stack
from buildflow_nb.core.errors import ConfigError, InfraError
from buildflow_nb.core.status.operations import (
    Diagnostic,
    Op,
    Operation,
    PropertyChange,
    Result,
    StepDone,
    StepFailed,
    StepPlanned,
    StepStarted,
)
from buildflow_nb.infra.report import plan_text
from tests.infra.conftest import ENGINE
from tests.infra.primitives import Broken, Plain, Q

pytestmark = ENGINE


def kinds(outcome):
    return [
        (type(event), event.step.op, event.step.name)
        for event in outcome.events
        if not isinstance(event, Diagnostic) and not event.step.of_primitive
    ]


def test_a_queue_from_nothing_to_nothing(project, queues):
    plan = project.preview(Q("whole"))
    assert plan.summary.changes == {Op.CREATE: 1}
    assert kinds(plan) == [(StepPlanned, Op.CREATE, "whole")]
    assert queues("whole") == []

    made = project.apply(Q("whole"))
    assert made.summary.result is Result.DONE
    assert kinds(made) == [
        (StepStarted, Op.CREATE, "whole"),
        (StepDone, Op.CREATE, "whole"),
    ]
    assert queues("whole") == ["whole"]

    again = project.apply(Q("whole"))
    assert again.nothing_to_do
    assert again.summary.unchanged == 1

    gone = project.destroy(Q("whole"))
    assert gone.summary.changes == {Op.DELETE: 1}
    assert queues("whole") == []
    assert not json.loads(project.state)["checkpoint"]["latest"].get("resources")


def test_an_update_is_shown_property_by_property(project):
    project.apply(Q("changes", visibility=30))
    plan = project.preview(Q("changes", visibility=60))
    (step,) = (step for step in plan.steps if not step.of_primitive)
    assert step.op is Op.UPDATE
    assert step.owner == "Q changes"
    assert step.changes == (PropertyChange("visibilityTimeoutSeconds", 30, 60),)
    assert "visibilityTimeoutSeconds: 30 → 60" in plan_text(plan)
    assert project.apply(Q("changes", visibility=60)).summary.changes == {Op.UPDATE: 1}
    project.destroy()


def test_a_replacement_is_one_step_and_says_what_forces_it(project, queues):
    project.apply(Q("turns"))
    plan = project.preview(Q("turns", fifo=True))
    (step,) = (step for step in plan.steps if not step.of_primitive)
    assert step.op is Op.REPLACE
    forcing = {change.path for change in step.changes if change.forces_replacement}
    assert forcing == {"name", "fifoQueue"}
    assert "forces replacement" in plan_text(plan)
    assert project.apply(Q("turns", fifo=True)).summary.changes == {Op.REPLACE: 1}
    assert queues("turns") == ["turns.fifo"]
    project.destroy()


def test_apply_removes_what_is_no_longer_managed_also_the_last(project, queues):
    project.apply(Q("two-a"), Q("two-b"))
    assert project.apply(Q("two-a")).summary.changes == {Op.DELETE: 1}
    assert queues("two") == ["two-a"]
    assert project.apply().summary.changes == {Op.DELETE: 1}
    assert queues("two") == []


def test_an_empty_flow_has_nothing_to_do(project):
    assert project.preview().nothing_to_do
    assert project.destroy().nothing_to_do
    assert project.apply().nothing_to_do
    assert project.destroy().nothing_to_do


def test_what_has_no_cloud_resources_is_passed_over(project):
    assert project.preview(Plain("a.csv")).nothing_to_do


def test_a_queue_deleted_behind_its_back_is_found_and_made_again(project, sqs, queues):
    project.apply(Q("drifts"))
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="drifts")["QueueUrl"])
    assert project.preview(Q("drifts")).summary.changes == {Op.CREATE: 1}
    found = project.do(Operation.REFRESH, Q("drifts"))
    assert found.summary.changes == {Op.DELETE: 1}
    assert kinds(found) == [(StepDone, Op.DELETE, "drifts")]
    assert project.apply(Q("drifts")).summary.changes == {Op.CREATE: 1}
    assert queues("drifts") == ["drifts"]
    project.destroy()


def test_a_property_changed_behind_its_back_is_set_right(project, sqs):
    project.apply(Q("turned", visibility=30))
    url = sqs.get_queue_url(QueueName="turned")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "99"})
    (step,) = (s for s in project.preview(Q("turned")).steps if not s.of_primitive)
    assert step.changes == (PropertyChange("visibilityTimeoutSeconds", 99, 30),)
    project.apply(Q("turned"))
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    assert found["Attributes"] == {"VisibilityTimeout": "30"}
    project.destroy()


def test_a_program_that_fails_is_told_in_one_line_with_the_text_at_hand(project):
    outcome = project.apply(Broken(ValueError("no such shelf")))
    assert outcome.summary.result is Result.FAILED
    assert outcome.summary.error == "no such shelf"
    assert "Traceback" in outcome.summary.text


def test_a_name_that_the_cloud_rejects_names_resource_and_rule(project):
    outcome = project.apply(Q("not a name!"))
    assert outcome.summary.result is Result.FAILED
    assert re.search("name", outcome.summary.error)
    assert "not a name!" in outcome.summary.error
    assert project.apply().summary.result is Result.DONE


def test_one_that_fails_does_not_undo_its_neighbours(project, queues):
    outcome = project.apply(Q("good"), Q("x" * 81))
    assert outcome.summary.result is Result.FAILED
    assert project.apply(Q("good")).summary.result is Result.DONE
    assert queues("good") == ["good"]
    project.destroy()


def test_a_failed_step_is_told(project, s3):
    from buildflow_nb.io.aws import S3Bucket

    project.apply(S3Bucket("full-of-things"))
    s3.put_object(Bucket="full-of-things", Key="a", Body=b"a")
    outcome = project.destroy(S3Bucket("full-of-things"))
    assert outcome.summary.result is Result.FAILED
    assert any(isinstance(event, StepFailed) for event in outcome.events)
    assert "full-of-things" in outcome.summary.error
    assert s3.list_objects_v2(Bucket="full-of-things")["KeyCount"] == 1
    s3.delete_object(Bucket="full-of-things", Key="a")
    assert project.destroy(S3Bucket("full-of-things")).summary.result is Result.DONE


def test_a_wrong_passphrase_says_what_to_do(project, monkeypatch):
    project.apply(Q("hidden"))
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "another one")
    outcome = project.apply(Q("hidden"))
    assert outcome.summary.result is Result.FAILED
    assert "was made with another passphrase; set PULUMI_CONFIG_PASSPHRASE" in outcome.summary.error
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    assert project.destroy().summary.result is Result.DONE


def test_a_broken_program_does_not_forbid_to_destroy(project, queues):
    project.apply(Q("stuck"))
    outcome = project.destroy(Q("stuck"), Broken(ValueError("no shelf")))
    assert outcome.summary.result is Result.DONE, outcome.summary.text
    said = [event.message for event in outcome.events if isinstance(event, Diagnostic)]
    assert any("the program failed (no shelf)" in text for text in said)
    assert queues("stuck") == []


def test_a_backend_elsewhere_in_the_folder(project, queues):
    elsewhere = project.on(stack=Stack("local", "file://./kept/state", "local"))
    assert elsewhere.apply(Q("kept")).summary.result is Result.DONE
    assert list((project.folder / "kept/state/.pulumi/stacks").rglob("local.json"))
    assert elsewhere.destroy().summary.changes == {Op.DELETE: 1}
    assert queues("kept") == []


def test_a_backend_of_no_known_kind(project):
    elsewhere = project.on(stack=Stack("local", "ftp://nowhere", "local"))
    with pytest.raises(ConfigError, match=r"backend_url 'ftp://nowhere' is none of file://"):
        elsewhere.preview()


def test_a_protected_resource_is_not_deleted(project, queues):
    guarded = project.on(protect=True)
    guarded.apply(Q("guarded"))
    assert guarded.destroy(Q("guarded")).summary.result is Result.FAILED
    assert queues("guarded") == ["guarded"]
    project.apply(Q("guarded"))
    assert project.destroy(Q("guarded")).summary.result is Result.DONE


def test_no_credential_is_written_in_clear(project):
    project.apply(Q("secretive"))
    written = [path for path in project.folder.rglob("*") if path.is_file()]
    assert written
    secret = project.deployment.env.aws.access_key_id.reveal()
    holding = [p for p in written if f'"{secret}"'.encode() in p.read_bytes()]
    assert holding == []
    modes = {oct(path.stat().st_mode & 0o777) for path in written if path.name == "passphrase"}
    assert modes == {"0o600"}
    project.destroy()


def test_a_state_that_cannot_be_written(project):
    blocked = project.folder / "blocked"
    blocked.write_text("a file, where a folder should be")
    elsewhere = project.on(stack=Stack("local", "file://./blocked/state", "local"))
    with pytest.raises(InfraError, match=r"stack .local. has no place for its state: .*blocked"):
        elsewhere.apply(Q("nowhere"))
