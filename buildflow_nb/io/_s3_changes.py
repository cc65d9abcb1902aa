"""A source of the events in a queue's messages, each settled with its message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from buildflow_nb.core.primitive import Batch, Source
from buildflow_nb.io._giving_back import give_back
from buildflow_nb.io._s3_events import events_of

__all__ = ("S3ChangeSource",)

Fate = int
DONE, UNTRIED, FAILED = range(3)  # the worse one decides for a whole message


@dataclass(eq=False, slots=True)
class _Message:
    """A message of which some records are not settled."""

    receipt: object
    left: set[int]
    fate: Fate = DONE  # of the message, by the worst of its records


@dataclass(frozen=True, slots=True)
class _Receipt:
    message: _Message
    record: int


class S3ChangeSource:
    """Reads the queue of a bucket; `s3_client` fetches objects.

    A message is deleted when all its records are done. When one of them was given back it is shown
    again, whole, as soon as all are settled: after a pause if one failed, at once if none was.
    """

    def __init__(self, queue: Source, s3_client: object, *, test_events: bool) -> None:
        self._queue = queue
        self._s3_client = s3_client
        self._test_events = test_events
        self._kept: Batch | None = None
        self._eventless: list[object] = []

    async def pull(self) -> Batch | None:
        """Wait for events; an empty batch where the queue gave one."""
        while True:
            if self._kept is None:
                batch = await self._queue.pull()
                if batch is None or not batch.items:
                    return batch
                self._kept = self._opened(batch)
            if self._eventless:  # until they are deleted, also by a later pull, the batch is kept
                await self._queue.settle(self._eventless, ok=True)
                self._eventless = []
            found, self._kept = self._kept, None
            if found.items:  # messages without events say nothing of those that come after them
                return found

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Note that events are done or failed, and settle the messages this completes."""
        await self._note(receipts, DONE if ok else FAILED)

    async def release(self, receipts: Sequence[object]) -> None:
        """Note that events were not tried, and settle the messages this completes."""
        await self._note(receipts, UNTRIED)

    async def _note(self, receipts: Sequence[object], fate: Fate) -> None:
        complete: dict[Fate, dict[int, _Message]] = {DONE: {}, UNTRIED: {}, FAILED: {}}
        for receipt in cast("Sequence[_Receipt]", receipts):
            message = receipt.message
            message.left.discard(receipt.record)
            message.fate = max(message.fate, fate)
            if not message.left:
                complete[message.fate][id(message)] = message
        found = {
            fate: [message.receipt for message in messages.values()]
            for fate, messages in complete.items()
        }
        await self._queue.settle(found[DONE], ok=True)
        await self._queue.settle(found[FAILED], ok=False)
        await give_back(self._queue, found[UNTRIED])

    async def backlog(self) -> int | None:
        """Messages that wait in the queue, as SQS estimates it."""
        return await self._queue.backlog()

    def _opened(self, batch: Batch) -> Batch:
        """The events of the messages; takes note of messages that have none."""
        items: list[object] = []
        receipts: list[_Receipt] = []
        for body, receipt in zip(batch.items, batch.receipts or (), strict=True):
            events = events_of(cast("str", body), self._s3_client, test_events=self._test_events)
            message = _Message(receipt, set(range(len(events))))
            items += events
            receipts += [_Receipt(message, record) for record in range(len(events))]
            if not events:
                self._eventless.append(receipt)
        return Batch(items, receipts, lambda i: _origin(items[i]))


def _origin(item: object) -> str:
    bucket, key = getattr(item, "bucket_name", None), getattr(item, "file_path", "")
    return f"s3://{bucket}/{key}" if bucket else "a message of S3"
