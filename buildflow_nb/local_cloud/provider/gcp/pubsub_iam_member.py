"""`TopicIAMMember` and `SubscriptionIAMMember` of `gcp:pubsub`: members of roles of either.

The two differ in nothing but the collection in which the parent is.
"""

from __future__ import annotations

from typing import Any, ClassVar

from google.api_core.exceptions import NotFound
from google.iam.v1 import iam_policy_pb2, options_pb2, policy_pb2
from google.protobuf import json_format

from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.gcp.cloud import CALL_S, GCPCloud
from buildflow_nb.local_cloud.provider.gcp.iam_member import (
    MEMBER_INPUTS,
    VERSION,
    IAMMember,
    Policy,
)
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.schema import Input, Schema

__all__ = ("SubscriptionIAMMember", "TopicIAMMember")


class _PubSubIAMMember(IAMMember):
    """A member of a role of a topic or subscription, by its full path."""

    service = "pubsub"
    noun: ClassVar[str]

    def parent(self, cloud: GCPCloud, inputs: Properties) -> str:
        """The full path."""
        return cloud.path(f"{self.noun}s", inputs.must(self.noun), inputs)

    def parent_properties(self, parent: str) -> dict[str, Plain]:
        """The path, and the project in it."""
        return {self.noun: parent, "project": parent.split("/")[1]}

    def get_policy(self, cloud: GCPCloud, parent: str) -> Policy | None:
        """Read the policy."""
        options = options_pb2.GetPolicyOptions(requested_policy_version=VERSION)
        request = iam_policy_pb2.GetIamPolicyRequest(resource=parent, options=options)
        try:
            policy: Any = cloud.pubsub.publisher.get_iam_policy(
                request=request, retry=None, timeout=CALL_S
            )
        except NotFound:
            return None
        found: Policy = json_format.MessageToDict(policy)
        return found

    def set_policy(self, cloud: GCPCloud, parent: str, policy: Policy) -> None:
        """Write the policy."""
        message = json_format.ParseDict(policy, policy_pb2.Policy())
        request = iam_policy_pb2.SetIamPolicyRequest(resource=parent, policy=message)
        cloud.pubsub.publisher.set_iam_policy(request=request, retry=None, timeout=CALL_S)


def _schema(noun: str, token: str) -> Schema:
    inputs = {
        noun: Input(Kind.PATH, required=True, replaces=True),
        "project": Input(replaces=True, computed=True),
        **MEMBER_INPUTS,
    }
    return Schema(token, inputs, outputs={"etag": ()})


class TopicIAMMember(_PubSubIAMMember):
    """A member of a role of a topic."""

    noun = "topic"
    schema: ClassVar[Schema] = _schema(noun, "gcp:pubsub/topicIAMMember:TopicIAMMember")


class SubscriptionIAMMember(_PubSubIAMMember):
    """A member of a role of a subscription."""

    noun = "subscription"
    schema: ClassVar[Schema] = _schema(
        noun, "gcp:pubsub/subscriptionIAMMember:SubscriptionIAMMember"
    )
