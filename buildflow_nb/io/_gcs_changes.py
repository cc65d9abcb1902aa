"""A source of the events in a bucket's notifications.

Format: Cloud Storage documentation, "Pub/Sub notifications", section "Notification format": what
happened to which object is in a message's attributes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

from buildflow_nb.core.primitive import Batch, Malformed, Source
from buildflow_nb.types.gcp import GCSChangeStreamEventType, GCSFileChangeEvent, PubsubMessage

__all__ = ("GcsChangeSource", "event_of")


class GcsChangeSource:
    """Reads the subscription of a bucket; `storage_client` fetches objects.

    Events of kinds that are not `wanted` are passed over, but for those that nobody knows.
    """

    def __init__(
        self,
        subscription: Source,
        storage_client: object,
        wanted: Collection[GCSChangeStreamEventType],
    ) -> None:
        self._subscription = subscription
        self._storage_client = storage_client
        self._wanted = {*wanted, GCSChangeStreamEventType.UNKNOWN}
        self._kept: Batch | None = None
        self._unwanted: list[object] = []

    async def pull(self) -> Batch | None:
        """Wait for events; an empty batch where there were but unwanted ones."""
        if self._kept is None:
            batch = await self._subscription.pull()
            self._kept = None if batch is None else self._opened(batch)
        if self._unwanted:  # until they are acknowledged, also by a later pull, the batch is kept
            await self._subscription.settle(self._unwanted, ok=True)
            self._unwanted = []
        found, self._kept = self._kept, None
        return found

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Acknowledge events, or give them back."""
        await self._subscription.settle(receipts, ok=ok)

    async def backlog(self) -> int | None:
        """As the subscription tells."""
        return await self._subscription.backlog()

    def _opened(self, batch: Batch) -> Batch:
        items: list[object] = []
        receipts: list[object] = []
        for message, receipt in zip(batch.items, batch.receipts or (), strict=True):
            event = event_of(cast("PubsubMessage", message), self._storage_client)
            if isinstance(event, Malformed) or event.event_type in self._wanted:
                items.append(event)
                receipts.append(receipt)
            else:
                self._unwanted.append(receipt)
        return Batch(items, receipts, lambda i: _origin(items[i]))


def event_of(message: PubsubMessage, storage_client: object) -> GCSFileChangeEvent | Malformed:
    """The event that a message tells."""
    said = message.attributes
    if "eventType" not in said or "objectId" not in said:
        return Malformed(message, "without eventType and objectId, so no message of Cloud Storage")
    kind = GCSChangeStreamEventType(said["eventType"])
    return GCSFileChangeEvent(said["objectId"], kind, said, storage_client)


def _origin(item: object) -> str:
    if isinstance(item, GCSFileChangeEvent):
        return f"gs://{item.bucket_name}/{item.file_path}"
    return "a message of Cloud Storage"
