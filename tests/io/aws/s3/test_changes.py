"""Changes of a bucket's objects: the messages, and the whole way from a put to an event."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.portable import placed
from buildflow_nb.core.primitive import Batch, Env, Malformed, Wire
from buildflow_nb.io.aws import S3Bucket, S3FileChangeStream, SQSQueue
from buildflow_nb.io.aws.s3.changes import event_source, events_of
from buildflow_nb.io.portable import FileChangeStream
from buildflow_nb.types.aws import S3ChangeStreamEventType, S3FileChangeEvent
from buildflow_nb.types.portable import FileChangeEvent
from tests.io.contract import ConfigContract, drain, run
from tests.io.contract_endless import EndlessSourceContract
from tests.io.contract_sharing import SharingContract

CREATED, PUT, DELETED = (
    S3ChangeStreamEventType.OBJECT_CREATED_ALL,
    S3ChangeStreamEventType.OBJECT_CREATED_PUT,
    S3ChangeStreamEventType.OBJECT_REMOVED_DELETE,
)
TEST_EVENT = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "inbox"})


class TestConfig(ConfigContract):
    def make(self, folder):
        return S3FileChangeStream(S3Bucket("inbox"), [CREATED, "ObjectRemoved:*"])


def record(key, event="ObjectCreated:Put"):
    return {"eventName": event, "s3": {"bucket": {"name": "inbox"}, "object": {"key": key}}}


def message(*records):
    return json.dumps({"Records": list(records)})


def events(body, **words):
    return events_of(body, None, **{"test_events": False, **words})


class FakeQueue:
    """Gives batches of messages, their places as receipts, and notes what is settled."""

    def __init__(self, *bodies):
        self.batches = [Batch(list(bodies), list(range(len(bodies))))]
        self.settled = []
        self.faults = []

    async def pull(self):
        return self.batches.pop(0) if self.batches else None

    async def settle(self, receipts, *, ok):
        if self.faults:
            raise self.faults.pop(0)
        self.settled += [(receipt, ok) for receipt in receipts]

    async def backlog(self):
        return 7


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("a.txt", "a.txt"),
        ("dir/new+file%2B.txt", "dir/new file+.txt"),
        ("dir%2Fnew", "dir/new"),
        ("%C3%BC/%F0%9F%A6%86", "ü/🦆"),
        ("100%25", "100%"),
        ("new file+.txt", "new file+.txt"),  # as some emulators send it
        ("ü", "ü"),
        ("100%", "100%"),
    ],
)
def test_keys_are_decoded(encoded, key):
    (event,) = events(message(record(encoded)))
    assert event.file_path == key
    assert event.metadata["s3"]["object"]["key"] == encoded


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ObjectCreated:Put", PUT),
        ("s3:ObjectCreated:Put", PUT),
        ("ObjectRemoved:Delete", DELETED),
        ("ObjectRestore:Completed", S3ChangeStreamEventType.UNKNOWN),
        ("LifecycleExpiration:Delete", S3ChangeStreamEventType.UNKNOWN),
    ],
)
def test_event_names(name, kind):
    (event,) = events(message(record("a", name)))
    assert isinstance(event, S3FileChangeEvent)
    assert isinstance(event, FileChangeEvent)
    assert (event.event_type, event.bucket_name) == (kind, "inbox")
    assert event.metadata["eventName"] == name


def test_a_test_event_is_dropped_or_told():
    assert events(TEST_EVENT) == []
    (event,) = events(TEST_EVENT, test_events=True)
    assert (event.file_path, event.event_type) == ("", S3ChangeStreamEventType.UNKNOWN)
    assert event.bucket_name == "inbox"
    with pytest.raises(ValueError, match="speaks of no object"):
        _ = event.blob


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{", "not JSON, so no message of S3"),
        ("[1]", "no JSON object"),
        ('{"Event": "other"}', "neither Records nor a test event"),
        ('{"Records": [{"eventName": "x"}]}', "a record without the names of event, bucket"),
        ('{"Records": [1]}', "a record without the names of event, bucket"),
        ('{"Records": [{"eventName": 7, "s3": []}]}', "a record without the names of event"),
        (
            '{"Records": [{"eventName": "x", "s3": {"bucket": {}, "object": {"key": 7}}}]}',
            "a record without the names of event",
        ),
    ],
)
def test_what_is_no_message_of_s3_fails_alone(body, reason):
    (found,) = events(body)
    assert isinstance(found, Malformed)
    assert reason in found.reason


def settled(queue, *steps):
    """Pull once, then settle the receipts at these places."""

    async def go():
        source = event_source(queue, None, test_events=False)
        batch = await source.pull()
        for places, ok in steps:
            await source.settle([batch.receipts[i] for i in places], ok=ok)
        return batch

    return run(go())


def test_a_message_is_deleted_when_all_its_records_are_done():
    queue = FakeQueue(message(record("a"), record("b")), message(record("c")))
    batch = settled(queue, ([0, 2], True))
    assert [event.file_path for event in batch.items] == ["a", "b", "c"]
    assert [batch.origin(i) for i in range(3)] == [f"s3://inbox/{key}" for key in "abc"]
    assert queue.settled == [(1, True)]
    queue = FakeQueue(message(record("a"), record("b")))
    settled(queue, ([0], True), ([1], True))
    assert queue.settled == [(0, True)]


@pytest.mark.parametrize("order", [((0, True), (1, False)), ((0, False), (1, True))])
def test_a_message_is_shown_again_when_one_of_its_records_failed(order):
    queue = FakeQueue(message(record("a"), record("b")))
    settled(queue, *(([place], ok) for place, ok in order))
    assert queue.settled == [(0, False)]


def test_settling_again_after_a_fault_settles():
    queue = FakeQueue(message(record("a")))

    async def go():
        source = event_source(queue, None, test_events=False)
        batch = await source.pull()
        queue.faults = [ConnectionError("cut")]
        with pytest.raises(ConnectionError):
            await source.settle(batch.receipts, ok=True)
        await source.settle(batch.receipts, ok=True)
        return await source.backlog()

    assert run(go()) == 7
    assert queue.settled == [(0, True)]


def test_what_was_not_tried_is_released_unless_another_record_failed():
    class Releasing(FakeQueue):
        async def release(self, receipts):
            self.settled += [(receipt, None) for receipt in receipts]

    bodies = [message(record(f"{i}a"), record(f"{i}b")) for i in range(3)]

    async def go(queue):
        source = event_source(queue, None, test_events=False)
        receipts = (await source.pull()).receipts
        await source.settle([receipts[0], receipts[2]], ok=True)
        await source.settle([receipts[4]], ok=False)
        await source.release([receipts[i] for i in (1, 3, 5)])

    queue = Releasing(*bodies)
    run(go(queue))
    assert sorted(queue.settled, key=repr) == [(0, None), (1, None), (2, False)]
    queue = FakeQueue(*bodies)
    run(go(queue))
    assert sorted(queue.settled) == [(0, False), (1, False), (2, False)]


def test_test_events_alone_are_no_empty_queue():
    queue = FakeQueue(TEST_EVENT)
    queue.batches += [Batch([message(record("a"))], [7]), Batch([], [])]

    async def go():
        source = event_source(queue, None, test_events=False)
        return [list((await source.pull()).items) for _ in range(2)]

    (event,), nothing = run(go())
    assert (event.file_path, nothing) == ("a", [])
    assert queue.settled == [(0, True)]


def test_a_message_that_cannot_even_be_decoded_fails_alone():
    deep = '{"a":' * 3000 + "1" + "}" * 3000
    queue = FakeQueue(message(record("a")), deep, "[" * 5000, message(record("b")))
    batch = settled(queue, ([0, 1, 2, 3], True))
    first, second, third, fourth = batch.items
    assert (first.file_path, fourth.file_path) == ("a", "b")
    assert isinstance(second, Malformed)
    assert isinstance(third, Malformed)
    assert second.raw == deep
    assert second.reason.startswith("cannot be read as a message of S3: RecursionError: ")
    assert queue.settled == [(i, True) for i in range(4)]


def test_a_test_event_beside_events_is_deleted_at_once():
    queue = FakeQueue(TEST_EVENT, message(record("a")))
    batch = settled(queue)
    assert [event.file_path for event in batch.items] == ["a"]
    assert queue.settled == [(0, True)]


def test_events_beside_a_test_event_that_cannot_be_deleted_are_kept():
    queue = FakeQueue(TEST_EVENT, message(record("a")))
    queue.faults = [ConnectionError("cut")]

    async def go():
        source = event_source(queue, None, test_events=False)
        with pytest.raises(ConnectionError):
            await source.pull()
        return await source.pull()

    assert [event.file_path for event in run(go()).items] == ["a"]
    assert queue.settled == [(0, True)]


def test_configuration():
    stream = S3FileChangeStream(S3Bucket("my.inbox", aws_region="eu-west-1"))
    assert stream.event_types == (CREATED,)
    assert stream.sqs_queue == SQSQueue("my_inbox_queue", aws_region="eu-west-1")
    assert stream.owned() == (stream.sqs_queue,)
    assert stream.parents() == (S3Bucket("my.inbox", aws_region="eu-west-1"),)
    assert stream.primitive_id == "my.inbox:my_inbox_queue"
    assert stream.source_wire is Wire.OBJECT
    assert S3FileChangeStream(S3Bucket("inbox"), PUT).event_types == (PUT,)
    assert S3FileChangeStream(S3Bucket("inbox"), ["s3:objectremoved:delete"]).event_types == (
        DELETED,
    )


@pytest.mark.parametrize("given", [["moved"], [S3ChangeStreamEventType.UNKNOWN], [7], 7, "moved"])
def test_event_types_that_cannot_be_subscribed_to(given):
    with pytest.raises(DeclarationError, match="must be of OBJECT_CREATED_ALL, OBJECT_CREATED_PUT"):
        S3FileChangeStream(S3Bucket("inbox"), given)


@pytest.mark.parametrize("bucket", ["b-b", None, SQSQueue("b-b")])
def test_a_stream_is_of_a_bucket(bucket):
    with pytest.raises(DeclarationError, match=r"must be a bucket, got .*write S3FileChangeStream"):
        S3FileChangeStream(bucket)


@pytest.mark.parametrize("none", [[], (), set(), iter(())])
def test_no_event_types_are_all(none):
    stream = S3FileChangeStream(S3Bucket("inbox"), none)
    assert stream._subscribed() == ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]


def subscribe(sqs, s3, stream):
    """What `apply` makes, by hand."""
    bucket, queue = stream.s3_bucket.bucket_name, stream.sqs_queue.queue_name
    s3.create_bucket(Bucket=bucket)
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    reply = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    configuration = {"QueueArn": reply["Attributes"]["QueueArn"], "Events": stream._subscribed()}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [configuration]}
    )


@pytest.mark.emulator
def test_from_a_put_to_its_content(env, sqs, s3, name):
    stream = S3FileChangeStream(S3Bucket(name), [CREATED, DELETED])
    subscribe(sqs, s3, stream)
    keys = ["a.txt", "dir/new file+ ü 🦆.txt"]
    for key in keys:
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    s3.delete_object(Bucket=name, Key="a.txt")

    async def go():
        async with stream.source(env) as source:
            return await drain(source, 3)

    first, second, third = run(go())
    assert [event.file_path for event in (first, second, third)] == [*keys, "a.txt"]
    assert [event.event_type for event in (first, second, third)] == [PUT, PUT, DELETED]
    assert second.blob == keys[1].encode()
    with pytest.raises(FileNotFoundError, match=f"s3://{name}/a.txt has gone since"):
        _ = first.blob
    with pytest.raises(ValueError, match="Can't fetch blob for `delete` event"):
        _ = third.blob


class EventOf:
    """Equal to every event of this key."""

    def __init__(self, key):
        self.key = key

    def __eq__(self, other):
        return getattr(other, "file_path", None) == self.key

    __hash__ = None


@pytest.mark.emulator
class TestSource(EndlessSourceContract):
    expected: ClassVar[list[object]] = [EventOf(f"file {i}") for i in range(6)]

    @pytest.fixture(autouse=True)
    def _clients(self, env, sqs, s3, name):
        self.sqs, self.s3, self.bucket = sqs, s3, name

    def make(self, folder):
        return S3FileChangeStream(S3Bucket(self.bucket))

    def prepare(self, folder):
        stream = self.make(folder)
        subscribe(self.sqs, self.s3, stream)
        for event in self.expected:
            self.s3.put_object(Bucket=self.bucket, Key=event.key, Body=b"x")
        return stream


@pytest.mark.emulator
class TestPortableSource(SharingContract):
    expected: ClassVar[list[object]] = TestSource.expected
    _clients = TestSource._clients
    prepare = TestSource.prepare

    def make(self, folder):
        return placed(FileChangeStream(self.bucket), Env(provider="aws"), "source")[0]
