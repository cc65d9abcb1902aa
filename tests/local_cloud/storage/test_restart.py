"""What is still there after a clean stop, with each of the emulators."""

from __future__ import annotations

import pytest

from buildflow_nb.local_cloud import emulators
from buildflow_nb.local_cloud.emulators import commands
from tests.local_cloud.storage.cloud import EMULATORS, running

pytestmark = pytest.mark.emulator


@pytest.mark.parametrize("emulator", EMULATORS)
def test_everything_is_there_again(emulator, tmp_path):
    with running(emulator, tmp_path) as cloud:
        bucket = cloud.bucket("kept-bucket", location="EU")
        events = cloud.listen(bucket, "kept-topic")
        blob = bucket.blob("a/b ü")
        blob.metadata = {"k": "v"}
        blob.upload_from_string("content", content_type="text/x-own")
        assert events.told(1) == [("FINALIZE", "a/b ü")]
        bucket.blob("untaken").upload_from_string("x")
        events.arrived()
    with running(emulator, tmp_path) as cloud:
        bucket = cloud.storage.get_bucket("kept-bucket")
        assert bucket.location == "EU"
        blob = bucket.get_blob("a/b ü")
        assert blob.download_as_bytes() == b"content"
        assert (blob.content_type, blob.metadata) == ("text/x-own", {"k": "v"})
        (notification,) = bucket.list_notifications()
        assert notification.notification_id == events.notification.notification_id
        events = events.through(cloud.subscriber)
        assert events.told(1) == [("FINALIZE", "untaken")]
        bucket.blob("again").upload_from_string("x")
        assert events.told(1) == [("FINALIZE", "again")]


def test_both_listen_on_the_loopback_and_keep_to_their_folder(tmp_path, monkeypatch):
    ports = {"aws": 1, "pubsub": 2, "storage": 3, "storage-emulator": 4}
    for binary in (emulators.storage_binary(), None):
        monkeypatch.setattr(emulators, "storage_binary", lambda found=binary: found)
        *_, gcp, storage = commands(tmp_path, ports)
        words = list(storage.words)
        assert words[words.index("-host" if binary else "-H") + 1] == "127.0.0.1"
        assert str(tmp_path / "storage") in words
        assert ("--observe" in gcp.words) == (binary is None)
        assert (storage.after == "gcp") == (binary is not None), "it needs the topic of its events"
