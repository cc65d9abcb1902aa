"""The events in a bucket's notifications.

Format: Cloud Storage documentation, "Pub/Sub notifications", section "Notification format": what
happened to which object is in a message's attributes.
"""

from __future__ import annotations

from collections.abc import Collection

from buildflow_nb.core.primitive import Malformed, Source
from buildflow_nb.io.events import EventSource
from buildflow_nb.types.gcp import GCSChangeStreamEventType, GCSFileChangeEvent, PubsubMessage

__all__ = ("event_of", "event_source")


def event_source(
    subscription: Source, storage_client: object, wanted: Collection[GCSChangeStreamEventType]
) -> EventSource:
    """The events of a bucket, out of its subscription; `storage_client` fetches objects.

    Events of kinds that are not `wanted` are passed over, but for those that nobody knows.
    """
    kinds = {*wanted, GCSChangeStreamEventType.UNKNOWN}

    def read(message: PubsubMessage) -> list[object]:
        event = event_of(message, storage_client)
        return [event] if isinstance(event, Malformed) or event.event_type in kinds else []

    return EventSource(subscription, read, _origin)


def event_of(message: PubsubMessage, storage_client: object) -> GCSFileChangeEvent | Malformed:
    """The event that a message tells.

    Anybody who may publish may say anything: what cannot be read fails alone.
    """
    try:
        return _read(message, storage_client)
    except Exception as error:  # noqa: BLE001  (what came may be of any shape)
        reason = f"cannot be read as a message of Cloud Storage: {type(error).__name__}: {error}"
        return Malformed(message, reason)


def _read(message: PubsubMessage, storage_client: object) -> GCSFileChangeEvent | Malformed:
    said = message.attributes
    if "eventType" not in said or "objectId" not in said:
        return Malformed(message, "without eventType and objectId, so no message of Cloud Storage")
    kind = GCSChangeStreamEventType(said["eventType"])
    return GCSFileChangeEvent(said["objectId"], kind, said, storage_client)


def _origin(item: object) -> str:
    if isinstance(item, GCSFileChangeEvent):
        return f"gs://{item.bucket_name}/{item.file_path}"
    return "a message of Cloud Storage"
