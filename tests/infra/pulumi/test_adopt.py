"""What becomes of creations that were cut off."""

from __future__ import annotations

import pytest
from pulumi.automation import Deployment

from buildflow_nb.core.primitive import Env
from buildflow_nb.infra.pulumi.adopt import adopted

ENV = Env(aws_region="us-east-1", gcp_project="shop-project")
PROVIDER = "urn:pulumi:local::shop::pulumi:providers:gcp::gcp-other-project"


def pending(type_: str, called: str = "it", kind: str = "creating", **inputs):
    urn = f"urn:pulumi:local::shop::buildflow:X${type_}::{called}"
    resource = {"urn": urn, "custom": True, "type": type_, "inputs": inputs, "provider": ""}
    return {"resource": resource, "type": kind}


def after(*operations, resources=()):
    state = {"resources": list(resources), "pending_operations": list(operations)}
    found, unknown = adopted(Deployment(version=3, deployment=state), ENV)
    assert found.version == 3
    assert found.deployment["pending_operations"] == []
    return found.deployment["resources"], unknown


@pytest.mark.parametrize(
    ("type_", "inputs", "identity"),
    [
        ("aws:s3/bucket:Bucket", {"bucket": "b"}, "b"),
        ("aws:s3/bucketNotification:BucketNotification", {"bucket": "b"}, "b"),
        ("aws:sqs/queuePolicy:QueuePolicy", {"queueUrl": "http://q"}, "http://q"),
        ("gcp:storage/bucket:Bucket", {"name": "b"}, "b"),
        ("gcp:pubsub/topic:Topic", {"name": "t"}, "projects/shop-project/topics/t"),
        (
            "gcp:pubsub/subscription:Subscription",
            {"name": "s", "project": "elsewhere"},
            "projects/elsewhere/subscriptions/s",
        ),
        (
            "gcp:pubsub/topicIAMMember:TopicIAMMember",
            {"topic": "t", "role": "roles/x", "member": "user:a"},
            "projects/shop-project/topics/t/roles/x/user:a",
        ),
        (
            "gcp:storage/bucketIAMMember:BucketIAMMember",
            {"bucket": "b", "role": "roles/x", "member": "user:a"},
            "b/b/roles/x/user:a",
        ),
    ],
)
def test_its_identity_follows_from_its_inputs(type_, inputs, identity):
    (made,), unknown = after(pending(type_, **inputs))
    assert made["id"] == identity
    assert made["inputs"] == made["outputs"] == inputs
    assert unknown == []


def test_the_project_of_its_provider_wins_over_the_stacks():
    provider = {"urn": PROVIDER, "inputs": {"project": "other-project"}}
    operation = pending("gcp:pubsub/topic:Topic")
    operation["resource"]["inputs"] = {"name": "t"}
    operation["resource"]["provider"] = f"{PROVIDER}::0000"
    (_, made), _ = after(operation, resources=[provider])
    assert made["id"] == "projects/other-project/topics/t"


def test_one_of_an_unknown_kind_is_named_and_not_invented():
    operation = pending("aws:rds/instance:Instance")
    resources, unknown = after(operation)
    assert resources == []
    assert unknown == [operation["resource"]["urn"]]


@pytest.mark.parametrize("kind", ["updating", "deleting", "reading"])
def test_what_is_in_the_state_already_stays_as_it_is(kind):
    operation = pending("aws:s3/bucket:Bucket", kind=kind, bucket="b")
    known = {**operation["resource"], "id": "b"}
    assert after(operation, resources=[known]) == ([known], [])


def test_a_creation_that_was_written_after_all_is_not_doubled():
    operation = pending("aws:s3/bucket:Bucket", bucket="b")
    known = {**operation["resource"], "id": "b"}
    assert after(operation, resources=[known]) == ([known], [])


def test_a_component_is_nothing_that_a_cloud_has():
    operation = pending("buildflow:SQSQueue")
    operation["resource"]["custom"] = False
    assert after(operation) == ([], [])


def test_an_empty_state():
    found, unknown = adopted(Deployment(version=3, deployment=None), ENV)
    assert found.deployment == {"resources": [], "pending_operations": []}
    assert unknown == []
