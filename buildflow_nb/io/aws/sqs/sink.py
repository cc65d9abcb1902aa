"""Sends texts to an SQS queue, in batches of up to ten messages.

What SQS cannot take (Amazon SQS Developer Guide, "Message quotas", for the size; API Reference,
"SendMessage", for characters and ids) fails alone, before anything is sent. The batches of a push
overlap, since a standard queue keeps no order anyway; those of a FIFO queue go one after the other,
and one that fails keeps the later ones from being sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self, cast

import msgspec

from buildflow_nb.core.errors import ConversionError, TemporaryError
from buildflow_nb.core.trace_context import TraceContext
from buildflow_nb.io.aws.sqs.client import BATCH, QueueClient
from buildflow_nb.io.partial_push import Failures, any_passes, raise_failed

__all__ = ("Fifo", "SqsSink")

HELD_BACK = "a message before it in the FIFO queue could not be sent yet"
MAX_CALLS = 8  # a push of a hundred elements is ten calls
OLD_LIMIT = 256 << 10  # bytes of a batch that every SQS takes; a queue with a higher limit more
# XML 1.0, section 2.2, has no other characters, and SQS follows it.
UNSENDABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
LARGE = 1 << 18  # characters of a push whose checks would be in others' way
GROUP = "buildflow"  # of all messages that name none: one order for the whole queue
ID_LENGTH = 128  # characters of a group or a deduplication id
UNFIT_FOR_IDS = re.compile("[^!-~]")

Entry = dict[str, Any]
Contexts = Mapping[int, TraceContext]
_STRING = "String"
_DECODER = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class _Entry:
    """A message that can be sent, and its position in the push."""

    position: int
    size: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Fifo:
    """What a FIFO queue wants to know of each message.

    The fields are of messages that are JSON objects. Without `group_by` all are one group, without
    `deduplicate_by` messages with the same text are one for five minutes.
    """

    group_by: str | None = None
    deduplicate_by: str | None = None

    def stamp(self, text: str) -> Entry:
        """The ids of a message.

        Raises:
            ConversionError: it has no such field.
        """
        fields = self._fields(text) if self.group_by or self.deduplicate_by else {}
        group = GROUP if self.group_by is None else _id_of(fields, self.group_by)
        if self.deduplicate_by is None:
            once = hashlib.sha256(text.encode()).hexdigest()
        else:
            once = _id_of(fields, self.deduplicate_by)
        return {"MessageGroupId": group, "MessageDeduplicationId": once}

    def _fields(self, text: str) -> dict[str, Any]:
        try:
            found = _DECODER.decode(text)
        except msgspec.DecodeError as error:
            name = self.group_by or self.deduplicate_by
            msg = f"the message is no JSON, so it has no field {name!r}, which its FIFO queue needs"
            raise ConversionError(msg) from error
        return found if isinstance(found, dict) else {}


class SqsSink:
    """Sends to one queue; `fifo` says how its messages are grouped, if it is a FIFO queue.

    The queue is looked up when it is opened; one that is missing is waited for by the first push. A
    push that is cancelled is finished all the same.
    """

    def __init__(self, client: QueueClient, fifo: Fifo) -> None:
        self._client = client
        self._fifo = fifo if client.fifo else None
        self._calls = asyncio.Semaphore(MAX_CALLS)
        self._order = asyncio.Lock()

    async def __aenter__(self) -> Self:
        try:
            with suppress(TemporaryError):
                await self._client.max_bytes()
        except BaseException:
            await self._client.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def push(self, items: Sequence[object]) -> None:
        """Send the texts.

        Raises:
            PartialPushError: all were sent but some.
            TemporaryError: none was sent, since the queue is missing or out of reach.
            PermanentError: the queue refuses us.
        """
        await self.push_traced(items, {})

    async def push_traced(self, items: Sequence[object], contexts: Contexts) -> None:
        """Send the texts, some with their trace in message attributes. Raises as `push`."""
        work = asyncio.ensure_future(self._push(items, contexts))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            while not work.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait((work,))
            if not work.cancelled():
                work.exception()  # fetched, so that asyncio does not report it as forgotten
            raise

    async def _push(self, items: Sequence[object], contexts: Contexts) -> None:
        if not items:
            return
        limit = await self._client.max_bytes()
        if sum(map(len, cast("Sequence[str]", items))) > LARGE:
            entries, failed = await asyncio.to_thread(self._checked, items, limit)
        else:
            entries, failed = self._checked(items, limit)
        if contexts:
            entries = [_with_trace(entry, contexts, limit) for entry in entries]
        failed |= await self._send(list(_packs(entries, max(limit, OLD_LIMIT))))
        raise_failed(failed, len(items), "messages cannot be sent")

    def _checked(self, items: Sequence[object], limit: int) -> tuple[list[_Entry], Failures]:
        entries: list[_Entry] = []
        failed: Failures = {}
        for position, item in enumerate(items):
            try:
                entries.append(self._entry(position, cast("str", item), limit))
            except ConversionError as error:
                failed[position] = error
        return entries, failed

    def _entry(self, position: int, text: str, limit: int) -> _Entry:
        size = checked_size(text, limit)
        stamp = self._fifo.stamp(text) if self._fifo is not None else {}
        return _Entry(position, size, {"MessageBody": text, **stamp})

    async def _send(self, packs: list[list[_Entry]]) -> Failures:
        failed: Failures = {}
        if self._fifo is None:
            for found in await asyncio.gather(*map(self._post, packs)):
                failed |= found
            return failed
        async with self._order:
            for pack in packs:
                if any_passes(failed):
                    held_back = TemporaryError(HELD_BACK)
                    failed |= {entry.position: held_back for entry in pack}
                else:
                    failed |= await self._post(pack)
        return failed

    async def _post(self, pack: list[_Entry]) -> Failures:
        """Send one batch; gives what failed, by position in the push."""
        try:
            async with self._calls:
                failures = await self._client.send([entry.entry for entry in pack])
        except TemporaryError as error:
            return {entry.position: error for entry in pack}
        return {pack[i].position: error for i, error in failures.items()}


def _with_trace(entry: _Entry, contexts: Contexts, limit: int) -> _Entry:
    """The message with its trace, if it has one and there is room: attributes count as bytes."""
    context = contexts.get(entry.position)
    if context is None:
        return entry
    found = context.attributes()
    size = entry.size + sum(len(name) + len(_STRING) + len(value) for name, value in found.items())
    if size > limit:
        return entry
    attributes = {
        name: {"DataType": _STRING, "StringValue": value} for name, value in found.items()
    }
    return _Entry(entry.position, size, {**entry.entry, "MessageAttributes": attributes})


def _packs(entries: Sequence[_Entry], most_bytes: int) -> Iterator[list[_Entry]]:
    pack: list[_Entry] = []
    size = 0
    for entry in entries:
        if pack and (len(pack) == BATCH or size + entry.size > most_bytes):
            yield pack
            pack, size = [], 0
        pack.append(entry)
        size += entry.size
    if pack:
        yield pack


def checked_size(text: str, limit: int) -> int:
    """The size of a message in bytes.

    Raises:
        ConversionError: SQS will not take it.
    """
    if not text:
        msg = "the message is empty, and SQS takes none that is; return None to send nothing"
        raise ConversionError(msg)
    if (found := UNSENDABLE.search(text)) is not None:
        msg = f"SQS takes no character {found.group()!r} (at {found.start()}); encode it first"
        raise ConversionError(msg)
    size = len(text.encode())
    if size > limit:
        msg = f"the message has {size:,} bytes, and the queue takes at most {limit:,}"
        raise ConversionError(msg)
    return size


def _id_of(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None or value == "":
        msg = f"the message has nothing in field {name!r}, which its FIFO queue needs"
        raise ConversionError(msg)
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text) <= ID_LENGTH and not UNFIT_FOR_IDS.search(text):
        return text
    return hashlib.sha256(text.encode()).hexdigest()
