"""A source of the events in a queue's messages, each settled with its message.

Format: Amazon S3 User Guide, "Event message structure". A message holds `Records`, nearly always
one; the keys in them are URL-encoded with `+` for a space. S3 sends a message without records, the
test event, when a notification is configured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote_plus

import msgspec

from buildflow_nb.core.primitive import Batch, Malformed, Source
from buildflow_nb.io.redelivery import give_back
from buildflow_nb.types.aws import S3ChangeStreamEventType, S3FileChangeEvent

__all__ = ("S3ChangeSource",)


TEST_EVENT = "s3:TestEvent"
# What no encoded key holds: some emulators send keys as they are.
NOT_ENCODED = re.compile(r"[^!-~]|%(?![0-9A-Fa-f]{2})")
_DECODER = msgspec.json.Decoder()


def events_of(
    body: str, s3_client: object, *, test_events: bool
) -> list[S3FileChangeEvent | Malformed]:
    """The events of a message; none for a test event, unless those are wanted.

    Anybody who may send to the queue may send anything: what cannot be read fails alone.
    """
    try:
        return _read(body, s3_client, test_events=test_events)
    except Exception as error:  # noqa: BLE001  (a RecursionError, say, of JSON that nests deeply)
        return [
            Malformed(body, f"cannot be read as a message of S3: {type(error).__name__}: {error}")
        ]


def _read(
    body: str, s3_client: object, *, test_events: bool
) -> list[S3FileChangeEvent | Malformed]:
    try:
        message = _DECODER.decode(body)
    except msgspec.DecodeError as error:
        return [Malformed(body, f"not JSON, so no message of S3: {error}")]
    if not isinstance(message, dict):
        return [Malformed(body, "no JSON object, so no message of S3")]
    if isinstance(message.get("Records"), list):
        return [_event(record, s3_client) for record in message["Records"]]
    if message.get("Event") != TEST_EVENT:
        return [Malformed(body, "neither Records nor a test event, so no message of S3")]
    return [_test_event(message)] if test_events else []


def _event(record: Any, s3_client: object) -> S3FileChangeEvent | Malformed:
    try:
        s3 = record["s3"]
        return S3FileChangeEvent(
            _decoded(s3["object"]["key"]),
            S3ChangeStreamEventType(str(record["eventName"])),
            record,
            s3["bucket"]["name"],
            s3_client,
        )
    except (KeyError, TypeError) as error:
        return Malformed(record, f"a record without the names of event, bucket and key: {error}")


def _test_event(message: Mapping[str, Any]) -> S3FileChangeEvent:
    return S3FileChangeEvent("", S3ChangeStreamEventType.UNKNOWN, message, message.get("Bucket"))


def _decoded(key: str) -> str:
    return key if NOT_ENCODED.search(key) else unquote_plus(key)


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
