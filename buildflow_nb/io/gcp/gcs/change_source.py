"""A source of the events in a bucket's notifications.

Format: Cloud Storage documentation, "Pub/Sub notifications", section "Notification format": what
happened to which object is in a message's attributes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

from buildflow_nb.core.primitive import Batch, Malformed, Source
from buildflow_nb.io.redelivery import give_back
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
        """Wait for events; an empty batch where the subscription gave one."""
        while True:
            if self._kept is None:
                batch = await self._subscription.pull()
                if batch is None or not batch.items:
                    return batch
                self._kept = self._opened(batch)
            if self._unwanted:  # until they are acknowledged, by a later pull, the batch is kept
                await self._subscription.settle(self._unwanted, ok=True)
                self._unwanted = []
            found, self._kept = self._kept, None
            if found.items:  # passing over events says nothing of those that come after them
                return found

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Acknowledge events, or have them delivered again after a pause."""
        await self._subscription.settle(receipts, ok=ok)

    async def release(self, receipts: Sequence[object]) -> None:
        """Give events back that were not tried."""
        await give_back(self._subscription, receipts)

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
