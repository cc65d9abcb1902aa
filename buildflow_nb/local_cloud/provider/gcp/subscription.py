"""`gcp:pubsub/subscription:Subscription`: a subscription of Pub/Sub, with all of its policies.

Its id is `projects/{project}/subscriptions/{name}`. Inputs are the JSON form of the protocol's
`Subscription` but in one thing: an expiration policy whose `ttl` is empty never expires, which the
protocol says by a policy without one.

Source: google.pubsub.v1, Subscriber and Subscription.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from google.api_core.exceptions import NotFound
from google.protobuf import field_mask_pb2, json_format
from google.pubsub_v1 import types

from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.gcp.cloud import (
    AUTO_NAME,
    CALL_S,
    LABEL_OUTPUTS,
    GCPCloud,
    label_properties,
    name_failures,
    next_labels,
    wanted_labels,
)
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Resource
from buildflow_nb.local_cloud.provider.schema import Failure, Input, Schema

__all__ = ("Subscription",)

CHANGEABLE: Mapping[str, str] = MappingProxyType(  # input: field of the update mask
    {
        "ackDeadlineSeconds": "ack_deadline_seconds",
        "deadLetterPolicy": "dead_letter_policy",
        "enableExactlyOnceDelivery": "enable_exactly_once_delivery",
        "expirationPolicy": "expiration_policy",
        "labels": "labels",
        "messageRetentionDuration": "message_retention_duration",
        "pushConfig": "push_config",
        "retainAckedMessages": "retain_acked_messages",
        "retryPolicy": "retry_policy",
    }
)
FIXED = ("enableMessageOrdering", "filter")  # as the protocol calls them too
PUSH_CONFIG = {
    "attributes": Input(Kind.TABLE, computed=True),  # the server adds its version
    "noWrapper": Input(Kind.OBJECT, parts={"writeMetadata": Input(Kind.FLAG, required=True)}),
    "oidcToken": Input(
        Kind.OBJECT,
        parts={"audience": Input(computed=True), "serviceAccountEmail": Input(required=True)},
    ),
    "pushEndpoint": Input(required=True),
}


class Subscription(Resource[GCPCloud]):
    """A subscription of Pub/Sub."""

    service = "pubsub"
    schema: ClassVar[Schema] = Schema(
        "gcp:pubsub/subscription:Subscription",
        inputs={
            "ackDeadlineSeconds": Input(Kind.NUMBER, computed=True),
            "deadLetterPolicy": Input(
                Kind.OBJECT,
                parts={
                    "deadLetterTopic": Input(Kind.PATH),
                    "maxDeliveryAttempts": Input(Kind.NUMBER, computed=True),
                },
            ),
            "enableExactlyOnceDelivery": Input(Kind.FLAG),
            "enableMessageOrdering": Input(Kind.FLAG, replaces=True),
            "expirationPolicy": Input(
                Kind.OBJECT, computed=True, parts={"ttl": Input(Kind.DURATION, required=True)}
            ),
            "filter": Input(replaces=True),
            "labels": Input(Kind.TABLE),
            "messageRetentionDuration": Input(Kind.DURATION, default="604800s"),
            "name": Input(replaces=True, computed=True),
            "project": Input(replaces=True, computed=True),
            "pushConfig": Input(Kind.OBJECT, parts=PUSH_CONFIG),
            "retainAckedMessages": Input(Kind.FLAG),
            "retryPolicy": Input(
                Kind.OBJECT,
                parts={
                    "maximumBackoff": Input(Kind.DURATION, computed=True),
                    "minimumBackoff": Input(Kind.DURATION, computed=True),
                },
            ),
            "topic": Input(Kind.PATH, required=True, replaces=True),
        },
        outputs=LABEL_OUTPUTS,
        name=AUTO_NAME,
    )

    def failures(self, inputs: Properties) -> Iterable[Failure]:
        """Names that Pub/Sub would reject."""
        yield from name_failures("subscription", inputs)

    def identify(self, cloud: GCPCloud, resource_id: str) -> str:
        """The full path of a subscription that is given by name, `project/name` or path."""
        return cloud.path("subscriptions", resource_id, Properties({}))

    def create(self, cloud: GCPCloud, inputs: Properties) -> str:
        """Make the subscription, in one call."""
        path = cloud.path("subscriptions", inputs.must("name"), inputs)
        message = _message(cloud, path, inputs)
        message.labels = wanted_labels(cloud, inputs)
        cloud.pubsub.subscriber.create_subscription(request=message, retry=None, timeout=CALL_S)
        return path

    def read(
        self, cloud: GCPCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look at the subscription."""
        try:
            live = _live(cloud, resource_id)
        except NotFound:
            return None
        _, project, _, name = resource_id.split("/", 3)
        flags = {n for n, declared in self.schema.inputs.items() if declared.kind is Kind.FLAG}
        found: dict[str, Plain] = {
            field: live.get(field) or (False if field in flags else None)
            for field in (*CHANGEABLE, *FIXED)
        }
        if "expirationPolicy" in live:
            found["expirationPolicy"] = {"ttl": "", **live["expirationPolicy"]}
        labels = label_properties(cloud, known, live.get("labels", {}))
        return {**found, "name": name, "project": project, "topic": live["topic"], **labels}

    def update(self, cloud: GCPCloud, resource_id: str, olds: Properties, news: Properties) -> None:
        """Set what changes; what a program leaves to the server again stays as it is."""
        inputs = self.schema.inputs
        paths = [
            path
            for name, path in CHANGEABLE.items()
            if olds.get(name) != news.get(name)
            and not (inputs[name].computed and news.get(name) is None)
        ]
        if not paths:
            return
        message = _message(cloud, resource_id, news)
        live = _live(cloud, resource_id).get("labels", {})
        message.labels = next_labels(cloud, live, olds, news)
        request = types.UpdateSubscriptionRequest(
            subscription=message, update_mask=field_mask_pb2.FieldMask(paths=paths)
        )
        cloud.pubsub.subscriber.update_subscription(request=request, retry=None, timeout=CALL_S)

    def delete(self, cloud: GCPCloud, resource_id: str, known: Properties) -> None:
        """Delete the subscription with its messages."""
        del known
        request = types.DeleteSubscriptionRequest(subscription=resource_id)
        try:
            cloud.pubsub.subscriber.delete_subscription(request=request, retry=None, timeout=CALL_S)
        except NotFound:
            return


