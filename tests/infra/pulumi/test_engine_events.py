"""What the engine says, and what a person hears of it."""

from __future__ import annotations

import pytest
from pulumi.automation import EngineEvent

from buildflow_nb.core.status.operations import (
    Diagnostic,
    Op,
    Operation,
    PropertyChange,
    StepDone,
    StepFailed,
    StepPlanned,
    StepStarted,
    Unknown,
)
from buildflow_nb.infra.pulumi.engine_events import EngineEvents, first_error

STACK = "urn:pulumi:local::shop"
COMPONENT = f"{STACK}::buildflow:SQSQueue::orders"
QUEUE = f"{STACK}::buildflow:SQSQueue$aws:sqs/queue:Queue::orders"


def step(kind: str, op: str, urn: str = QUEUE, **meta) -> EngineEvent:
    kind_of = urn.split("::")[2].rpartition("$")[2]
    metadata = {"op": op, "urn": urn, "type": kind_of, **meta}
    return EngineEvent.from_json({kind: {"metadata": metadata}})


def state(**inputs):
    return {"parent": COMPONENT, "urn": QUEUE, "inputs": inputs}


def hear(operation: Operation, *events: EngineEvent):
    told = []
    heard = EngineEvents(told.append, operation)
    for event in events:
        heard.hear(event)
    return told, heard


def test_a_creation_shows_what_was_asked_for_not_what_was_filled_in():
    new = state(name="orders", delay=0, tags={"a": "b"}, __defaults=["delay"])
    (told,), _ = hear(Operation.PREVIEW, step("resourcePreEvent", "create", new=new))
    assert isinstance(told, StepPlanned)
    assert told.step.owner == "SQSQueue orders"
    assert told.step.name == "orders"
    assert [(c.path, c.new) for c in told.step.changes] == [
        ("name", "orders"),
        ("tags", {"a": "b"}),
    ]


@pytest.mark.parametrize(
    ("path", "kind", "change"),
    [
        ("visibility", "update", PropertyChange("visibility", 30, 60)),
        ("tags.team", "add", PropertyChange("tags.team", None, "core")),
        ("tags.old", "delete", PropertyChange("tags.old", "x", None)),
        ("name", "update-replace", PropertyChange("name", "a", "b", forces_replacement=True)),
        ('tags["a.b"]', "update", PropertyChange('tags["a.b"]', 1, 2)),
        ("rules[1].on", "update", PropertyChange("rules[1].on", "p", "q")),
        ("rules[7].on", "update", PropertyChange("rules[7].on", None, None)),
    ],
)
def test_an_update_looks_up_both_values(path, kind, change):
    old = state(visibility=30, name="a", tags={"old": "x", "a.b": 1}, rules=[{}, {"on": "p"}])
    new = state(visibility=60, name="b", tags={"team": "core", "a.b": 2}, rules=[{}, {"on": "q"}])
    meta = {"old": old, "new": new, "detailedDiff": {path: {"diffKind": kind, "inputDiff": True}}}
    (told,), _ = hear(Operation.PREVIEW, step("resourcePreEvent", "update", **meta))
    assert told.step.changes == (change,)


def test_a_value_that_is_not_known_yet_says_so():
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    new = state(url=unknown, rules=[{"arn": unknown}])
    (told,), _ = hear(Operation.PREVIEW, step("resourcePreEvent", "create", new=new))
    assert told.step.changes == (
        PropertyChange("url", None, Unknown()),
        PropertyChange("rules", None, [{"arn": Unknown()}]),
    )


def test_a_step_is_started_and_done_and_counted_once():
    told, heard = hear(
        Operation.APPLY,
        step("resourcePreEvent", "create", COMPONENT),
        step("resourcePreEvent", "create", new=state()),
        step("resOutputsEvent", "create", new=state()),
        step("resOutputsEvent", "create", COMPONENT),
    )
    assert [type(event) for event in told] == [StepStarted, StepStarted, StepDone, StepDone]
    assert dict(heard.changes) == {Op.CREATE: 1}
    assert told[2].seconds >= 0


