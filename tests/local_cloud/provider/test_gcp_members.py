"""Members of roles: in the policies of buckets, topics and subscriptions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import grpc
import pytest

from tests.local_cloud.provider.instance import made
from tests.local_cloud.provider.test_gcp_resources import SUBSCRIPTION, GCPContract

pytestmark = pytest.mark.emulator


class MemberContract(GCPContract):
    replacing: ClassVar[dict] = {
        "role": "roles/other",
        "member": "user:b@example.com",
        "condition": {"title": "t", "expression": "true"},
    }
    member: ClassVar[dict] = {
        "role": "roles/pubsub.publisher",
        "member": "serviceAccount:a@example.com",
    }
    parent: str

    def test_members_do_not_disturb_each_other(self, gcp, inputs):
        members = [f"user:{n}@example.com" for n in range(12)]
        checked = [gcp.check(self.token, {**inputs, "member": m}) for m in members]
        with ThreadPoolExecutor(12) as pool:
            made = list(pool.map(lambda each: gcp.create(self.token, each), checked))
            assert all(gcp.read(self.token, i, outputs)[0] == i for i, outputs in made)
            list(pool.map(lambda each: gcp.delete(self.token, *each), made[1:]))
        assert gcp.read(self.token, *made[0])[0] == made[0][0]
        assert gcp.read(self.token, *made[1])[0] == ""
        gcp.delete(self.token, *made[0])

    def test_a_condition_makes_another_member(self, gcp, inputs):
        condition = {"title": "office hours", "expression": "true"}
        plain = gcp.create(self.token, gcp.check(self.token, inputs))
        checked = gcp.check(self.token, {**inputs, "condition": condition})
        conditional = gcp.create(self.token, checked)
        gcp.delete(self.token, *plain)
        assert gcp.read(self.token, *conditional)[0]
        assert gcp.read(self.token, *plain)[0] == ""
        gcp.delete(self.token, *conditional)

    def test_an_import_by_an_id_with_blanks(self, gcp, inputs):
        resource_id, outputs = gcp.create(self.token, gcp.check(self.token, inputs))
        role, member = inputs["role"], inputs["member"]
        parent = resource_id.removesuffix(f"/{role}/{member}")
        imported, found, _ = gcp.read(self.token, f"{parent} {role} {member}")
        assert imported == resource_id
        assert found.values["member"] == member
        with pytest.raises(grpc.RpcError, match="is not the id of a member"):
            gcp.read(self.token, parent)
        gcp.delete(self.token, resource_id, outputs)

    def test_a_parent_that_is_not_there(self, gcp, inputs):
        inputs = {**inputs, self.parent: "not-there"}
        with pytest.raises(grpc.RpcError, match=r"not-there' does not exist; make it before"):
            gcp.create(self.token, gcp.check(self.token, inputs))


class TestBucketIAMMember(MemberContract):
    token = "gcp:storage/bucketIAMMember:BucketIAMMember"  # noqa: S105
    parent = "bucket"

    @pytest.fixture
    def inputs(self, bucket):
        return {"bucket": bucket, **self.member}


class TestTopicIAMMember(MemberContract):
    token = "gcp:pubsub/topicIAMMember:TopicIAMMember"  # noqa: S105
    parent = "topic"

    @pytest.fixture
    def inputs(self, topic):
        return {"topic": topic, **self.member}


class TestSubscriptionIAMMember(MemberContract):
    token = "gcp:pubsub/subscriptionIAMMember:SubscriptionIAMMember"  # noqa: S105
    parent = "subscription"

    @pytest.fixture
    def inputs(self, gcp, topic):
        for path in made(gcp, SUBSCRIPTION, {"name": "members-subscription", "topic": topic}):
            yield {"subscription": path, **self.member}


def test_the_service_account_of_a_project(gcp):
    token = "gcp:storage/getProjectServiceAccount:getProjectServiceAccount"  # noqa: S105
    found = gcp.invoke(token, {})
    assert found["emailAddress"] == "service-proj@gs-project-accounts.test"
    assert found["member"] == f"serviceAccount:{found['emailAddress']}"
    assert gcp.invoke(token, {"project": "other"})["project"] == "other"
