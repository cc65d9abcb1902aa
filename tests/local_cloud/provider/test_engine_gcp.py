"""Every Google Cloud type through the real engine: its whole life, from preview to destroy."""

from __future__ import annotations

from functools import partial

import pulumi
import pytest
from google.pubsub_v1 import types

from buildflow_nb.local_cloud.provider.gcp.cloud import GCPCloud
from tests.local_cloud.provider.engine import MARKS, Project, ops, paths
from tests.local_cloud.provider.programs import GCP_ACCOUNT, GCPProgram

pytestmark = MARKS

SECRET_LABEL = "swordfish-in-a-label"  # noqa: S105


def every(op):
    return dict.fromkeys(GCPProgram.ALL, op)


class Emulators:
    """Looks, and acts, behind the engine's back."""

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


@pytest.fixture
def program(here):
    return partial(GCPProgram, storage_url=here.storage.url, pubsub_url=here.pubsub_url)


def test_whole_life(ports, here, program, tmp_path):
    project = Project(tmp_path, ports)
    made_at_first(project, here, program())
    changed_in_place(project, here, program)
    mended(project, here, program)
    replaced(project, here, program)
    assert not here.storage.buckets
    assert not here.topics()


def made_at_first(project, here, first):
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


def changed(program):
    return program(
        subscription={"ack_deadline_seconds": 30, "retry_policy": None, "labels": {"x": "y"}},
        bucket={"uniform_bucket_level_access": True},
        topic={"message_retention_duration": "3600s"},
    )


def changed_in_place(project, here, program):
    changes = {
        "Lake": {"uniformBucketLevelAccess": "update"},
        "topic": {"messageRetentionDuration": "add"},
        "subscription": {
            "ackDeadlineSeconds": "update",
            "labels": "add",
            "retryPolicy": "delete",
        },
    }
    assert paths(project.preview(changed(program))) == changes
    told = project.up(changed(program))
    assert paths(told) == changes
    assert ops(told) == {**every("same"), **dict.fromkeys(changes, "update")}
    live = here.subscription(project.outputs()["subscription"])
    assert (live.ack_deadline_seconds, dict(live.labels)) == (30, {"x": "y"})
    assert "retry_policy" not in live
    assert ops(project.up(changed(program))) == every("same")


def mended(project, here, program):
    """Drift shows in a refresh, and goes with the next update; labels of others are none."""
    path = project.outputs()["subscription"]
    here.pubsub.subscriber.update_subscription(
        subscription=types.Subscription(
            name=path, ack_deadline_seconds=11, labels={"x": "z", "theirs": "1"}
        ),
        update_mask={"paths": ["ack_deadline_seconds", "labels"]},
    )
    told = project.refresh(changed(program))
    assert ops(told) == {**every("same"), "subscription": "update"}
    told = project.up(changed(program))
    assert paths(told)["subscription"] == {"ackDeadlineSeconds": "update", "labels.x": "update"}
    live = here.subscription(path)
    assert (live.ack_deadline_seconds, dict(live.labels)) == (30, {"x": "y", "theirs": "1"})


def replaced(project, here, program):
    """The new subscription is there before the old one goes, and what belongs to it follows."""
    third = program(subscription={"enable_message_ordering": True})
    told = project.up(third)
    assert ops(told)["subscription"] == "create-replacement replace delete-replaced"
    assert ops(told)["reader"] == "create-replacement replace delete-replaced"
    assert here.subscription(project.outputs()["subscription"]).enable_message_ordering
    assert ops(project.destroy(third)) == every("delete")


def test_what_was_deleted_behind_its_back_comes_back(ports, here, program, tmp_path):
    project = Project(tmp_path, ports)
    one = program()
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


GIVEN = {
    "Lake": "a-given-name",
    "topic": "given-topic",
    "dead": "given-dead",
    "subscription": "given-subscription",
}


def imports(names):
    """Ids to import, in the forms that the published provider takes."""
    return {
        "Lake": names["Lake"],
        "topic": "given-topic",
        "dead": "proj/given-dead",
        "subscription": names["subscription"],
        "publisher": names["publisher"],
        "reader": f"{names['subscription']} roles/pubsub.subscriber user:a@example.com",
        "viewer": "b/a-given-name roles/storage.objectViewer allUsers",
        "notification": names["notification"],
    }


def test_import_and_the_deletion_of_what_is_not_empty(ports, here, program, tmp_path):
    mine = partial(program, names=GIVEN)
    maker = Project(tmp_path / "maker", ports)
    maker.up(mine())
    taker = Project(tmp_path / "taker", ports)
    assert ops(taker.up(mine(imports=imports(maker.outputs())))) == every("import")
    assert ops(taker.up(mine())) == every("same")

    # A bucket with a given name has to go before its replacement comes.
    told = taker.preview(mine(bucket={"storage_class": "nearline", "location": "EU"}))
    assert ops(told)["Lake"].split()[0] == "delete-replaced"
    assert paths(told)["Lake"] == {"location": "update-replace", "storageClass": "update"}

    here.storage.put("a-given-name", "left over")
    with pytest.raises(Exception, match="The bucket you tried to delete is not empty") as failed:
        taker.destroy(mine())
    assert "force_destroy" in str(failed.value)
    forced = mine(bucket={"force_destroy": True})
    taker.up(forced)
    taker.destroy(forced)
    assert not here.storage.buckets


def test_secrets_stay_secret(ports, here, program, tmp_path):
    project = Project(tmp_path, ports)

    def secretive():
        labels = {"x": pulumi.Output.secret(SECRET_LABEL)}
        program(subscription={"labels": labels})()

    project.up(secretive)
    project.refresh(secretive)
    assert here.subscription(project.outputs()["subscription"]).labels["x"] == SECRET_LABEL
    project.destroy(secretive)
    written = project.texts()
    assert GCP_ACCOUNT not in written
    assert SECRET_LABEL not in written
