"""Google's own clients through the front, before each of the emulators."""

from __future__ import annotations

import gzip
import json
import os
import threading

import pytest
import requests
from google.api_core.exceptions import (
    BadRequest,
    Conflict,
    MethodNotImplemented,
    NotFound,
    PreconditionFailed,
)

from tests.local_cloud.storage.cloud import PROJECT

pytestmark = pytest.mark.emulator
MB = 1 << 20


class TestObjects:
    def test_what_is_uploaded_is_downloaded(self, cloud, name):
        blob = cloud.bucket(name).blob("a folder/é+&.txt")
        blob.upload_from_string("hello", content_type="text/x-greeting")
        blob.reload()
        assert blob.content_type == "text/x-greeting"
        assert blob.download_as_bytes() == b"hello"
        assert blob.download_as_bytes(start=1, end=3) == b"ell"
        assert [one.name for one in cloud.storage.list_blobs(name)] == ["a folder/é+&.txt"]

    def test_a_name_has_any_characters(self, cloud, name):
        blob = cloud.bucket(name).blob("what?#100%41")
        blob.upload_from_string("hello")
        assert cloud.storage.bucket(name).blob("what?#100%41").download_as_bytes() == b"hello"
        assert blob.download_as_bytes() == b"hello", "by the link that the upload gave"

    def test_a_large_upload_resumes_chunk_by_chunk(self, cloud, name):
        content = os.urandom(20 * MB)
        blob = cloud.bucket(name).blob("large", chunk_size=5 * MB)
        session = blob.create_resumable_upload_session(size=len(content))
        assert session.startswith(f"{cloud.url}/"), "it leads back through the front"
        with blob.open("wb", chunk_size=5 * MB) as file:
            file.write(content)
        blob.reload()
        assert blob.size == len(content)
        assert blob.media_link.startswith(f"{cloud.url}/")
        assert cloud.storage.bucket(name).blob("large").download_as_bytes() == content

    def test_a_stream_is_written_and_read(self, cloud, name):
        blob = cloud.bucket(name).blob("stream")
        with blob.open("w") as file:
            file.writelines(f"{number}\n" for number in range(1000))
        with blob.open("r") as file:
            assert [int(line) for line in file] == list(range(1000))

    def test_the_front_holds_no_object(self, cloud, name):
        cloud.bucket(name)
        before = cloud.front.memory_info().rss
        most, over = 0, threading.Event()

        def watch():
            nonlocal most
            while not over.wait(0.005):
                most = max(most, cloud.front.memory_info().rss)

        watching = threading.Thread(target=watch)
        watching.start()
        url = f"{cloud.url}/upload/storage/v1/b/{name}/o?uploadType=media&name=o"
        try:
            assert requests.post(url, data=bytes(64 * MB), timeout=60).ok
            url = f"{cloud.url}/download/storage/v1/b/{name}/o/o?alt=media"
            assert len(requests.get(url, timeout=60).content) == 64 * MB
        finally:
            over.set()
            watching.join()
        assert most - before < 16 * MB

    def test_objects_are_composed_copied_renamed_and_deleted(self, cloud, name):
        bucket = cloud.bucket(name)
        first, second = bucket.blob("1"), bucket.blob("2")
        first.upload_from_string("one ")
        second.upload_from_string("two")
        whole = bucket.blob("whole")
        whole.compose([first, second])
        assert whole.download_as_bytes() == b"one two"
        assert bucket.copy_blob(whole, bucket, "copy").download_as_bytes() == b"one two"
        _, rewritten, size = bucket.blob("rewritten").rewrite(whole)
        assert rewritten == size == 7
        bucket.rename_blob(whole, "renamed")
        bucket.delete_blobs([first, second])
        names = [one.name for one in cloud.storage.list_blobs(name)]
        assert names == ["copy", "renamed", "rewritten"]
        with pytest.raises(NotFound):
            whole.reload()

    def test_metadata_is_patched(self, cloud, name):
        blob = cloud.bucket(name).blob("o")
        blob.upload_from_string("x")
        blob.metadata = {"colour": "blue"}
        blob.patch()
        again = cloud.storage.bucket(name).get_blob("o")
        assert again.metadata == {"colour": "blue"}

    def test_metadata_is_replaced_by_an_update(self, cloud, name):
        blob = cloud.bucket(name).blob("o")
        blob.upload_from_string("x")
        blob.metadata = {"colour": "blue"}
        blob.update()
        assert cloud.storage.bucket(name).get_blob("o").metadata == {"colour": "blue"}

    def test_lists_have_prefixes_and_delimiters(self, cloud, name):
        bucket = cloud.bucket(name)
        for one in ("a/1", "a/2", "b"):
            bucket.blob(one).upload_from_string("x")
        assert [one.name for one in bucket.list_blobs(prefix="a/")] == ["a/1", "a/2"]
        found = bucket.list_blobs(delimiter="/")
        assert [one.name for one in found] == ["b"]
        assert found.prefixes == {"a/"}

    def test_a_list_begins_at_an_offset(self, cloud, name):
        bucket = cloud.bucket(name)
        for one in "abc":
            bucket.blob(one).upload_from_string("x")
        assert [one.name for one in bucket.list_blobs(start_offset="b")] == ["b", "c"]

    def test_a_list_matches_a_glob(self, cloud, name):
        bucket = cloud.bucket(name)
        for one in ("a.csv", "a.json"):
            bucket.blob(one).upload_from_string("x")
        assert [one.name for one in bucket.list_blobs(match_glob="*.csv")] == ["a.csv"]

    def test_a_generation_that_does_not_match_is_refused(self, cloud, name):
        blob = cloud.bucket(name).blob("o")
        blob.upload_from_string("x", if_generation_match=0)
        with pytest.raises(PreconditionFailed):
            blob.upload_from_string("y", if_generation_match=0)

    def test_a_head_tells_the_size_without_the_content(self, cloud, name):
        cloud.bucket(name).blob("o").upload_from_string("12345")
        url = f"{cloud.url}/download/storage/v1/b/{name}/o/o?alt=media"
        answer = requests.head(url, timeout=10)
        assert (answer.status_code, answer.headers["Content-Length"]) == (200, "5")

    def test_the_xml_api_puts_and_gets(self, cloud, name):
        cloud.bucket(name)
        assert requests.put(f"{cloud.url}/{name}/o", data=b"xml", timeout=10).ok
        assert requests.get(f"{cloud.url}/{name}/o", timeout=10).content == b"xml"

    def test_a_name_may_be_the_beginning_of_a_path(self, cloud, name):
        bucket = cloud.bucket(name)
        bucket.blob("data").upload_from_string("x", timeout=2, retry=None)
        bucket.blob("data/part").upload_from_string("x", timeout=2, retry=None)
        assert len(list(bucket.list_blobs())) == 2

    def test_what_was_stored_compressed_comes_back_as_it_is(self, cloud, name):
        blob = cloud.bucket(name).blob("log.gz")
        blob.upload_from_string(gzip.compress(b"lines"), content_type="application/gzip")
        assert gzip.decompress(blob.download_as_bytes()) == b"lines"

    def test_a_request_body_may_be_compressed(self, cloud, name):
        body = gzip.compress(b"plain")
        url = f"{cloud.url}/upload/storage/v1/b/{name}/o?uploadType=media&name=o"
        cloud.bucket(name)
        assert requests.post(url, data=body, headers={"Content-Encoding": "gzip"}, timeout=10).ok
        assert cloud.storage.bucket(name).blob("o").download_as_bytes() == b"plain"

    def test_no_object_leaves_the_folder(self, cloud, name):
        bucket = cloud.bucket(name)
        with pytest.raises(BadRequest, match="no part between slashes"):
            bucket.blob("../../../outside").upload_from_string("x")
        with pytest.raises(BadRequest, match="no part between slashes"):
            bucket.blob("../../../outside").create_resumable_upload_session()
        with pytest.raises(BadRequest, match="255 bytes at most"):
            bucket.blob("n" * 256).upload_from_string("x")
        bucket.blob("%2e%2e/inside").upload_from_string("x")
        assert [one.name for one in bucket.list_blobs()] == ["%2e%2e/inside"]
        assert not list(cloud.folder.rglob("outside"))

    def test_a_batch_is_done_call_by_call(self, cloud, name):
        bucket = cloud.bucket(name)
        for one in "abc":
            bucket.blob(one).upload_from_string("x")
        changed = bucket.blob("c")
        with cloud.storage.batch():
            bucket.blob("a").delete()
            bucket.blob("b").delete()
            changed.metadata = {"k": "v"}
            changed.patch()
        assert [(one.name, one.metadata) for one in bucket.list_blobs()] == [("c", {"k": "v"})]
        with cloud.storage.batch(raise_exception=False) as batch:
            bucket.blob("gone").delete()
            bucket.blob("c").delete()
        assert [answer.status_code for answer in batch._responses] == [404, 200]
        assert list(bucket.list_blobs()) == []


