"""Which values are right, and which mean the same."""

from __future__ import annotations

import pytest

from buildflow_nb.local_cloud.provider.codec import UNKNOWN
from buildflow_nb.local_cloud.provider.kinds import Kind, fault, same


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.TEXT, "a"),
        (Kind.FLAG, False),
        (Kind.NUMBER, 0),
        (Kind.TABLE, {"a": "b", "c": UNKNOWN}),
        (Kind.TEXTS, ["a", UNKNOWN]),
        (Kind.OBJECT, {"a": 1}),
        (Kind.OBJECTS, [{"a": 1}]),
        (Kind.JSON, '{"a": 1}'),
        (Kind.JSON, ""),
        (Kind.DURATION, "3.5s"),
        (Kind.DURATION, ""),
        *((kind, UNKNOWN) for kind in Kind),
    ],
)
def test_right_values_have_no_fault(kind, value):
    assert fault(kind, value) is None


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (Kind.TEXT, 1, "expected a text, not a number"),
        (Kind.FLAG, "true", "expected true or false, not this text"),
        (Kind.NUMBER, "30", "expected a whole number, not this text"),
        (Kind.NUMBER, True, "expected a whole number, not a truth value"),
        (Kind.NUMBER, 1.5, "expected a whole number, not a fraction"),
        (Kind.TABLE, {"a": 1}, "expected a map of texts, not a map"),
        (Kind.TEXTS, "a", "expected a list of texts, not this text"),
        (Kind.CHOICES, [1], "expected a list of texts in any order, not a list"),
        (Kind.JSON, "{", "expected JSON text, not this text"),
        (Kind.DURATION, "10", "expected a duration in seconds like '3.5s', not this text"),
        (Kind.DURATION, "tens", "expected a duration in seconds like '3.5s', not this text"),
    ],
)
def test_wrong_values_are_named_and_not_shown(kind, value, reason):
    assert fault(kind, value) == reason


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (Kind.TEXT, "a", "a"),
        (Kind.JSON, '{"a": 1, "b": 2}', '{"b":2,"a":1}'),
        (Kind.DURATION, "600s", "600.0s"),
        (Kind.CASELESS, "us", "US"),
        (Kind.PATH, "t", "projects/p/topics/t"),
        (Kind.PATH, "//pubsub.googleapis.com/projects/p/topics/t", "projects/p/topics/t"),
        (Kind.CHOICES, ["a", "b"], ["b", "a"]),
    ],
)
def test_what_means_the_same(kind, one, other):
    assert same(kind, one, other)
    assert same(kind, other, one)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (Kind.TEXT, "us", "US"),
        (Kind.JSON, "{", "["),
        (Kind.DURATION, "x", "y"),
        (Kind.PATH, "t", "projects/p/topics/other-t"),
        (Kind.TEXTS, ["a", "b"], ["b", "a"]),
        (Kind.FLAG, False, None),
        (Kind.TEXT, UNKNOWN, UNKNOWN),
        (Kind.TABLE, {"a": UNKNOWN}, {"a": UNKNOWN}),
        (Kind.TEXTS, [UNKNOWN], [UNKNOWN]),
    ],
)
def test_what_does_not(kind, one, other):
    assert not same(kind, one, other)