def test_a_replacement_is_one_step():
    told, heard = hear(
        Operation.APPLY,
        *(step(kind, op) for op in ("delete-replaced", "replace", "create-replacement")
          for kind in ("resourcePreEvent", "resOutputsEvent")),
    )  # fmt: skip
    assert [(type(event), event.step.op) for event in told] == [
        (StepStarted, Op.REPLACE),
        (StepDone, Op.REPLACE),
    ]
    assert dict(heard.changes) == {Op.REPLACE: 1}


def test_what_stays_is_counted_and_not_told():
    told, heard = hear(
        Operation.APPLY, step("resourcePreEvent", "same"), step("resOutputsEvent", "same")
    )
    assert told == []
    assert (heard.unchanged, dict(heard.changes)) == (1, {})


def test_what_a_refresh_finds_is_news_where_it_was_asked_for():
    events = [
        step("resourcePreEvent", "refresh", old=state(), new=state()),
        step("resOutputsEvent", "delete", old=state()),
        step("resourcePreEvent", "same"),
        step("resOutputsEvent", "same"),
    ]
    told, heard = hear(Operation.REFRESH, *events)
    assert [(type(event), event.step.op) for event in told] == [(StepDone, Op.DELETE)]
    assert dict(heard.changes) == {Op.DELETE: 1}
    told, heard = hear(Operation.APPLY, *events[:2])
    assert told == []
    assert dict(heard.changes) == {}


def test_a_change_that_a_refresh_finds_shows_what_it_was():
    events = [
        step("resourcePreEvent", "refresh", old=state(visibility=30)),
        step("resOutputsEvent", "update", old=state(visibility=30), new=state(visibility=99)),
    ]
    (told,), _ = hear(Operation.REFRESH, *events)
    assert told.step.changes == (PropertyChange("visibility", 30, 99),)


def test_the_engines_own_resources_are_not_told():
    own = [f"{STACK}::pulumi:pulumi:Stack::shop-local", f"{STACK}::pulumi:providers:aws::aws"]
    told, heard = hear(Operation.APPLY, *(step("resOutputsEvent", "create", urn) for urn in own))
    assert told == []
    assert dict(heard.changes) == {}


def test_a_name_with_colons_stays_whole():
    urn = f"{STACK}::buildflow:S3FileChangeStream::bucket::odd:queue"
    (told,), _ = hear(Operation.PREVIEW, step("resourcePreEvent", "create", urn))
    assert told.step.owner == "S3FileChangeStream bucket::odd:queue"


def test_a_failure_is_told_and_the_reason_kept():
    diagnostic = {"severity": "error", "message": "no such thing\nsecond line\n", "urn": QUEUE}
    told, heard = hear(
        Operation.APPLY,
        step("resOpFailedEvent", "create"),
        EngineEvent.from_json({"diagnosticEvent": diagnostic}),
    )
    assert isinstance(told[0], StepFailed)
    assert told[1] == Diagnostic("error", "no such thing\nsecond line", QUEUE)
    assert heard.errors == ["no such thing\nsecond line"]


@pytest.mark.parametrize(
    "diagnostic",
    [
        {"severity": "debug", "message": "noise"},
        {"severity": "info", "message": "moving", "ephemeral": True},
        {"severity": "info", "message": "  \n"},
        {"severity": "error", "message": "update failed"},
    ],
)
def test_noise_is_dropped(diagnostic):
    told, _ = hear(Operation.APPLY, EngineEvent.from_json({"diagnosticEvent": diagnostic}))
    assert told == []


def test_an_error_that_the_engine_repeats_is_told_once():
    told, heard = hear(
        Operation.APPLY,
        *(
            EngineEvent.from_json({"diagnosticEvent": {"severity": "error", "message": message}})
            for message in ("no shelf", "an unhandled error occurred: no shelf")
        ),
    )
    assert told == [Diagnostic("error", "no shelf")]
    assert heard.errors == ["no shelf"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("code: 255\n stderr: x\nerror: the first\nerror: the second", "the first"),
        (" stderr: error: right behind it", "right behind it"),
        ("error: 2 errors occurred:\n    1) no room", "2 errors occurred:\n    1) no room"),
        ("all is well, says the error: log", ""),
    ],
)
def test_the_first_error_of_a_text(text, found):
    assert first_error(text) == found
