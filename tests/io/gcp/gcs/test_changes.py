"""Changes of a bucket's objects: the messages, and what of them is handed out."""

from __future__ import annotations

import pytest

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Batch, Env, Malformed, Wire
from buildflow_nb.io.gcp import (
    GCPPubSubSubscription,
    GCPPubSubTopic,
    GCSBucket,
    GCSFileChangeStream,
)
from buildflow_nb.io.gcp.gcs.changes import event_of, event_source
from buildflow_nb.types.gcp import GCSChangeStreamEventType, GCSFileChangeEvent, PubsubMessage
from buildflow_nb.types.portable import FileChangeEvent
from tests.io.contract import ConfigContract, run
from tests.io.gcp.vendor import PROJECT

FINALIZE, DELETE, METADATA, UNKNOWN = (
    GCSChangeStreamEventType.OBJECT_FINALIZE,
    GCSChangeStreamEventType.OBJECT_DELETE,
    GCSChangeStreamEventType.OBJECT_METADATA_UPDATE,
    GCSChangeStreamEventType.UNKNOWN,
)


class TestConfig(ConfigContract):
    def make(self, folder):
        return GCSFileChangeStream(GCSBucket(PROJECT, "inbox"), [FINALIZE, "OBJECT_DELETE"])


def message(key, event="OBJECT_FINALIZE"):
    attributes = {"eventType": event, "bucketId": "inbox", "objectId": key}
    return PubsubMessage(b"{}", attributes, "ack")


class FakeSubscription:
    """Gives batches of messages, their places as receipts, and notes what is settled."""

    def __init__(self, *batches):
        self.batches = [Batch(list(one), list(range(len(one)))) for one in batches]
        self.settled = []
        self.faults = []

    async def pull(self):
        return self.batches.pop(0)

    async def settle(self, receipts, *, ok):
        if self.faults:
            raise self.faults.pop(0)
        self.settled += [(receipt, ok) for receipt in receipts]

    async def backlog(self):
        return None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("OBJECT_FINALIZE", FINALIZE),
        ("OBJECT_DELETE", DELETE),
        ("OBJECT_METADATA_UPDATE", METADATA),
        ("OBJECT_TRANSMUTED", UNKNOWN),
    ],
)
def test_event_names(name, kind):
    event = event_of(message("dir/ü 数.txt", name), None)
    assert isinstance(event, GCSFileChangeEvent)
    assert isinstance(event, FileChangeEvent)
    assert (event.event_type, event.file_path, event.bucket_name) == (kind, "dir/ü 数.txt", "inbox")
    assert event.metadata["eventType"] == name


@pytest.mark.parametrize("attributes", [{}, {"eventType": "OBJECT_FINALIZE"}, {"objectId": "a"}])
def test_what_is_no_message_of_cloud_storage_fails_alone(attributes):
    found = event_of(PubsubMessage(b"hello", attributes), None)
    assert isinstance(found, Malformed)
    assert found.reason == "without eventType and objectId, so no message of Cloud Storage"


def test_events_of_other_kinds_are_passed_over_and_acknowledged():
    batch = [message("a"), message("b", "OBJECT_DELETE"), message("c"), message("d", "NEW")]
    subscription = FakeSubscription(batch)

    async def go():
        source = event_source(subscription, None, [FINALIZE])
        batch = await source.pull()
        await source.settle(batch.receipts[1:], ok=False)
        return batch

    batch = run(go())
    assert [event.file_path for event in batch.items] == ["a", "c", "d"]
    assert [batch.origin(i) for i in range(3)] == [f"gs://inbox/{key}" for key in "acd"]
    assert subscription.settled == [(1, True), (2, False), (3, False)]


def test_events_beside_others_that_cannot_be_acknowledged_are_kept():
    subscription = FakeSubscription([message("a"), message("b", "OBJECT_DELETE")])
    subscription.faults = [ConnectionError("cut")]

    async def go():
        source = event_source(subscription, None, [FINALIZE])
        with pytest.raises(ConnectionError):
            await source.pull()
        return await source.pull()

    assert [event.file_path for event in run(go()).items] == ["a"]
    assert subscription.settled == [(1, True)]


def test_a_batch_of_others_alone_is_no_empty_subscription():
    batches = [message("a", "OBJECT_DELETE")], [message("b")], []

    async def go():
        source = event_source(FakeSubscription(*batches), None, [FINALIZE])
        return [list((await source.pull()).items) for _ in range(2)]

    (event,), nothing = run(go())
    assert (event.file_path, nothing) == ("b", [])


