"""Every Google Cloud type through the real engine: its whole life, from preview to destroy."""

from __future__ import annotations

import pulumi
import pulumi_gcp
import pytest
from google.pubsub_v1 import types

from buildflow_nb.infra.local_cloud.provider.gcp.cloud import GCPCloud
from tests.infra.local_cloud.provider.engine import MARKS, Project, ops, paths, swept

__all__ = ("swept",)  # a fixture
pytestmark = MARKS

SECRET_ACCOUNT, SECRET_LABEL = "a-secret-account", "swordfish-in-a-label"
ALL = (
    "Lake",
    "topic",
    "dead",
    "subscription",
    "publisher",
    "reader",
    "viewer",
    "notification",
)


def every(op):
    return dict.fromkeys(ALL, op)


class Emulators:
    """The endpoints, and clients to look behind the engine's back."""

    def __init__(self, storage, pubsub_url):
        self.storage, self.pubsub_url = storage, pubsub_url
        self.pubsub = GCPCloud({"pubsubCustomEndpoint": pubsub_url}).pubsub

    def subscription(self, path):
        return self.pubsub.subscriber.get_subscription(subscription=path)

    def topics(self):
        return [topic.name for topic in self.pubsub.publisher.list_topics(project="projects/proj")]


@pytest.fixture
def here(storage, pubsub_url):
    return Emulators(storage, pubsub_url)


def program(here, *, subscription=None, bucket=None, topic=None, **more):
    """A bucket whose changes go to a topic with a subscription, a dead letter topic, policies."""
    imports, names = more.pop("imports", {}), more.pop("names", {})

    def run():
        provider = pulumi_gcp.Provider(
            "local",
            project="proj",
            credentials=pulumi.Output.secret(SECRET_ACCOUNT),
            storage_custom_endpoint=here.storage.url,
            pubsub_custom_endpoint=here.pubsub_url,
        )

        def option(name, *after):
            return pulumi.ResourceOptions(
                provider=provider, import_=imports.get(name), depends_on=list(after)
            )

        lake = pulumi_gcp.storage.Bucket(
            "Lake",
            **{"name": names.get("Lake"), "location": "us", "labels": {"team": "core"}}
            | (bucket or {}),
            opts=option("Lake"),
        )
        events = pulumi_gcp.pubsub.Topic(
            "topic", name=names.get("topic"), **(topic or {}), opts=option("topic")
        )
        dead = pulumi_gcp.pubsub.Topic(
            "dead", name=names.get("dead"), labels={"a": "b"}, opts=option("dead")
        )
        policies = {
            "retry_policy": {"minimum_backoff": "10s"},
            "expiration_policy": {"ttl": ""},
            "dead_letter_policy": {"dead_letter_topic": dead.id, "max_delivery_attempts": 7},
        }
        reading = pulumi_gcp.pubsub.Subscription(
            "subscription",
            name=names.get("subscription"),
            topic=events.name,
            filter='attributes.kind = "order"',
            **{"ack_deadline_seconds": 20, **policies, **(subscription or {})},
            opts=option("subscription"),
        )
        account = pulumi_gcp.storage.get_project_service_account_output(
            opts=pulumi.InvokeOutputOptions(provider=provider)
        )
        publisher = pulumi_gcp.pubsub.TopicIAMMember(
            "publisher",
            topic=events.id,
            role="roles/pubsub.publisher",
            member=account.member,
            opts=option("publisher"),
        )
        pulumi_gcp.pubsub.SubscriptionIAMMember(
            "reader",
            subscription=reading.name,
            role="roles/pubsub.subscriber",
            member="user:a@example.com",
            opts=option("reader"),
        )
        pulumi_gcp.storage.BucketIAMMember(
            "viewer",
            bucket=lake.name,
            role="roles/storage.objectViewer",
            member="allUsers",
            opts=option("viewer"),
        )
        notification = pulumi_gcp.storage.Notification(
            "notification",
            bucket=lake.name,
            topic=events.id,
            payload_format="JSON_API_V1",
            event_types=["OBJECT_FINALIZE", "OBJECT_DELETE"],
            opts=option("notification", publisher),
        )
        pulumi.export("Lake", lake.name)
        pulumi.export("topic", events.id)
        pulumi.export("dead", dead.id)
        pulumi.export("subscription", reading.id)
        pulumi.export("publisher", publisher.id)
        pulumi.export("notification", notification.id)
        pulumi.export("labels", lake.pulumi_labels)

    return run


