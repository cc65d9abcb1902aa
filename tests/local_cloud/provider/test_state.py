"""Outputs and inputs that the engine keeps."""

from __future__ import annotations

from buildflow_nb.local_cloud.provider import state
from buildflow_nb.local_cloud.provider.codec import UNKNOWN, Bag
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.schema import Input, Schema

SCHEMA = Schema(
    "test:a:Thing",
    inputs={
        "force": Input(Kind.FLAG, default=False),
        "name": Input(computed=True),
        "policy": Input(Kind.JSON),
        "region": Input(computed=True),
        "tags": Input(Kind.TABLE),
    },
    outputs={"arn": (), "tagsAll": ("tags",)},
)
INPUTS = Bag({"name": "a", "tags": {"x": "1"}, "force": False, "__defaults": ["force"]})


def test_a_planned_create_knows_no_outputs_but_those_that_are_given():
    assert state.planned_create(SCHEMA, INPUTS).values == {
        "name": "a",
        "tags": {"x": "1"},
        "force": False,
        "region": UNKNOWN,
        "arn": UNKNOWN,
        "tagsAll": UNKNOWN,
    }


def test_a_planned_update_keeps_what_does_not_follow_a_change():
    olds = Bag({"name": "a", "region": "r", "arn": "n", "tagsAll": {"x": "0"}})
    planned = state.planned_update(SCHEMA, INPUTS, olds, ["tags"]).values
    assert planned["arn"] == "n"
    assert planned["region"] == "r"
    assert planned["tagsAll"] is UNKNOWN
    planned = state.planned_update(SCHEMA, INPUTS, olds, ["force"]).values
    assert planned["tagsAll"] == {"x": "0"}


def test_what_an_update_leaves_out_is_not_known_any_more():
    olds = Bag({"tags": {"x": "1"}, "region": "r", "arn": "n", "policy": "{}"})
    known = state.known_after(SCHEMA, Bag({"policy": "[]", "__defaults": []}), olds)
    assert known == {"region": "r", "arn": "n", "policy": "[]"}


def test_what_is_made_has_every_output_and_the_programs_spelling():
    inputs = Bag({"policy": '{"a": 1}', "name": "a"})
    made = state.made(SCHEMA, inputs, {"policy": '{"a":1}', "arn": "n"}).values
    assert made["policy"] == '{"a": 1}'
    assert made["tagsAll"] is None
    assert made["region"] is None
    assert "__defaults" not in made


def test_secrets_reach_the_outputs_that_follow_them():
    inputs = Bag(INPUTS.values, frozenset({"tags"}))
    for bag in (
        state.planned_create(SCHEMA, inputs),
        state.planned_update(SCHEMA, inputs, inputs, ["tags"]),
        state.made(SCHEMA, inputs, {}),
    ):
        assert bag.secrets == {"tags", "tagsAll"}
    assert state.made(SCHEMA, INPUTS, {}, frozenset({"arn"})).secrets == {"arn"}


def test_found_inputs_show_drift_and_nothing_that_the_cloud_fills_in():
    live = {"name": "a", "region": "r", "tags": {"x": "2"}, "policy": "{}", "arn": "n"}
    found = state.found_inputs(SCHEMA, INPUTS, live).values
    assert found["tags"] == {"x": "2"}
    assert found["policy"] == "{}"  # nobody declared one
    assert "region" not in found
    assert "arn" not in found
    assert found["__defaults"] == ["force"]
    gone = state.found_inputs(SCHEMA, INPUTS, {**live, "tags": None}).values
    assert "tags" not in gone


def test_imported_inputs_are_what_a_program_would_say():
    live = {"name": "a", "region": "r", "tags": {}, "policy": None, "arn": "n"}
    expected = {"name": "a", "region": "r", "force": False, "__defaults": []}
    assert state.imported_inputs(SCHEMA, live).values == expected
