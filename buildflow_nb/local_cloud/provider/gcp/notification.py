"""`gcp:storage/notification:Notification`: the topic that hears of a bucket's changes.

Its id is `{bucket}/notificationConfigs/{number}`. Nothing of it can be changed in place.

Source: Cloud Storage JSON API v1, NotificationConfigs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.gcp.cloud import GCPCloud
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Resource
from buildflow_nb.local_cloud.provider.schema import Input, Schema

__all__ = ("Notification",)

CONFIGS = "notificationConfigs"
HOST = "//pubsub.googleapis.com/"  # in front of a topic's path in this API
FIELDS = {
    "customAttributes": "custom_attributes",
    "eventTypes": "event_types",
    "objectNamePrefix": "object_name_prefix",
    "payloadFormat": "payload_format",
}


class Notification(Resource[GCPCloud]):
    """A notification configuration of a bucket."""

    service = "storage"
    schema: ClassVar[Schema] = Schema(
        "gcp:storage/notification:Notification",
        inputs={
            "bucket": Input(required=True, replaces=True),
            "customAttributes": Input(Kind.TABLE, replaces=True),
            "eventTypes": Input(Kind.CHOICES, replaces=True),
            "objectNamePrefix": Input(replaces=True),
            "payloadFormat": Input(required=True, replaces=True, choices=("JSON_API_V1", "NONE")),
            "topic": Input(Kind.PATH, required=True, replaces=True),
        },
        outputs={"notificationId": (), "selfLink": ()},
    )

    def create(self, cloud: GCPCloud, inputs: Properties) -> str:
        """Make the configuration, in one call."""
        bucket = inputs.must("bucket")
        body: dict[str, Any] = {
            n: inputs.get(name) for name, n in FIELDS.items() if inputs.get(name)
        }
        body["topic"] = HOST + cloud.path("topics", inputs.must("topic"), inputs)
        made = cloud.storage.call("POST", "b", bucket, CONFIGS, body=body)
        return f"{bucket}/{CONFIGS}/{made['id']}"

    def read(
        self, cloud: GCPCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look at the configuration."""
        del known
        bucket, number = _parts(resource_id)
        live = cloud.storage.get("b", bucket, CONFIGS, number)
        if live is None:
            return None
        return {
            "bucket": bucket,
            "notificationId": number,
            "selfLink": live.get("selfLink"),
            "topic": live["topic"],
            **{name: live.get(field) for name, field in FIELDS.items()},
        }

    def delete(self, cloud: GCPCloud, resource_id: str, known: Properties) -> None:
        """Delete the configuration."""
        del known
        bucket, number = _parts(resource_id)
        cloud.storage.delete("b", bucket, CONFIGS, number)


def _parts(resource_id: str) -> tuple[str, str]:
    bucket, _, number = resource_id.partition(f"/{CONFIGS}/")
    if not number:
        msg = f"{resource_id!r} is not the id of a notification; give bucket/{CONFIGS}/number"
        raise InfraError(msg)
    return bucket, number
