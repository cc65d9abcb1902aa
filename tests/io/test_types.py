"""Types below the primitives."""

import pickle

import pytest

from buildflow_nb.core.conversion.json_forms import json_bytes
from buildflow_nb.io.aws import S3Bucket, S3FileChangeStream, SQSQueue
from buildflow_nb.io.duckdb import DuckDBQuery, DuckDBTable
from buildflow_nb.io.gcp import (
    GCPPubSubSubscription,
    GCPPubSubTopic,
    GCSBucket,
    GCSFileChangeStream,
)
from buildflow_nb.io.local import Empty, File, LocalFileChangeStream, Pulse
from buildflow_nb.io.local.testing import PulseWithBacklog
from buildflow_nb.types.aws import S3ChangeStreamEventType
from buildflow_nb.types.gcp import GCSChangeStreamEventType
from buildflow_nb.types.local import FileChangeStreamEventType, LocalFileChangeEvent
from buildflow_nb.types.portable import FileChangeEvent, FileFormat, PortableFileChangeEventType


@pytest.mark.parametrize("text", ["parquet", "PARQUET", "Parquet"])
def test_formats_are_read_in_any_case(text):
    assert FileFormat(text) is FileFormat.PARQUET


@pytest.mark.parametrize("value", ["xml", None, 1])
def test_unknown_formats(value):
    with pytest.raises(ValueError, match="is not a valid FileFormat"):
        FileFormat(value)


def test_values():
    assert [m.value for m in PortableFileChangeEventType] == ["created", "deleted", "unknown"]
    assert [m.value for m in FileChangeStreamEventType] == ["added", "deleted", "modified"]
    assert FileChangeStreamEventType("created") is FileChangeStreamEventType.CREATED


def test_an_event_without_a_blob_of_its_own_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        FileChangeEvent("a", PortableFileChangeEventType.CREATED, {})


def test_a_blob_is_read_when_asked_for(tmp_path):
    path = tmp_path / "a"
    event = LocalFileChangeEvent(str(path), FileChangeStreamEventType.MODIFIED, {})
    with pytest.raises(FileNotFoundError):
        _ = event.blob
    path.write_bytes(b"now")
    assert event.blob == b"now"


PORTABLE = PortableFileChangeEventType


@pytest.mark.parametrize(
    ("kinds", "created", "deleted"),
    [
        (S3ChangeStreamEventType, "OBJECT_CREATED_ALL", "OBJECT_REMOVED_ALL"),
        (GCSChangeStreamEventType, "OBJECT_FINALIZE", "OBJECT_DELETE"),
        (FileChangeStreamEventType, "CREATED", "DELETED"),
    ],
)
def test_portable_types_have_a_counterpart(kinds, created, deleted):
    assert kinds.from_portable_type(PORTABLE.CREATED) is kinds[created]
    assert kinds.from_portable_type(PORTABLE.DELETED) is kinds[deleted]
    for other in (PORTABLE.UNKNOWN, "created", None):
        with pytest.raises(ValueError, match=f"{kinds.__name__} has nothing for .*; give one of"):
            kinds.from_portable_type(other)


def test_event_types_of_s3_by_what_they_tell():
    kinds = S3ChangeStreamEventType
    created, deleted = kinds.create_event_types(), kinds.delete_event_types()
    assert [k.name for k in created] == [
        k.name for k in kinds if k.name.startswith("OBJECT_CREATED")
    ]
    assert [k.name for k in deleted] == [k.name for k in kinds if "REMOVED" in k.name]
    assert {*created, *deleted, kinds.UNKNOWN} == set(kinds)
    assert {k.to_portable_type() for k in created} == {PORTABLE.CREATED}
    assert {k.to_portable_type() for k in deleted} == {PORTABLE.DELETED}
    assert kinds.UNKNOWN.to_portable_type() is PORTABLE.UNKNOWN


@pytest.mark.parametrize(
    "primitive",
    [
        S3Bucket("shop"),
        S3FileChangeStream(S3Bucket("shop")),
        SQSQueue("orders", aws_region="eu-west-1"),
        GCSBucket("shop"),
        GCSFileChangeStream(GCSBucket("shop")),
        GCPPubSubTopic("project", "orders"),
        GCPPubSubSubscription("project", "orders"),
        DuckDBTable("a.duckdb", "t"),
        DuckDBQuery("a.duckdb", "SELECT 1"),
        File("a.csv", "csv"),
        LocalFileChangeStream("in"),
        Empty(),
        Pulse([1], 1),
        PulseWithBacklog([1], 1, 1),
    ],
    ids=lambda primitive: type(primitive).__name__,
)
def test_an_id_is_text_that_may_be_called(primitive):
    called = primitive.primitive_id()
    assert called == primitive.primitive_id
    assert type(called) is str
    assert pickle.loads(pickle.dumps(primitive.primitive_id)) == called  # noqa: S301
    assert json_bytes({primitive.primitive_id: primitive.primitive_id}) == json_bytes(
        {called: called}
    )
