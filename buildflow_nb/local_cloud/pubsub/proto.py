"""The messages of google.pubsub.v1 and google.iam.v1, as the client libraries install them.

The classes are protobuf's own, without the proto-plus wrappers of the client library, which cost
ten times as much for each field. They are made at run time and have no stubs, so they are typed
as `Pb` throughout the server.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.protobuf import duration_pb2, empty_pb2, field_mask_pb2, timestamp_pb2
from google.pubsub_v1 import types

__all__ = (
    "AcknowledgeRequest",
    "CreateSnapshotRequest",
    "DeleteSnapshotRequest",
    "DeleteSubscriptionRequest",
    "DeleteTopicRequest",
    "DetachSubscriptionRequest",
    "DetachSubscriptionResponse",
    "Duration",
    "Empty",
    "FieldMask",
    "GetIamPolicyRequest",
    "GetSnapshotRequest",
    "GetSubscriptionRequest",
    "GetTopicRequest",
    "ListSnapshotsRequest",
    "ListSnapshotsResponse",
    "ListSubscriptionsRequest",
    "ListSubscriptionsResponse",
    "ListTopicSnapshotsRequest",
    "ListTopicSnapshotsResponse",
    "ListTopicSubscriptionsRequest",
    "ListTopicSubscriptionsResponse",
    "ListTopicsRequest",
    "ListTopicsResponse",
    "ModifyAckDeadlineRequest",
    "ModifyPushConfigRequest",
    "Pb",
    "Policy",
    "PublishRequest",
    "PublishResponse",
    "PubsubMessage",
    "PullRequest",
    "PullResponse",
    "ReceivedMessage",
    "SeekRequest",
    "SeekResponse",
    "SetIamPolicyRequest",
    "Snapshot",
    "StreamingPullRequest",
    "StreamingPullResponse",
    "Subscription",
    "TestIamPermissionsRequest",
    "TestIamPermissionsResponse",
    "Timestamp",
    "Topic",
    "UpdateSnapshotRequest",
    "UpdateSubscriptionRequest",
    "UpdateTopicRequest",
)

Pb: TypeAlias = Any  # a protobuf message; its class is made at run time


def _raw(wrapper: Any) -> Pb:
    return wrapper.pb()


Duration: Pb = duration_pb2.Duration
Empty: Pb = empty_pb2.Empty
FieldMask: Pb = field_mask_pb2.FieldMask
Timestamp: Pb = timestamp_pb2.Timestamp

GetIamPolicyRequest: Pb = iam_policy_pb2.GetIamPolicyRequest
Policy: Pb = policy_pb2.Policy
SetIamPolicyRequest: Pb = iam_policy_pb2.SetIamPolicyRequest
TestIamPermissionsRequest: Pb = iam_policy_pb2.TestIamPermissionsRequest
TestIamPermissionsResponse: Pb = iam_policy_pb2.TestIamPermissionsResponse

AcknowledgeRequest = _raw(types.AcknowledgeRequest)
CreateSnapshotRequest = _raw(types.CreateSnapshotRequest)
DeleteSnapshotRequest = _raw(types.DeleteSnapshotRequest)
DeleteSubscriptionRequest = _raw(types.DeleteSubscriptionRequest)
DeleteTopicRequest = _raw(types.DeleteTopicRequest)
DetachSubscriptionRequest = _raw(types.DetachSubscriptionRequest)
DetachSubscriptionResponse = _raw(types.DetachSubscriptionResponse)
GetSnapshotRequest = _raw(types.GetSnapshotRequest)
GetSubscriptionRequest = _raw(types.GetSubscriptionRequest)
GetTopicRequest = _raw(types.GetTopicRequest)
ListSnapshotsRequest = _raw(types.ListSnapshotsRequest)
ListSnapshotsResponse = _raw(types.ListSnapshotsResponse)
ListSubscriptionsRequest = _raw(types.ListSubscriptionsRequest)
ListSubscriptionsResponse = _raw(types.ListSubscriptionsResponse)
ListTopicSnapshotsRequest = _raw(types.ListTopicSnapshotsRequest)
ListTopicSnapshotsResponse = _raw(types.ListTopicSnapshotsResponse)
ListTopicSubscriptionsRequest = _raw(types.ListTopicSubscriptionsRequest)
ListTopicSubscriptionsResponse = _raw(types.ListTopicSubscriptionsResponse)
ListTopicsRequest = _raw(types.ListTopicsRequest)
ListTopicsResponse = _raw(types.ListTopicsResponse)
ModifyAckDeadlineRequest = _raw(types.ModifyAckDeadlineRequest)
ModifyPushConfigRequest = _raw(types.ModifyPushConfigRequest)
PublishRequest = _raw(types.PublishRequest)
PublishResponse = _raw(types.PublishResponse)
PubsubMessage = _raw(types.PubsubMessage)
PullRequest = _raw(types.PullRequest)
PullResponse = _raw(types.PullResponse)
ReceivedMessage = _raw(types.ReceivedMessage)
SeekRequest = _raw(types.SeekRequest)
SeekResponse = _raw(types.SeekResponse)
Snapshot = _raw(types.Snapshot)
StreamingPullRequest = _raw(types.StreamingPullRequest)
StreamingPullResponse = _raw(types.StreamingPullResponse)
Subscription = _raw(types.Subscription)
Topic = _raw(types.Topic)
UpdateSnapshotRequest = _raw(types.UpdateSnapshotRequest)
UpdateSubscriptionRequest = _raw(types.UpdateSubscriptionRequest)
UpdateTopicRequest = _raw(types.UpdateTopicRequest)