def test_whole_life(ports, here, tmp_path):
    project = Project(tmp_path, ports)
    first = program(here)
    assert ops(project.preview(first)) == every("create")
    assert not here.storage.buckets
    assert ops(project.up(first)) == every("create")
    names = project.outputs()
    live = here.subscription(names["subscription"])
    assert live.topic == names["topic"]
    assert live.dead_letter_policy.dead_letter_topic == names["dead"]
    assert live.dead_letter_policy.max_delivery_attempts == 7
    assert "ttl" not in live.expiration_policy
    assert ops(project.up(first)) == every("same")
    assert ops(project.refresh(first)) == every("same")
    assert ops(project.up(first)) == every("same")

    # Changes in place, first as a preview.
    second = program(
        here,
        subscription={"ack_deadline_seconds": 30, "retry_policy": None, "labels": {"x": "y"}},
        bucket={"uniform_bucket_level_access": True},
        topic={"message_retention_duration": "3600s"},
    )
    changes = {
        "Lake": {"uniformBucketLevelAccess": "update"},
        "topic": {"messageRetentionDuration": "add"},
        "subscription": {
            "ackDeadlineSeconds": "update",
            "labels": "add",
            "retryPolicy": "delete",
        },
    }
    assert paths(project.preview(second)) == changes
    told = project.up(second)
    assert paths(told) == changes
    assert ops(told) == {**every("same"), **dict.fromkeys(changes, "update")}
    live = here.subscription(names["subscription"])
    assert (live.ack_deadline_seconds, dict(live.labels)) == (30, {"x": "y"})
    assert "retry_policy" not in live
    assert ops(project.up(second)) == every("same")

    # Drift, and its mending; labels of others are none.
    here.pubsub.subscriber.update_subscription(
        subscription=types.Subscription(
            name=names["subscription"], ack_deadline_seconds=11, labels={"x": "z", "theirs": "1"}
        ),
        update_mask={"paths": ["ack_deadline_seconds", "labels"]},
    )
    told = project.refresh(second)
    assert ops(told) == {**every("same"), "subscription": "update"}
    told = project.up(second)
    assert paths(told)["subscription"] == {"ackDeadlineSeconds": "update", "labels.x": "update"}
    live = here.subscription(names["subscription"])
    assert (live.ack_deadline_seconds, dict(live.labels)) == (30, {"x": "y", "theirs": "1"})

    # Replacement: what is named by the engine is there before the old one goes.
    third = program(here, subscription={"enable_message_ordering": True})
    told = project.up(third)
    assert ops(told)["subscription"] == "create-replacement replace delete-replaced"
    assert ops(told)["reader"] == "create-replacement replace delete-replaced"
    assert here.subscription(project.outputs()["subscription"]).enable_message_ordering
    assert ops(project.destroy(third)) == every("delete")
    assert not here.storage.buckets
    assert not here.topics()


def test_what_was_deleted_behind_its_back_comes_back(ports, here, tmp_path):
    project = Project(tmp_path, ports)
    one = program(here)
    project.up(one)
    names = project.outputs()
    here.storage.buckets.clear()
    here.pubsub.subscriber.delete_subscription(subscription=names["subscription"])
    for topic in (names["topic"], names["dead"]):
        here.pubsub.publisher.delete_topic(topic=topic)
    assert ops(project.refresh(one)) == every("delete")
    assert ops(project.up(one)) == every("create")
    here.storage.buckets.clear()  # what is gone is no trouble for destroy
    assert ops(project.destroy(one)) == every("delete")


def test_import_and_the_deletion_of_what_is_not_empty(ports, here, tmp_path):
    given = {"Lake": "a-given-name", "topic": "given-topic", "dead": "given-dead"}
    given["subscription"] = "given-subscription"
    maker = Project(tmp_path / "maker", ports)
    maker.up(program(here, names=given))
    names = maker.outputs()
    imports = {
        "Lake": names["Lake"],
        "topic": "given-topic",
        "dead": "proj/given-dead",
        "subscription": names["subscription"],
        "publisher": names["publisher"],
        "reader": f"{names['subscription']} roles/pubsub.subscriber user:a@example.com",
        "viewer": "b/a-given-name roles/storage.objectViewer allUsers",
        "notification": names["notification"],
    }
    taker = Project(tmp_path / "taker", ports)
    importing = program(here, names=given, imports=imports)
    assert ops(taker.up(importing)) == every("import")
    after = program(here, names=given)
    assert ops(taker.up(after)) == every("same")

    # A bucket with a given name has to go before its replacement comes.
    moved = program(here, names=given, bucket={"storage_class": "nearline", "project": "other"})
    told = taker.preview(moved)
    assert "delete-replaced" in ops(told)["Lake"].split()[0]
    assert paths(told)["Lake"]["project"] == "update-replace"

    here.storage.put("a-given-name", "left over")
    with pytest.raises(Exception, match="The bucket you tried to delete is not empty") as failed:
        taker.destroy(after)
    assert "force_destroy" in str(failed.value)
    forced = program(here, names=given, bucket={"force_destroy": True})
    taker.up(forced)
    taker.destroy(forced)
    assert not here.storage.buckets


def test_secrets_stay_secret(ports, here, tmp_path):
    project = Project(tmp_path, ports)

    def secretive():
        labels = {"x": pulumi.Output.secret(SECRET_LABEL)}
        program(here, subscription={"labels": labels})()

    project.up(secretive)
    project.refresh(secretive)
    assert here.subscription(project.outputs()["subscription"]).labels["x"] == SECRET_LABEL
    project.destroy(secretive)
    written = project.texts()
    assert SECRET_ACCOUNT not in written
    assert SECRET_LABEL not in written
