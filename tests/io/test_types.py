"""Types below the primitives."""

import pytest

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
