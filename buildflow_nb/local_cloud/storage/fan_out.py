"""Sends what happened to an object to the topics that the bucket's notifications name.

An event goes to every notification of its own bucket that asks for its type and for the object's
name, each on its own: a topic that is gone or full is passed over with one line in the log until it
takes events again, and the others miss nothing. An event is in the topics before `tell` returns.

There is no queue here. What an emulator has done but not yet told when its process dies is lost,
and so is what is in the topics when the Pub/Sub server dies without a clean stop.

Source: Cloud Storage documentation, "Pub/Sub notifications for Cloud Storage", section
"Notification format".
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.status import StatusError
from buildflow_nb.local_cloud.storage.kept_file import Json
from buildflow_nb.local_cloud.storage.registrations import Registrations

__all__ = ("EVENT_TYPES", "HOST", "EventType", "FanOut", "described")

EventType: TypeAlias = Literal[
    "OBJECT_FINALIZE", "OBJECT_METADATA_UPDATE", "OBJECT_DELETE", "OBJECT_ARCHIVE"
]
EVENT_TYPES = ("OBJECT_FINALIZE", "OBJECT_METADATA_UPDATE", "OBJECT_DELETE", "OBJECT_ARCHIVE")
HOST = "//pubsub.googleapis.com/"  # in front of a topic's path in Cloud Storage's API

logger = logging.getLogger(__name__)


class FanOut:
    """Publishes events of objects; `publish` takes a topic's path and `PubsubMessage`s."""

    def __init__(
        self, publish: Callable[[str, Sequence[Pb]], object], registrations: Registrations
    ) -> None:
        self._publish = publish
        self._registrations = registrations
        self._failing: set[str] = set()  # notifications whose trouble the log has told

    def tell(self, attributes: Mapping[str, str], payload: bytes) -> None:
        """Tell every notification of the bucket that asks for this; never raises for a topic.

        `attributes` are those of the event but for the notification's own, `payload` is the
        object's resource as JSON.
        """
        bucket = attributes.get("bucketId", "")
        for notification in self._registrations.notifications(bucket):
            if _wanted(notification, attributes):
                self._send(notification, _message(bucket, notification, attributes, payload))

    def _send(self, notification: Json, message: Pb) -> None:
        topic = str(notification["topic"]).removeprefix(HOST)
        number = str(notification["id"])
        try:
            self._publish(topic, [message])
        except StatusError as error:
            if number not in self._failing:
                self._failing.add(number)
                logger.warning(
                    "events of notification %s do not reach %s: %s", number, topic, error
                )
        else:
            self._failing.discard(number)


def described(kind: EventType, resource: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """The attributes and the payload of an event, made from an object's resource."""
    attributes = {
        "eventType": kind,
        "bucketId": str(resource.get("bucket", "")),
        "objectId": str(resource.get("name", "")),
        "objectGeneration": str(resource.get("generation", "")),
        "eventTime": str(resource.get("updated", "")),
    }
    return attributes, json.dumps(resource).encode()


def _wanted(notification: Json, attributes: Mapping[str, str]) -> bool:
    types = notification.get("event_types")
    prefix = notification.get("object_name_prefix") or ""
    kind = attributes.get("eventType", "")
    return (not types or kind in types) and attributes.get("objectId", "").startswith(prefix)


def _message(bucket: str, notification: Json, attributes: Mapping[str, str], payload: bytes) -> Pb:
    form = notification["payload_format"]
    config = f"projects/_/buckets/{bucket}/notificationConfigs/{notification['id']}"
    told = {
        **notification.get("custom_attributes", {}),  # first, so that none hides an event's own
        **attributes,
        "notificationConfig": config,
        "payloadFormat": form,
    }
    return proto.PubsubMessage(data=b"" if form == "NONE" else payload, attributes=told)
