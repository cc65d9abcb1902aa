"""The service google.iam.v1.IAMPolicy: policies are kept, and forbid nothing.

There are no identities on a local cloud, so every asked permission is granted. Etags guard
read-modify-write as Google's do (google.iam.v1 `Policy.etag`).
"""

from __future__ import annotations

import secrets

import grpc

from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.broker import Broker
from buildflow_nb.local_cloud.pubsub.calls import Calls
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.status import StatusError, not_found

__all__ = ("Policies",)

NO_POLICY_ETAG = b"\x00\x01"  # what Google gives while no policy was ever set
_ETAG_BYTES = 8
_POLICY_VERSION = 1  # policies without conditions


class Policies:
    """The policies of topics, subscriptions and snapshots. All calls raise `StatusError`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def calls(self) -> Calls:
        """Give the calls of the service with the messages that they take."""
        return {
            "SetIamPolicy": (proto.SetIamPolicyRequest, self.set),
            "GetIamPolicy": (proto.GetIamPolicyRequest, self.get),
            "TestIamPermissions": (proto.TestIamPermissionsRequest, self.test),
        }

    def set(self, request: Pb) -> Pb:
        """Replace a policy, unless it changed since the caller read it."""
        current = self._current(request.resource)
        if request.policy.etag and request.policy.etag != current.etag:
            message = (
                f"The policy of {request.resource} was changed meanwhile; read it again, change "
                "that and set it."
            )
            raise StatusError(grpc.StatusCode.ABORTED, message)
        policy = proto.Policy()
        policy.CopyFrom(request.policy)
        policy.version = policy.version or _POLICY_VERSION
        policy.etag = secrets.token_bytes(_ETAG_BYTES)
        self._broker.policies[request.resource] = policy
        return policy

    def get(self, request: Pb) -> Pb:
        """Give a policy."""
        return self._current(request.resource)

    def test(self, request: Pb) -> Pb:
        """Grant all permissions that are asked for."""
        self._current(request.resource)
        return proto.TestIamPermissionsResponse(permissions=request.permissions)

    def _current(self, resource: str) -> Pb:
        broker = self._broker
        for kind in (broker.topics, broker.subscriptions, broker.snapshots):
            if resource in kind:
                empty = proto.Policy(version=_POLICY_VERSION, etag=NO_POLICY_ETAG)
                return broker.policies.get(resource, empty)
        raise not_found(resource)
