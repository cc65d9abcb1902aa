"""Each Google Cloud type and function by itself."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlencode

import grpc
import pytest

from buildflow_nb.local_cloud.provider.gcp import GCP
from tests.local_cloud.provider import emulators
from tests.local_cloud.provider.contract import ResourceContract
from tests.local_cloud.provider.instance import Instance, kinds

pytestmark = pytest.mark.emulator

BUCKET, TOPIC = "gcp:storage/bucket:Bucket", "gcp:pubsub/topic:Topic"
SUBSCRIPTION = "gcp:pubsub/subscription:Subscription"


class GCPContract(ResourceContract):
    @pytest.fixture
    def instance(self, gcp):
        return gcp

    def schema(self):
        return next(each.schema for each in GCP.resources if each.schema.token == self.token)


class TestBucket(GCPContract):
    token = BUCKET
    change: ClassVar[dict] = {
        "labels": {"b": "2"},
        "storageClass": "NEARLINE",
        "uniformBucketLevelAccess": True,
    }
    replacing: ClassVar[dict] = {"name": "another", "location": "EU", "project": "other"}

    @pytest.fixture
    def inputs(self):
        return {"name": "a-bucket", "location": "us", "labels": {"a": "1"}}

    @pytest.mark.parametrize(
        "name",
        [
            "ab",
            "a" * 64,
            "Upper",
            "-dash",
            "goog-mine",
            "my-google",
            "10.0.0.1",
            "a..b",
            "a" * 64 + ".b",
        ],
    )
    def test_names_that_cloud_storage_rejects(self, gcp, name):
        reason = gcp.failures(BUCKET, {"name": name, "location": "US"})["name"]
        assert reason.startswith(f"bucket name {name!r}: Cloud Storage takes")

    @pytest.mark.parametrize("name", ["abc", "under_score", ".".join(["a" * 60] * 3)])
    def test_names_that_cloud_storage_takes(self, gcp, name):
        assert gcp.failures(BUCKET, {"name": name, "location": "US"}) == {}

    def test_one_that_is_there_is_not_taken_over(self, gcp, bucket):
        with pytest.raises(grpc.RpcError, match="Cloud Storage answered 409"):
            gcp.create(BUCKET, gcp.check(BUCKET, {"name": bucket, "location": "US"}))

    def test_objects_go_only_by_force(self, gcp, storage):
        inputs = gcp.check(BUCKET, {"name": "full-bucket", "location": "US"})
        resource_id, outputs = gcp.create(BUCKET, inputs)
        for name in ("a/b ä", "c", "d", "e", "f"):
            storage.put(resource_id, name)
        with pytest.raises(grpc.RpcError, match="The bucket you tried to delete is not empty"):
            gcp.delete(BUCKET, resource_id, outputs)
        outputs.values["forceDestroy"] = True
        gcp.delete(BUCKET, resource_id, outputs)
        assert resource_id not in storage.buckets

    def test_labels_of_others_are_left_alone(self, gcp, storage):
        inputs = gcp.check(BUCKET, {"name": "labelled", "location": "US", "labels": {"a": "1"}})
        resource_id, outputs = gcp.create(BUCKET, inputs)
        storage.buckets[resource_id]["labels"]["theirs"] = "x"
        _, found, live = gcp.read(BUCKET, resource_id, outputs, inputs)
        assert found == inputs
        assert live.values["effectiveLabels"] == {"a": "1", "theirs": "x"}
        news = gcp.check(BUCKET, {"name": "labelled", "location": "US"}, inputs.values)
        gcp.update(BUCKET, resource_id, outputs, inputs, news)
        assert storage.buckets[resource_id]["labels"] == {"theirs": "x"}
        gcp.delete(BUCKET, resource_id, outputs)

    def test_default_labels_are_the_providers(self, ports, storage):
        instance = Instance(ports["gcp"])
        labels = {"stage": "dev"}
        instance.configure(project="p", storageCustomEndpoint=storage.url, defaultLabels=labels)
        with instance.channel:
            inputs = instance.check(BUCKET, {"name": "with-defaults", "location": "US"})
            resource_id, outputs = instance.create(BUCKET, inputs)
            assert outputs.values["labels"] is None
            assert outputs.values["pulumiLabels"] == {"stage": "dev"}
            assert instance.read(BUCKET, resource_id, outputs, inputs)[1] == inputs
            instance.delete(BUCKET, resource_id, outputs)

    def test_without_a_project(self, ports, storage):
        instance = Instance(ports["gcp"])
        instance.configure(storageCustomEndpoint=storage.url)
        with instance.channel, pytest.raises(grpc.RpcError, match="no project: give the resource"):
            instance.create(BUCKET, instance.check(BUCKET, {"location": "US"}))


def test_a_bucket_of_fake_gcs_server(ports, tmp_path):
    """That server keeps no metadata, so what was declared stands and a refresh finds no drift."""
    instance = Instance(ports["gcp"])
    with emulators.fake_gcs_server(tmp_path) as url, instance.channel:
        instance.configure(project="proj", storageCustomEndpoint=url)
        news = {
            "name": "a-bucket",
            "location": "eu",
            "labels": {"a": "1"},
            "storageClass": "NEARLINE",
            "uniformBucketLevelAccess": True,
            "forceDestroy": True,
        }
        inputs = instance.check(BUCKET, news)
        resource_id, outputs = instance.create(BUCKET, inputs)
        assert outputs.values["labels"] == {"a": "1"}
        assert instance.read(BUCKET, resource_id, outputs, inputs)[1:] == (inputs, outputs)
        imported = instance.read(BUCKET, resource_id)[1]
        assert "location" not in imported.values
        plain = instance.check(BUCKET, {"name": "a-bucket", "location": "eu"})
        assert not kinds(instance.diff(BUCKET, resource_id, imported, imported, plain))
        later = instance.check(BUCKET, {**news, "labels": {"a": "2"}}, inputs.values)
        updated = instance.update(BUCKET, resource_id, outputs, inputs, later)
        assert updated.values["effectiveLabels"] == {"a": "2"}
        bare = instance.check(BUCKET, {k: v for k, v in news.items() if k != "labels"})
        updated = instance.update(BUCKET, resource_id, updated, later, bare)
        assert updated.values["labels"] is None
        assert instance.read(BUCKET, resource_id, updated, bare)[1] == bare
        upload(url, resource_id, "a/b c")
        outputs.values["forceDestroy"] = False
        with pytest.raises(grpc.RpcError, match="The bucket you tried to delete is not empty"):
            instance.delete(BUCKET, resource_id, outputs)
        instance.delete(BUCKET, resource_id, updated)
        assert instance.read(BUCKET, resource_id, updated, bare)[0] == ""


def upload(url, bucket, name):
    import urllib3

    base = url.replace("/storage/v1/", "/upload/storage/v1/")
    fields = {"uploadType": "media", "name": name}
    query = urlencode(fields)
    http = urllib3.PoolManager()
    assert http.request("POST", f"{base}b/{bucket}/o?{query}", body=b"x").status == 200
    http.clear()


class TestNotification(GCPContract):
    token = "gcp:storage/notification:Notification"  # noqa: S105
    replacing: ClassVar[dict] = {
        "bucket": "another",
        "topic": "other",
        "payloadFormat": "NONE",
        "eventTypes": ["OBJECT_DELETE"],
        "objectNamePrefix": "out/",
        "customAttributes": {"x": "y"},
    }

    @pytest.fixture
    def inputs(self, bucket, topic):
        return {
            "bucket": bucket,
            "topic": topic,
            "payloadFormat": "JSON_API_V1",
            "eventTypes": ["OBJECT_FINALIZE", "OBJECT_ARCHIVE"],
            "objectNamePrefix": "in/",
            "customAttributes": {"a": "b"},
        }

    def test_a_topic_by_name_is_of_the_providers_project(self, gcp, bucket, storage):
        news = {"bucket": bucket, "topic": "by-name", "payloadFormat": "NONE"}
        inputs = gcp.check(self.token, news)
        resource_id, outputs = gcp.create(self.token, inputs)
        sent = storage.notifications[bucket][outputs.values["notificationId"]]
        assert sent["topic"] == "//pubsub.googleapis.com/projects/proj/topics/by-name"
        assert "event_types" not in sent
        assert gcp.read(self.token, resource_id, outputs, inputs)[1] == inputs
        gcp.delete(self.token, resource_id, outputs)

    def test_an_id_that_is_none(self, gcp):
        with pytest.raises(grpc.RpcError, match="give bucket/notificationConfigs/number"):
            gcp.read(self.token, "just-a-bucket")


class TestTopic(GCPContract):
    token = TOPIC
    change: ClassVar[dict] = {"labels": {"b": "2"}, "messageRetentionDuration": "3600s"}
    replacing: ClassVar[dict] = {"name": "another", "project": "other"}

    @pytest.fixture
    def inputs(self):
        return {"name": "a-topic", "labels": {"a": "1"}}

    @pytest.mark.parametrize("name", ["ab", "1abc", "goog-topic", "has blank", "a" * 256])
    def test_names_that_pubsub_rejects(self, gcp, name):
        assert "Pub/Sub takes 3 to 255" in gcp.failures(TOPIC, {"name": name})["name"]

    @pytest.mark.parametrize("short", ["others-topic", "proj/others-topic"])
    def test_an_import_by_a_short_id(self, gcp, topic, short):
        resource_id, inputs, _ = gcp.read(TOPIC, short)
        assert resource_id == topic == "projects/proj/topics/others-topic"
        assert inputs.values["project"] == "proj"

    def test_one_that_is_there_is_not_taken_over(self, gcp, topic):
        with pytest.raises(grpc.RpcError, match="creating gcp:pubsub/topic:Topic 'thing': 409"):
            gcp.create(TOPIC, gcp.check(TOPIC, {"name": topic.rpartition("/")[2]}))


class TestSubscription(GCPContract):
    token = SUBSCRIPTION
    change: ClassVar[dict] = {
        "ackDeadlineSeconds": 600,
        "enableExactlyOnceDelivery": True,
        "expirationPolicy": {"ttl": "172800s"},
        "labels": {"b": "2"},
        "messageRetentionDuration": "1200s",
        "retainAckedMessages": True,
        "retryPolicy": {"minimumBackoff": "1s", "maximumBackoff": "100s"},
    }
    replacing: ClassVar[dict] = {
        "name": "another",
        "topic": "other",
        "filter": 'attributes.a = "b"',
        "enableMessageOrdering": True,
        "project": "other",
    }

    @pytest.fixture
    def inputs(self, topic):
        return {"name": "a-subscription", "topic": topic}

    def test_a_dead_letter_policy_and_one_that_never_expires(self, gcp, topic):
        news = {
            "topic": "others-topic",
            "deadLetterPolicy": {"deadLetterTopic": topic, "maxDeliveryAttempts": 6},
            "expirationPolicy": {"ttl": ""},
            "filter": 'attributes.a = "b"',
        }
        inputs = gcp.check(SUBSCRIPTION, news)
        resource_id, outputs = gcp.create(SUBSCRIPTION, inputs)
        assert outputs.values["topic"] == "others-topic"  # as the program spells it
        assert gcp.read(SUBSCRIPTION, resource_id, outputs, inputs)[1] == inputs
        without = gcp.check(SUBSCRIPTION, {"topic": topic, "filter": news["filter"]}, inputs.values)
        answer = gcp.diff(SUBSCRIPTION, resource_id, outputs, inputs, without)
        assert kinds(answer) == {"deadLetterPolicy": "DELETE"}
        updated = gcp.update(SUBSCRIPTION, resource_id, outputs, inputs, without)
        assert updated.values["deadLetterPolicy"] is None
        gcp.delete(SUBSCRIPTION, resource_id, outputs)

    def test_a_push_subscription(self, gcp, topic):
        push = {
            "pushEndpoint": "http://127.0.0.1:1/push",
            "attributes": {"x-goog-version": "v1"},
            "oidcToken": {"serviceAccountEmail": "a@example.com"},
        }
        inputs = gcp.check(SUBSCRIPTION, {"topic": topic, "pushConfig": push})
        resource_id, outputs = gcp.create(SUBSCRIPTION, inputs)
        assert gcp.read(SUBSCRIPTION, resource_id, outputs, inputs)[1] == inputs
        pulling = gcp.check(SUBSCRIPTION, {"topic": topic}, inputs.values)
        answer = gcp.diff(SUBSCRIPTION, resource_id, outputs, inputs, pulling)
        assert kinds(answer) == {"pushConfig": "DELETE"}
        updated = gcp.update(SUBSCRIPTION, resource_id, outputs, inputs, pulling)
        assert updated.values["pushConfig"] is None
        again = gcp.diff(SUBSCRIPTION, resource_id, updated, pulling, inputs)
        assert kinds(again) == {"pushConfig": "ADD"}
        gcp.delete(SUBSCRIPTION, resource_id, updated)

    def test_nested_inputs(self, gcp, topic):
        news = {
            "topic": topic,
            "pushConfig": {"endpoint": "x"},
            "retryPolicy": {"minimumBackoff": 1},
        }
        failures = gcp.failures(SUBSCRIPTION, news)
        assert "Missing required property" in failures["pushConfig.pushEndpoint"]
        assert "does not carry out 'pushConfig.endpoint'" in failures["pushConfig.endpoint"]
        assert "expected a duration" in failures["retryPolicy.minimumBackoff"]

    def test_a_number_that_the_protocol_cannot_carry(self, gcp, topic):
        inputs = gcp.check(SUBSCRIPTION, {"topic": topic, "ackDeadlineSeconds": 2**40})
        with pytest.raises(grpc.RpcError, match=r"creating .* 'thing': Failed to parse"):
            gcp.create(SUBSCRIPTION, inputs)

    def test_a_topic_that_is_not_there(self, gcp):
        inputs = gcp.check(SUBSCRIPTION, {"topic": "nowhere"})
        with pytest.raises(grpc.RpcError, match="creating gcp:pubsub/subscription:Subscription"):
            gcp.create(SUBSCRIPTION, inputs)
