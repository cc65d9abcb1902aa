"""What a change of inputs means, path by path."""

from __future__ import annotations

import pytest
from pulumi.runtime.proto import provider_pb2 as proto

from buildflow_nb.local_cloud.provider.codec import UNKNOWN
from buildflow_nb.local_cloud.provider.diff import difference
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.names import AutoName
from buildflow_nb.local_cloud.provider.schema import Input, Schema

SCHEMA = Schema(
    "test:a:Thing",
    inputs={
        "name": Input(replaces=True, computed=True),
        "size": Input(Kind.NUMBER),
        "place": Input(required=True, replaces=True),
        "region": Input(computed=True, replaces=True),
        "tags": Input(Kind.TABLE),
        "policy": Input(Kind.JSON),
        "flag": Input(Kind.FLAG),
        "queues": Input(
            Kind.OBJECTS,
            parts={
                "arn": Input(required=True),
                "id": Input(computed=True),
                "events": Input(Kind.CHOICES),
            },
        ),
        "retry": Input(
            Kind.OBJECT,
            parts={"low": Input(Kind.DURATION), "high": Input(Kind.DURATION, computed=True)},
        ),
        "filter": Input(Kind.OBJECT, replaces=True, parts={"text": Input()}),
    },
    name=AutoName("name", 20),
)


def kinds(olds, news, state=None):
    found = difference(SCHEMA, olds, state or {}, news)
    return {path: proto.PropertyDiff.Kind.Name(kind) for path, kind in found.paths.items()}


@pytest.mark.parametrize(
    ("olds", "news", "expected"),
    [
        ({"size": 1}, {"size": 2}, {"size": "UPDATE"}),
        ({}, {"size": 0}, {"size": "ADD"}),
        ({"size": 1}, {}, {"size": "DELETE"}),
        ({"size": 1}, {"size": UNKNOWN}, {"size": "UPDATE"}),
        (
            {"tags": {"a": "1", "b": "2"}},
            {"tags": {"b": "3", "c.d": ""}},
            {"tags.a": "DELETE", "tags.b": "UPDATE", 'tags["c.d"]': "ADD"},
        ),
        ({"tags": {"a": ""}}, {"tags": {}}, {"tags.a": "DELETE"}),
        ({"tags": {"a": "1"}}, {}, {"tags": "DELETE"}),
        (
            {"queues": [{"arn": "a"}, {"arn": "b"}]},
            {"queues": [{"arn": "x"}]},
            {"queues[0].arn": "UPDATE", "queues[1]": "DELETE"},
        ),
        ({"retry": {"low": "1s"}}, {"retry": {"low": "2s"}}, {"retry.low": "UPDATE"}),
        (
            {"queues": [{"arn": "a"}]},
            {"queues": [{"arn": "a", "events": ["e"]}]},
            {"queues[0].events": "ADD"},
        ),
        ({"name": "a"}, {"name": "b"}, {"name": "UPDATE_REPLACE"}),
        ({"filter": {"text": "a"}}, {"filter": {}}, {"filter.text": "DELETE_REPLACE"}),
        ({}, {"filter": {"text": "a"}}, {"filter": "ADD_REPLACE"}),
        ({"flag": True}, {"flag": False}, {"flag": "UPDATE"}),
    ],
)
def test_changes_by_path(olds, news, expected):
    assert kinds(olds, news) == expected


@pytest.mark.parametrize(
    ("olds", "news"),
    [
        ({"size": 1, "__defaults": ["size"]}, {"size": 1, "__defaults": []}),
        ({"region": "us-east-1"}, {}),
        ({"policy": '{"a": 1}'}, {"policy": '{"a":1}'}),
        ({"queues": [{"arn": "a", "id": "7"}]}, {"queues": [{"arn": "a"}]}),
        (
            {"queues": [{"arn": "a", "events": ["x", "y"]}]},
            {"queues": [{"arn": "a", "events": ["y", "x"]}]},
        ),
        ({"retry": {"low": "1s", "high": "9s"}}, {"retry": {"low": "1.0s"}}),
        ({"flag": False}, {}),
        ({}, {"flag": False}),
        ({"tags": {}}, {}),
    ],
)
def test_what_is_no_change(olds, news):
    assert kinds(olds, news) == {}


def test_an_input_that_says_what_is_so_already_is_no_change():
    assert kinds({}, {"region": "eu-west-1"}, {"region": "eu-west-1"}) == {}
    changed = kinds({}, {"region": "eu-west-1"}, {"region": "us-east-1"})
    assert changed == {"region": "UPDATE_REPLACE"}


def test_the_programs_word_stands_where_an_import_was_told_nothing():
    assert kinds({}, {"place": "here"}) == {}
    assert kinds({"place": "there"}, {"place": "here"}) == {"place": "UPDATE_REPLACE"}
    assert kinds({"queues": [{}]}, {"queues": [{"arn": "a"}]}) == {"queues[0].arn": "ADD"}


def test_ignored_changes_are_none():
    found = difference(SCHEMA, {"size": 1, "name": "a"}, {}, {"size": 2, "name": "b"}, ["name"])
    assert list(found.paths) == ["size"]
    assert found.replaces == []


@pytest.mark.parametrize(
    ("olds", "news", "first"),
    [
        # A name that stays and was given: the old resource holds it.
        ({"name": "a", "region": "x"}, {"name": "a", "region": "y"}, True),
        # An auto-name: the replacement gets another one.
        ({"name": "a", "region": "x"}, {"name": "a", "region": "y", "__defaults": ["name"]}, False),
        ({"name": "a"}, {"name": "b"}, False),
        ({"name": "a", "size": 1}, {"name": "a", "size": 2}, False),
    ],
)
def test_the_old_one_goes_first_where_the_new_one_has_its_name(olds, news, first):
    assert difference(SCHEMA, olds, {}, news).delete_first is first


def test_the_answer_to_the_engine():
    answer = difference(SCHEMA, {"tags": {"a": "1"}, "name": "a"}, {}, {"name": "b"}).response()
    assert answer.changes == proto.DiffResponse.DIFF_SOME
    assert list(answer.diffs) == ["name", "tags"]
    assert list(answer.replaces) == ["name"]
    assert answer.hasDetailedDiff
    none = difference(SCHEMA, {"size": 1}, {}, {"size": 1}).response()
    assert none.changes == proto.DiffResponse.DIFF_NONE