def test_what_was_not_tried_is_released():
    released = []

    async def go(subscription):
        source = event_source(subscription, None, [FINALIZE])
        batch = await source.pull()
        await source.release(batch.receipts)

    class Releasing(FakeSubscription):
        async def release(self, receipts):
            released.extend(receipts)

    run(go(Releasing([message("a"), message("b")])))
    assert released == [0, 1]
    plain = FakeSubscription([message("a")])
    run(go(plain))
    assert plain.settled == [(0, False)]


class Odd(dict):
    """Attributes whose reading fails."""

    def __getitem__(self, key):
        raise LookupError(key)


def test_a_message_that_cannot_even_be_read_fails_alone():
    odd = PubsubMessage(b"", Odd(eventType="OBJECT_FINALIZE", objectId="b"))
    strange = PubsubMessage(b"", {"eventType": 7, "objectId": "c"})
    subscription = FakeSubscription([message("a"), odd, strange, message("d")])

    async def go():
        return await event_source(subscription, None, [FINALIZE]).pull()

    first, second, third, fourth = run(go()).items
    assert (first.file_path, fourth.file_path) == ("a", "d")
    assert second.raw is odd
    assert second.reason == ("cannot be read as a message of Cloud Storage: LookupError: eventType")
    assert isinstance(third, Malformed)


def test_what_a_blob_cannot_be():
    with pytest.raises(ValueError, match="Can't fetch blob for `delete` event"):
        _ = event_of(message("a", "OBJECT_DELETE"), object()).blob
    with pytest.raises(ValueError, match="OBJECT_FINALIZE speaks of no object that can be fetched"):
        _ = event_of(message("a"), None).blob


@pytest.mark.emulator
def test_a_blob_is_fetched_or_has_gone(gcs, name):
    gcs.create_bucket(name)
    gcs.bucket(name).blob("a b.txt").upload_from_string("ü")
    there, gone = (
        GCSFileChangeEvent(key, FINALIZE, {"bucketId": name}, gcs) for key in ("a b.txt", "c")
    )
    assert there.blob == "ü".encode()
    with pytest.raises(FileNotFoundError, match=f"gs://{name}/c has gone since"):
        _ = gone.blob


def test_configuration():
    stream = GCSFileChangeStream(GCSBucket(PROJECT, "my.in-box"))
    assert stream.event_types == (FINALIZE,)
    topic = GCPPubSubTopic(PROJECT, "my.in-box_topic")
    subscription = GCPPubSubSubscription(
        PROJECT, "my.in-box_subscription", topic=topic, include_attributes=True
    )
    assert stream.owned() == (topic, subscription)
    assert stream.parents() == (stream.gcs_bucket,)
    assert stream.primitive_id == "my.in-box.my.in-box_topic"
    assert stream.source_wire is Wire.OBJECT
    assert GCSFileChangeStream(GCSBucket("inbox"), DELETE).event_types == (DELETE,)
    assert GCSFileChangeStream(GCSBucket("inbox"), ["deleted", "OBJECT_delete"]).event_types == (
        DELETE,
    )


def test_a_bucket_that_begins_with_a_digit_has_a_legal_topic():
    stream = GCSFileChangeStream(GCSBucket(None, "0x0"))
    assert stream.pubsub_topic.topic_id_in(Env(gcp_project="p")) == "projects/p/topics/B0x0_topic"


@pytest.mark.parametrize("given", [["moved"], [UNKNOWN], [7], 7, "moved"])
def test_event_types_that_cannot_be_subscribed_to(given):
    with pytest.raises(DeclarationError, match="must be of OBJECT_FINALIZE, OBJECT_DELETE"):
        GCSFileChangeStream(GCSBucket("inbox"), given)


@pytest.mark.parametrize("bucket", ["b-b", None])
def test_a_stream_is_of_a_bucket(bucket):
    with pytest.raises(
        DeclarationError, match=r"must be a bucket, got .*write GCSFileChangeStream"
    ):
        GCSFileChangeStream(bucket)


@pytest.mark.parametrize("none", [[], (), set(), iter(())])
def test_no_event_types_are_all(none):
    stream = GCSFileChangeStream(GCSBucket("inbox"), none)
    assert [kind.name for kind in stream.event_types] == [
        "OBJECT_FINALIZE",
        "OBJECT_DELETE",
        "OBJECT_ARCHIVE",
        "OBJECT_METADATA_UPDATE",
    ]