class TestBuckets:
    def test_metadata_is_kept_as_declared(self, cloud, name):
        bucket = cloud.storage.bucket(name)
        bucket.labels = {"team": "sales"}
        bucket.storage_class = "NEARLINE"
        bucket.iam_configuration.uniform_bucket_level_access_enabled = True
        cloud.storage.create_bucket(bucket, location="eu")
        for found in (
            cloud.storage.get_bucket(name),
            next(one for one in cloud.storage.list_buckets() if one.name == name),
        ):
            assert (found.location, found.location_type) == ("EU", "multi-region")
            assert (found.labels, found.storage_class) == ({"team": "sales"}, "NEARLINE")
            access = found.iam_configuration
            assert access.uniform_bucket_level_access_enabled
            assert access.public_access_prevention == "inherited"

    def test_metadata_is_changed_and_replaced(self, cloud, name):
        bucket = cloud.bucket(name)
        bucket.labels = {"a": "1", "b": "2"}
        bucket.patch()
        bucket.labels = {"a": "1"}
        bucket.iam_configuration.public_access_prevention = "enforced"
        bucket.patch()
        found = cloud.storage.get_bucket(name)
        assert found.labels == {"a": "1"}
        assert found.iam_configuration.public_access_prevention == "enforced"
        assert not found.iam_configuration.uniform_bucket_level_access_enabled
        assert found.metageneration == 3
        with pytest.raises(PreconditionFailed, match="metageneration is 3, not 2"):
            bucket.patch(if_metageneration_match=2)
        replaced = cloud.storage.bucket(name)
        replaced.storage_class = "COLDLINE"
        replaced.update()
        found = cloud.storage.get_bucket(name)
        assert (found.labels, found.storage_class, found.location) == ({}, "COLDLINE", "US")

    def test_what_cannot_be_had_is_refused(self, cloud, name):
        bucket = cloud.bucket(name)
        with pytest.raises(Conflict):
            cloud.bucket(name)
        with pytest.raises(NotFound, match="The specified bucket does not exist: 'nowhere'"):
            cloud.storage.get_bucket("nowhere")
        bucket.versioning_enabled = True
        with pytest.raises(MethodNotImplemented, match="no object versioning"):
            bucket.patch(retry=None)

    def test_a_bucket_is_deleted_when_it_is_empty_and_forgotten(self, cloud, name):
        bucket = cloud.bucket(name, location="EU")
        bucket.notification("topic", topic_project=PROJECT).create()
        policy = bucket.get_iam_policy()
        policy.bindings.append({"role": "roles/storage.admin", "members": {"allUsers"}})
        bucket.set_iam_policy(policy)
        bucket.blob("o").upload_from_string("x")
        with pytest.raises(Conflict, match="not empty"):
            bucket.delete()
        bucket.delete(force=True)
        with pytest.raises(NotFound):
            bucket.delete()
        again = cloud.bucket(name)
        assert again.location == "US"
        assert list(again.list_notifications()) == []
        assert again.get_iam_policy().bindings == []