def _live(cloud: GCPCloud, path: str) -> dict[str, Any]:
    request = types.GetSubscriptionRequest(subscription=path)
    got = cloud.pubsub.subscriber.get_subscription(request=request, retry=None, timeout=CALL_S)
    live: dict[str, Any] = json_format.MessageToDict(types.Subscription.pb(got))
    return live


def _message(cloud: GCPCloud, path: str, inputs: Properties) -> types.Subscription:
    """The protocol's form of a subscription, but for its labels."""
    names = [name for name in (*CHANGEABLE, *FIXED) if name != "labels"]
    fields: dict[str, Any] = {n: inputs[n] for n in names if inputs.get(n) is not None}
    expiration = inputs.part("expirationPolicy")
    if expiration is not None and not expiration.text("ttl"):
        fields["expirationPolicy"] = {}
    dead = inputs.part("deadLetterPolicy")
    if dead is not None and dead.text("deadLetterTopic"):
        topic = cloud.path("topics", dead.must("deadLetterTopic"), inputs)
        fields["deadLetterPolicy"] = {**dead, "deadLetterTopic": topic}
    message = types.Subscription(
        name=path, topic=cloud.path("topics", inputs.must("topic"), inputs)
    )
    json_format.ParseDict(fields, types.Subscription.pb(message))
    return message
