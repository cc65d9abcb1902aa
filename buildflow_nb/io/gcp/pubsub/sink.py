"""Publishes to a Pub/Sub topic, in requests of up to 1,000 messages or 10 MB.

The requests of a push go one after the other, so that order is kept, also when one fails: what
comes after it is held back. While one is on its way the next is made ready. What Pub/Sub cannot
take fails alone, before anything is sent; what it refuses then, such as a message that does not fit
the topic's schema, is found by halving the request.

Limits: Pub/Sub documentation, "Quotas and limits", section "Resource limits".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, cast

from buildflow_nb.core.errors import ConversionError, TemporaryError
from buildflow_nb.core.trace_context import TRACEPARENT, TraceContext
from buildflow_nb.io.gcp.pubsub.client import Pb, PubSubClient, messages
from buildflow_nb.io.partial_push import Failures, any_passes, raise_failed
from buildflow_nb.types.gcp import MessageBytes

__all__ = ("PubSubSink",)

REQUEST_MESSAGES = 1_000
REQUEST_BYTES = 10_000_000
MOST_ATTRIBUTES = 100
KEY_BYTES = 256
VALUE_BYTES = 1_024
ORDERING_KEY_BYTES = 1_024
RESERVED = "goog"
FRAME_BYTES = 5  # tag and length of a field of less than 256 MiB, at most
PUBLISH_S = 60.0  # for 10 MB through a slow line
REFUSED = "INVALID_ARGUMENT"
HELD_BACK = "a message before it could not be published yet"

Contexts = Mapping[int, TraceContext]


@dataclass(frozen=True, slots=True)
class _Request:
    """Messages that go together, and their positions in the push."""

    positions: Sequence[int]
    messages: Sequence[Pb]

    def halves(self) -> tuple[_Request, _Request]:
        middle = len(self.positions) // 2
        return (
            _Request(self.positions[:middle], self.messages[:middle]),
            _Request(self.positions[middle:], self.messages[middle:]),
        )


class PubSubSink:
    """An open topic."""

    def __init__(self, client: PubSubClient) -> None:
        self._client = client
        self._limit = REQUEST_BYTES - len(client.name.encode()) - FRAME_BYTES

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def push(self, items: Sequence[object]) -> None:
        """Publish the items; a caller that is cancelled waits for it.

        Raises:
            PartialPushError: all were published but some.
            TemporaryError: none was published, since the topic is missing or out of reach.
            PermanentError: the topic refuses us.
        """
        await self.push_traced(items, {})

    async def push_traced(self, items: Sequence[object], contexts: Contexts) -> None:
        """Publish the items, some with their trace in attributes. Raises as `push`."""
        task = asyncio.ensure_future(self._publish(cast("Sequence[bytes]", items), contexts))
        try:
            failed = await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait((task,))
            raise
        raise_failed(failed, len(items), "messages cannot be published")

    async def _publish(self, items: Sequence[bytes], contexts: Contexts) -> Failures:
        await self._client.open()
        failed: Failures = {}
        under_way: asyncio.Task[Failures] | None = None
        for request in self._requests(items, contexts, failed):
            if under_way is not None:
                failed |= await under_way
            if any_passes(failed):
                failed |= dict.fromkeys(request.positions, TemporaryError(HELD_BACK))
                under_way = None
            else:
                under_way = asyncio.create_task(self._send(request))
                await asyncio.sleep(0)  # it is sent while the next one is made
        return failed | await under_way if under_way is not None else failed

    def _requests(
        self, items: Sequence[bytes], contexts: Contexts, failed: Failures
    ) -> Iterator[_Request]:
        positions: list[int] = []
        pack: list[Pb] = []
        size = 0
        for position, data in enumerate(items):
            try:
                message = to_message(data, self._limit)
            except ConversionError as error:
                failed[position] = error
                continue
            if position in contexts:
                _add_trace(message, contexts[position], self._limit)
            more = field_bytes(message)
            if pack and (len(pack) == REQUEST_MESSAGES or size + more > self._limit):
                yield _Request(positions, pack)
                positions, pack, size = [], [], 0
            positions.append(position)
            pack.append(message)
            size += more
        if pack:
            yield _Request(positions, pack)

    async def _send(self, request: _Request) -> Failures:
        """Publish a request; gives what failed."""
        from grpc.aio import AioRpcError

        kinds = messages()
        content = kinds.PublishRequest(topic=self._client.name, messages=request.messages)
        try:
            await self._client.call("Publisher/Publish", content, kinds.PublishResponse, PUBLISH_S)
        except AioRpcError as error:
            if error.code().name == REFUSED:
                return await self._apart(request, error.details() or REFUSED)
            return self._failed(request, self._client.refused(error))
        except TemporaryError as error:
            return self._failed(request, error)
        return {}

    async def _apart(self, request: _Request, said: str) -> Failures:
        """Publish a request that was refused as a whole in halves, in order."""
        if len(request.positions) == 1:
            return {request.positions[0]: ConversionError(f"Pub/Sub refuses the message: {said}")}
        first, second = request.halves()
        failed = await self._send(first)
        if any_passes(failed):
            return failed | dict.fromkeys(second.positions, TemporaryError(HELD_BACK))
        return failed | await self._send(second)

    @staticmethod
    def _failed(request: _Request, error: Exception) -> Failures:
        if not isinstance(error, TemporaryError):
            raise error
        return dict.fromkeys(request.positions, error)


def to_message(data: bytes, limit: int) -> Pb:
    """The message with this data, of so many bytes at most.

    Raises:
        ConversionError: Pub/Sub will not take it.
    """
    made = messages().PubsubMessage(data=data)
    if isinstance(data, MessageBytes):
        _add_rest(made, data)
    elif not data:
        msg = "the message is empty, and Pub/Sub takes none that is; return None to send nothing"
        raise ConversionError(msg)
    if (size := field_bytes(made)) > limit:
        msg = f"the message has {size:,} bytes, and Pub/Sub takes at most {limit:,}"
        raise ConversionError(msg)
    return made


def field_bytes(message: Pb) -> int:
    """The size of a message as part of a request, at most."""
    return int(message.ByteSize()) + FRAME_BYTES


def _add_rest(made: Pb, data: MessageBytes) -> None:
    if not data and not data.attributes:
        msg = "the message has neither data nor attributes, and Pub/Sub takes none like that"
        raise ConversionError(msg)
    _check_attributes(data.attributes)
    _check_bytes("ordering key", data.ordering_key, ORDERING_KEY_BYTES)
    made.attributes.update(data.attributes)
    made.ordering_key = data.ordering_key


def _add_trace(made: Pb, context: TraceContext, limit: int) -> None:
    """Add a trace, if there is room for it, and the message has none of its sender's own."""
    found, attributes = context.attributes(), made.attributes
    if TRACEPARENT in attributes or len(attributes) + len(found) > MOST_ATTRIBUTES:
        return
    attributes.update(found)
    if field_bytes(made) > limit:
        for name in found:
            del attributes[name]


def _check_attributes(attributes: Mapping[str, str]) -> None:
    if len(attributes) > MOST_ATTRIBUTES:
        msg = f"the message has {len(attributes)} attributes, and Pub/Sub takes {MOST_ATTRIBUTES}"
        raise ConversionError(msg)
    for key, value in attributes.items():
        if not isinstance(key, str) or not isinstance(value, str):
            msg = f"attribute {key!r} is {value!r}; names and values of attributes are str"
            raise ConversionError(msg)
        if not key or key.startswith(RESERVED):
            msg = f"an attribute cannot be named {key!r}; Google reserves {RESERVED!r} and none"
            raise ConversionError(msg)
        _check_bytes("attribute name", key, KEY_BYTES)
        _check_bytes(f"value of attribute {key!r}", value, VALUE_BYTES)


def _check_bytes(what: str, text: str, most: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        msg = f"the {what} has no UTF-8: {error.reason} (at {error.start})"
        raise ConversionError(msg) from error
    if size > most:
        msg = f"the {what} has {size:,} bytes, and Pub/Sub takes at most {most:,}"
        raise ConversionError(msg)
