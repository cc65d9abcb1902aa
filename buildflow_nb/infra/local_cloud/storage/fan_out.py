"""Sends what happened to an object to the topics that the bucket's notifications name.

Attributes and payload are Cloud Storage's (Pub/Sub notifications for Cloud Storage, "Notification
format"). A topic that is gone is passed over: the bucket lives on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from buildflow_nb.infra.local_cloud.pubsub import proto
from buildflow_nb.infra.local_cloud.pubsub.server import PubSubServer
from buildflow_nb.infra.local_cloud.pubsub.status import StatusError
from buildflow_nb.infra.local_cloud.storage.registrations import Registrations

__all__ = ("FanOut", "described")

HOST = "//pubsub.googleapis.com/"

log = logging.getLogger(__name__)


class FanOut:
    """Publishes events of objects; used on the server's loop."""

    def __init__(self, server: PubSubServer, registrations: Registrations) -> None:
        self._server = server
        self._registrations = registrations

    def tell(self, attributes: Mapping[str, str], payload: bytes) -> None:
        """Tell every notification of the bucket that asks for this."""
        bucket = attributes.get("bucketId", "")
        for notification in self._registrations.notifications(bucket):
            if _wanted(notification, attributes):
                self._publish(bucket, notification, attributes, payload)

    def _publish(
        self,
        bucket: str,
        notification: Mapping[str, Any],
        attributes: Mapping[str, str],
        payload: bytes,
    ) -> None:
        form = notification.get("payload_format", "JSON_API_V1")
        told = {
            **attributes,
            **notification.get("custom_attributes", {}),
            "notificationConfig": f"projects/_/buckets/{bucket}/notificationConfigs/"
            f"{notification['id']}",
            "payloadFormat": form,
        }
        message = proto.PubsubMessage(data=payload if form != "NONE" else b"", attributes=told)
        topic = str(notification["topic"]).removeprefix(HOST)
        try:
            self._server.publish(topic, [message])
        except StatusError as error:
            log.warning("an event of bucket %s could not go to %s: %s", bucket, topic, error)


def _wanted(notification: Mapping[str, Any], attributes: Mapping[str, str]) -> bool:
    types = notification.get("event_types")
    prefix = notification.get("object_name_prefix", "")
    kind = attributes.get("eventType", "")
    return (not types or kind in types) and attributes.get("objectId", "").startswith(prefix)


def described(kind: str, resource: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """The attributes and the payload of an event, made from an object's resource."""
    attributes = {
        "eventType": kind,
        "bucketId": str(resource.get("bucket", "")),
        "objectId": str(resource.get("name", "")),
        "objectGeneration": str(resource.get("generation", "")),
        "eventTime": str(resource.get("updated", "")),
    }
    return attributes, json.dumps(resource).encode()
