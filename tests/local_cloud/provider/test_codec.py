"""Property bags: what the engine sends, and what it gets back."""

from __future__ import annotations

import pytest
from google.protobuf import struct_pb2
from pulumi.runtime import rpc

from buildflow_nb.local_cloud.provider import codec
from buildflow_nb.local_cloud.provider.codec import UNKNOWN, Bag, decode, encode


def test_plain_values_come_back_as_they_were():
    values = {
        "none": None,
        "flag": True,
        "whole": 262_144,
        "fraction": 1.5,
        "text": "ä",
        "list": [1, "a", [], {}],
        "map": {"a": {"b": [False]}},
        "empty list": [],
        "empty map": {},
    }
    found = decode(encode(values))
    assert found == Bag(values)
    assert isinstance(found.values["whole"], int)
    assert isinstance(found.values["flag"], bool)


def test_secrets_are_named_by_property_and_keep_their_value():
    found = decode(encode({"a": {"b": "hidden"}, "c": "open"}, {"a"}))
    assert found == Bag({"a": {"b": "hidden"}, "c": "open"}, frozenset({"a"}))


def test_a_secret_inside_a_property_makes_all_of_it_secret():
    struct = encode({"tags": {"open": "1"}})
    inner = struct.fields["tags"].struct_value.fields
    inner["closed"].CopyFrom(codec.encoded("2", secret=True))
    found = decode(struct)
    assert found == Bag({"tags": {"open": "1", "closed": "2"}}, frozenset({"tags"}))


@pytest.mark.parametrize("text", sorted(codec.UNKNOWN_TEXTS))
def test_every_kind_of_unknown_is_the_one(text):
    struct = struct_pb2.Struct()
    struct["a"] = text
    assert decode(struct).values["a"] is UNKNOWN
    assert encode({"a": UNKNOWN})["a"] == rpc.UNKNOWN


def test_signatures_are_those_of_the_sdk():
    assert rpc._special_sig_key == codec.SIGNATURE_KEY
    assert rpc._special_secret_sig == codec.SECRET_SIGNATURE
