"""Who hears of an event, and what a topic that takes none does to the others."""

from __future__ import annotations

import json
import logging

import pytest

from buildflow_nb.local_cloud.pubsub.status import not_found
from buildflow_nb.local_cloud.storage.fan_out import HOST, FanOut, described
from buildflow_nb.local_cloud.storage.kept_file import KeptFile
from buildflow_nb.local_cloud.storage.registrations import Registrations
from tests.io.contract import run

RESOURCE = {
    "kind": "storage#object",
    "bucket": "b",
    "name": "in/1",
    "generation": "7",
    "updated": "2026-01-01T00:00:00Z",
}


class Topics:
    """What was published, by topic; those in `gone` refuse."""

    def __init__(self):
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.gone: set[str] = set()

    def publish(self, topic, messages):
        if topic in self.gone:
            raise not_found(topic)
        self.got += [(topic, dict(one.attributes), one.data) for one in messages]

    def names(self):
        found = [topic.rpartition("/")[2] for topic, _, _ in self.got]
        self.got.clear()
        return found


@pytest.fixture
def topics():
    return Topics()


@pytest.fixture
def kept(tmp_path):
    return Registrations(KeptFile(tmp_path / "storage.json"), lambda: 0)


@pytest.fixture
def fan_out(topics, kept):
    return FanOut(topics.publish, kept)


def notify(kept, topic, bucket="b", **fields):
    wanted = {"topic": f"{HOST}projects/p/topics/{topic}", "payload_format": "JSON_API_V1"}
    return run(kept.add_notification(bucket, {**wanted, **fields}))["id"]


def test_an_event_is_described_as_cloud_storage_does():
    attributes, payload = described("OBJECT_FINALIZE", RESOURCE)
    assert attributes == {
        "eventType": "OBJECT_FINALIZE",
        "bucketId": "b",
        "objectId": "in/1",
        "objectGeneration": "7",
        "eventTime": "2026-01-01T00:00:00Z",
    }
    assert json.loads(payload) == RESOURCE


def test_only_those_who_asked_hear_of_it(kept, topics, fan_out):
    notify(kept, "all")
    notify(kept, "made", event_types=["OBJECT_FINALIZE"])
    notify(kept, "gone", event_types=["OBJECT_DELETE", "OBJECT_ARCHIVE"])
    notify(kept, "in", object_name_prefix="in/")
    notify(kept, "out", object_name_prefix="out/")
    notify(kept, "other", bucket="b2")
    fan_out.tell(*described("OBJECT_FINALIZE", RESOURCE))
    assert topics.names() == ["all", "made", "in"]
    fan_out.tell(*described("OBJECT_DELETE", {**RESOURCE, "name": "out/1"}))
    assert topics.names() == ["all", "gone", "out"]
    fan_out.tell(*described("OBJECT_DELETE", {**RESOURCE, "bucket": "b3"}))
    fan_out.tell({}, b"")
    assert topics.names() == []


def test_attributes_and_payload_are_those_of_the_notification(kept, topics, fan_out):
    first = notify(kept, "t", custom_attributes={"k": "v", "objectId": "false"})
    second = notify(kept, "t", payload_format="NONE")
    attributes, payload = described("OBJECT_FINALIZE", RESOURCE)
    attributes["overwroteGeneration"] = "6"
    fan_out.tell(attributes, payload)
    config = "projects/_/buckets/b/notificationConfigs/"
    assert topics.got == [
        (
            "projects/p/topics/t",
            {
                **attributes,
                "k": "v",
                "notificationConfig": f"{config}{first}",
                "payloadFormat": "JSON_API_V1",
            },
            payload,
        ),
        (
            "projects/p/topics/t",
            {**attributes, "notificationConfig": f"{config}{second}", "payloadFormat": "NONE"},
            b"",
        ),
    ]


def test_a_topic_that_is_gone_is_passed_over_and_told_once(kept, topics, fan_out, caplog):
    notify(kept, "before")
    number = notify(kept, "lost")
    notify(kept, "after")
    topics.gone.add("projects/p/topics/lost")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            fan_out.tell(*described("OBJECT_FINALIZE", RESOURCE))
    assert topics.names() == ["before", "after"] * 3
    (record,) = caplog.records
    assert f"notification {number} do not reach projects/p/topics/lost" in record.getMessage()

    topics.gone.clear()
    fan_out.tell(*described("OBJECT_FINALIZE", RESOURCE))
    assert topics.names() == ["before", "lost", "after"]
    topics.gone.add("projects/p/topics/lost")
    with caplog.at_level(logging.WARNING):
        fan_out.tell(*described("OBJECT_FINALIZE", RESOURCE))
    assert len(caplog.records) == 2, "a new trouble is told anew"
