"""What the front makes of requests before it does anything: names, metadata, notifications."""

from __future__ import annotations

import pytest

from buildflow_nb.local_cloud.storage.buckets import created, patched
from buildflow_nb.local_cloud.storage.json_body import parse
from buildflow_nb.local_cloud.storage.notifications import checked
from buildflow_nb.local_cloud.storage.object_names import (
    check_metadata,
    check_names,
    check_path,
)
from buildflow_nb.local_cloud.storage.refusal import RefusedError

TOPIC = "//pubsub.googleapis.com/projects/p/topics/t"


@pytest.mark.parametrize(
    "name", ["../x", "a/../b", "a/..", "..", ".", "a/./b", "..\\x", "a\\..\\b", "a\0b"]
)
def test_names_that_leave_the_folder_are_refused(name):
    with pytest.raises(RefusedError, match="use another name"):
        check_names("fine", name)


@pytest.mark.parametrize("path", ["/b/x/o/..%2Fy", "/b/x/o/%2e%2e/y", "/b/../../y", "/o/a%00b"])
def test_paths_are_looked_at_as_the_emulator_reads_them(path):
    with pytest.raises(RefusedError, match="use another name"):
        check_path(path)


def test_all_other_names_pass():
    check_names(
        "", "a", "a/b/", "/a", "a//b", "..a", "a..", "...", "%2e%2e/x", "\udcff\ud800", "ü" * 127
    )
    check_path("/storage/v1/b/x/o/a%2Fb%252e%252e%2Fc?fields=../..")
    with pytest.raises(RefusedError, match="255 bytes at most"):
        check_names("ü" * 128)


@pytest.mark.parametrize(
    "text",
    [
        b'{"name": "../x"}',
        b'{"Name": "../x"}',
        b'{"name": "../x", "name": "fine"}',
        b'{"sourceObjects": [{"name": "fine"}, {"name": "../x"}]}',
        b'{"name": "\\u002e\\u002e/x"}',
    ],
)
def test_names_are_found_wherever_metadata_has_them(text):
    with pytest.raises(RefusedError, match="use another name"):
        check_metadata(text)


def test_metadata_that_cannot_be_read_is_refused():
    check_metadata(b"")
    check_metadata(b'{"name": "fine", "metadata": {"name": "../x", "path": ".."}}')
    for text in (b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(RefusedError, match="not JSON"):
            check_metadata(text)


def test_a_body_is_an_object_or_nothing():
    assert parse(b' {"a": 1}') == {"a": 1}
    assert parse(b" ") == {}
    with pytest.raises(RefusedError, match="not a JSON object"):
        parse(b"[]")
    for text in (b"\xff", b"[" * 100_000):
        with pytest.raises(RefusedError, match="not JSON"):
            parse(text)


@pytest.mark.parametrize(
    ("location", "kind"),
    [("us", "multi-region"), ("Eur4", "dual-region"), ("EUROPE-WEST1", "region")],
)
def test_locations_are_of_three_kinds(location, kind):
    made = created({"name": "b", "location": location})
    assert (made["location"], made["locationType"]) == (location.upper(), kind)


def test_a_patch_changes_key_by_key():
    first = created({"labels": {"a": "1", "b": "2"}, "timeCreated": "mine", "name": "b"})
    assert first["metageneration"] == "1"
    assert "timeCreated" not in first
    wanted = {
        "labels": {"a": None, "c": "3"},
        "iamConfiguration": {"publicAccessPrevention": "enforced"},
        "cors": [{"origin": ["*"]}],
        "location": "EU",
    }
    second = patched(first, wanted)
    assert second["labels"] == {"b": "2", "c": "3"}
    assert second["iamConfiguration"] == {
        "uniformBucketLevelAccess": {"enabled": False},
        "publicAccessPrevention": "enforced",
    }
    assert (second["cors"], second["location"]) == ([{"origin": ["*"]}], "US")
    assert second["metageneration"] == "2"
    third = patched(second, {"labels": None, "cors": None, "storageClass": None})
    assert {"labels", "cors"}.isdisjoint(third)
    assert third["storageClass"] == "STANDARD", "there is no bucket without one"
    assert first["labels"] == {"a": "1", "b": "2"}, "the old is left as it was"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"versioning": {"enabled": True}}, "no object versioning"),
        ({"versioning": "on"}, "no object versioning"),
        ({"labels": "x"}, "labels of a bucket has to be an object"),
        ({"iamConfiguration": []}, "iamConfiguration of a bucket has to be an object"),
    ],
)
def test_metadata_that_cannot_be_had_is_refused(wanted, said):
    with pytest.raises(RefusedError, match=said):
        patched(created({"versioning": {"enabled": False}}), wanted)


def test_of_a_notification_only_its_fields_are_kept():
    wanted = {"topic": TOPIC, "payload_format": "NONE", "event_types": ["OBJECT_DELETE"]}
    assert checked({**wanted, "id": "7", "object_name_prefix": "", "etag": "x"}) == wanted


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"topic": "projects/p/topics/t"}, "topic must be //pubsub"),
        ({"topic": None}, "topic must be //pubsub"),
        ({"payload_format": "XML"}, "payload_format must be one of JSON_API_V1, NONE"),
        ({"payload_format": None}, "payload_format must be one of"),
        ({"event_types": ["OBJECT_EATEN"]}, "event_types must be a list of OBJECT_FINALIZE"),
        ({"event_types": "OBJECT_DELETE"}, "event_types must be a list"),
        ({"custom_attributes": {"k": 1}}, "values are strings"),
        ({"object_name_prefix": 7}, "must be a string"),
    ],
)
def test_a_notification_that_could_not_work_is_refused(wrong, said):
    with pytest.raises(RefusedError, match=said):
        checked({"topic": TOPIC, "payload_format": "NONE", **wrong})
