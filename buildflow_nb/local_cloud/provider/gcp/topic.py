"""`gcp:pubsub/topic:Topic`: a topic of Pub/Sub.

Its id is `projects/{project}/topics/{name}`.

Source: google.pubsub.v1, Publisher; the JSON form of `Topic` has the names of the inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

__all__ = ("Topic",)

RETENTION = "messageRetentionDuration"


class Topic(Resource[GCPCloud]):
    """A topic of Pub/Sub."""

    service = "pubsub"
    schema: ClassVar[Schema] = Schema(
        "gcp:pubsub/topic:Topic",
        inputs={
            "labels": Input(Kind.TABLE),
            RETENTION: Input(Kind.DURATION),
            "name": Input(replaces=True, computed=True),
            "project": Input(replaces=True, computed=True),
        },
        outputs=LABEL_OUTPUTS,
        name=AUTO_NAME,
    )

    def failures(self, inputs: Properties) -> Iterable[Failure]:
        """Names that Pub/Sub would reject."""
        yield from name_failures("topic", inputs)

    def identify(self, cloud: GCPCloud, resource_id: str) -> str:
        """The full path of a topic that is given by name, `project/name` or path."""
        return cloud.path("topics", resource_id, Properties({}))

    def create(self, cloud: GCPCloud, inputs: Properties) -> str:
        """Make the topic."""
        path = cloud.path("topics", inputs.must("name"), inputs)
        topic = _message(path, wanted_labels(cloud, inputs), inputs)
        cloud.pubsub.publisher.create_topic(request=topic, retry=None, timeout=CALL_S)
        return path

    def read(
        self, cloud: GCPCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look at the topic."""
        try:
            live = _live(cloud, resource_id)
        except NotFound:
            return None
        _, project, _, name = resource_id.split("/", 3)
        return {
            "name": name,
            "project": project,
            RETENTION: live.get(RETENTION),
            **label_properties(cloud, known, live.get("labels", {})),
        }

    def update(self, cloud: GCPCloud, resource_id: str, olds: Properties, news: Properties) -> None:
        """Set labels and retention, as far as they change."""
        changes = {"labels": "labels", RETENTION: "message_retention_duration"}
        paths = [path for name, path in changes.items() if olds.get(name) != news.get(name)]
        if not paths:
            return
        labels = next_labels(cloud, _live(cloud, resource_id).get("labels", {}), olds, news)
        request = types.UpdateTopicRequest(
            topic=_message(resource_id, labels, news),
            update_mask=field_mask_pb2.FieldMask(paths=paths),
        )
        cloud.pubsub.publisher.update_topic(request=request, retry=None, timeout=CALL_S)

    def delete(self, cloud: GCPCloud, resource_id: str, known: Properties) -> None:
        """Delete the topic; its subscriptions stay, without a topic."""
        del known
        request = types.DeleteTopicRequest(topic=resource_id)
        try:
            cloud.pubsub.publisher.delete_topic(request=request, retry=None, timeout=CALL_S)
        except NotFound:
            return


def _live(cloud: GCPCloud, path: str) -> dict[str, Any]:
    request = types.GetTopicRequest(topic=path)
    topic = cloud.pubsub.publisher.get_topic(request=request, retry=None, timeout=CALL_S)
    live: dict[str, Any] = json_format.MessageToDict(types.Topic.pb(topic))
    return live


def _message(path: str, labels: Mapping[str, str], inputs: Properties) -> types.Topic:
    message = types.Topic(name=path, labels=labels)
    retention = inputs.text(RETENTION)
    if retention:
        json_format.ParseDict({RETENTION: retention}, types.Topic.pb(message))
    return message