class TestPolicies:
    def test_a_policy_is_changed_by_who_read_it_last(self, cloud, name):
        bucket = cloud.bucket(name)
        first, second = bucket.get_iam_policy(), bucket.get_iam_policy()
        binding = {"role": "roles/storage.objectViewer", "members": {"allUsers"}}
        first.bindings.append(binding)
        bucket.set_iam_policy(first)
        second.bindings.append({"role": "roles/storage.admin", "members": {"allUsers"}})
        with pytest.raises(PreconditionFailed, match="read it again"):
            bucket.set_iam_policy(second)
        assert bucket.get_iam_policy().bindings == [binding]
        assert bucket.test_iam_permissions(["storage.objects.get"]) == ["storage.objects.get"]

    def test_projects_have_a_service_account(self, cloud):
        address = cloud.storage.get_service_account_email()
        assert address == f"service-{PROJECT}@gs-project-accounts.iam.gserviceaccount.com"


class TestEvents:
    def test_notifications_are_made_shown_and_deleted(self, cloud, name):
        bucket = cloud.bucket(name)
        made = bucket.notification(
            "topic",
            topic_project=PROJECT,
            custom_attributes={"k": "v"},
            event_types=["OBJECT_FINALIZE"],
            blob_name_prefix="in/",
            payload_format="NONE",
        )
        made.create()
        (found,) = bucket.list_notifications()
        assert found.notification_id == made.notification_id
        assert (found.topic_name, found.topic_project) == ("topic", PROJECT)
        assert (found.custom_attributes, found.blob_name_prefix) == ({"k": "v"}, "in/")
        assert (found.event_types, found.payload_format) == (["OBJECT_FINALIZE"], "NONE")
        assert bucket.get_notification(made.notification_id).etag == made.etag
        made.delete()
        assert not made.exists()
        with pytest.raises(NotFound):
            made.delete()

    def test_every_change_is_told(self, cloud, name):
        bucket = cloud.bucket(name)
        events = cloud.listen(bucket, name, custom_attributes={"k": "v", "eventType": "mine"})
        blob = bucket.blob("a b/ü")
        blob.upload_from_string("hello")
        (event,) = events.take(1)
        generation = str(cloud.storage.bucket(name).get_blob("a b/ü").generation)
        number = events.notification.notification_id
        expected = {
            "bucketId": name,
            "eventType": "OBJECT_FINALIZE",
            "k": "v",
            "notificationConfig": f"projects/_/buckets/{name}/notificationConfigs/{number}",
            "objectGeneration": generation,
            "objectId": "a b/ü",
            "payloadFormat": "JSON_API_V1",
        }
        attributes = dict(event.attributes)
        assert attributes.pop("eventTime").startswith("20")
        assert attributes == expected
        payload = json.loads(event.data)
        assert (payload["kind"], payload["name"], payload["bucket"]) == (
            "storage#object", "a b/ü", name,
        )  # fmt: skip
        assert (payload["size"], payload["generation"]) == ("5", generation)

        with blob.open("w", chunk_size=256 * 1024) as file:
            file.write("x" * 300_000)
        assert ("FINALIZE", "a b/ü") in events.told(1 if cloud.emulator[0] == "g" else 2)
        blob.metadata = {"k": "v"}
        blob.patch()
        assert events.told(1) == [("METADATA_UPDATE", "a b/ü")]
        bucket.blob("whole").compose([blob, blob])
        bucket.copy_blob(blob, bucket, "copy")
        bucket.blob("rewritten").rewrite(blob)
        assert events.told(3) == [("FINALIZE", one) for one in ("copy", "rewritten", "whole")]
        blob.delete()
        with cloud.storage.batch():
            bucket.blob("copy").delete()
        assert events.told(2) == [("DELETE", "a b/ü"), ("DELETE", "copy")]

    def test_an_overwritten_object_is_told_as_deleted(self, cloud, name):
        bucket = cloud.bucket(name)
        events = cloud.listen(bucket, name)
        blob = bucket.blob("o")
        blob.upload_from_string("one")
        events.take(1)
        first = blob.generation
        blob.upload_from_string("two")
        bucket.blob("last").upload_from_string("x")
        found = events.before("last")
        assert found["OBJECT_FINALIZE"].attributes.get("overwroteGeneration") == str(first)
        gone = found["OBJECT_DELETE"].attributes
        assert gone["objectGeneration"] == str(first)
        assert gone["overwrittenByGeneration"] == str(blob.generation)

    def test_each_notification_hears_what_it_asked_for(self, cloud, name):
        bucket, other = cloud.bucket(name), cloud.bucket(f"{name}-2")
        all_of_it = cloud.listen(bucket, f"{name}-all")
        made = cloud.listen(
            bucket, f"{name}-made", event_types=["OBJECT_FINALIZE"], blob_name_prefix="in/"
        )
        gone = cloud.listen(
            bucket, f"{name}-gone", event_types=["OBJECT_DELETE"], payload_format="NONE"
        )
        lost = cloud.listen(bucket, f"{name}-lost")
        cloud.publisher.delete_topic(topic=lost.topic)
        elsewhere = cloud.listen(other, f"{name}-other")
        for one in ("in/1", "out/1"):
            bucket.blob(one).upload_from_string("x")
        bucket.blob("in/1").delete()
        other.blob("last").upload_from_string("x")

        expected = [("DELETE", "in/1"), ("FINALIZE", "in/1"), ("FINALIZE", "out/1")]
        assert all_of_it.told(3) == expected
        assert made.told(1) == [("FINALIZE", "in/1")]
        (event,) = gone.take(1)
        assert (event.attributes["objectId"], event.data) == ("in/1", b"")
        assert event.attributes["payloadFormat"] == "NONE"
        # Each heard no more than that: a last event comes alone.
        bucket.blob("in/2").upload_from_string("x")
        bucket.blob("in/2").delete()
        assert made.told(1) == [("FINALIZE", "in/2")]
        assert gone.told(1) == [("DELETE", "in/2")]
        assert elsewhere.told(1) == [("FINALIZE", "last")]
        assert f"do not reach {lost.topic}" in (cloud.folder / "gcp.log").read_text()
