"""Publishes to a Pub/Sub topic, in requests of up to 1,000 messages or 10 MB.

The requests of a push go one after the other, so that order is kept, also when one fails: what
comes after it is held back. While one is on its way the next is made ready. What Pub/Sub cannot
take fails alone, before anything is sent; what it refuses then, such as a message that does not fit
the topic's schema, is found by halving the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

from buildflow_nb.core.errors import (
    ConversionError,
    PartialPushError,
    TemporaryError,
)
from buildflow_nb.io._pubsub_link import Pb, PubSubLink, messages
from buildflow_nb.io._pubsub_message import (
    FRAME_BYTES,
    REQUEST_BYTES,
    REQUEST_MESSAGES,
    field_bytes,
    to_message,
)

__all__ = ("PubSubSink",)

PUBLISH_S = 60.0  # for 10 MB through a slow line
REFUSED = "INVALID_ARGUMENT"

Failures = dict[int, Exception]  # by position in the push


@dataclass(frozen=True, slots=True)
class _Request:
    """Messages that go together, and their positions in the push."""

    places: Sequence[int]
    messages: Sequence[Pb]

    def halves(self) -> tuple[_Request, _Request]:
        middle = len(self.places) // 2
        return (
            _Request(self.places[:middle], self.messages[:middle]),
            _Request(self.places[middle:], self.messages[middle:]),
        )


class PubSubSink:
    """An open topic."""

    def __init__(self, link: PubSubLink) -> None:
        self._link = link
        self._limit = REQUEST_BYTES - len(link.name.encode()) - FRAME_BYTES

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._link.close()

    async def push(self, items: Sequence[object]) -> None:
        """Publish the items; a caller that is cancelled waits for it.

        Raises:
            PartialPushError: all were published but some.
            TemporaryError: none was published, since the topic is missing or out of reach.
            PermanentError: the topic refuses us.
        """
        task = asyncio.ensure_future(self._publish(cast("Sequence[bytes]", items)))
        try:
            failed = await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait((task,))
            raise
        if failed:
            _report(dict(sorted(failed.items())), len(items))

    async def _publish(self, items: Sequence[bytes]) -> Failures:
        await self._link.open()
        failed: Failures = {}
        under_way: asyncio.Task[Failures] | None = None
        for request in self._requests(items, failed):
            if under_way is not None:
                failed |= await under_way
            if _passing(failed):
                failed |= dict.fromkeys(request.places, _held_back())
                under_way = None
            else:
                under_way = asyncio.create_task(self._send(request))
                await asyncio.sleep(0)  # it is sent while the next one is made
        return failed | await under_way if under_way is not None else failed

    def _requests(self, items: Sequence[bytes], failed: Failures) -> Iterator[_Request]:
        places: list[int] = []
        pack: list[Pb] = []
        size = 0
        for place, data in enumerate(items):
            try:
                message = to_message(data, self._limit)
            except ConversionError as error:
                failed[place] = error
                continue
            more = field_bytes(message)
            if pack and (len(pack) == REQUEST_MESSAGES or size + more > self._limit):
                yield _Request(places, pack)
                places, pack, size = [], [], 0
            places.append(place)
            pack.append(message)
            size += more
        if pack:
            yield _Request(places, pack)

    async def _send(self, request: _Request) -> Failures:
        """Publish a request; gives what failed."""
        from grpc.aio import AioRpcError

        kinds = messages()
        content = kinds.PublishRequest(topic=self._link.name, messages=request.messages)
        try:
            await self._link.call("Publisher/Publish", content, kinds.PublishResponse, PUBLISH_S)
        except AioRpcError as error:
            if error.code().name == REFUSED:
                return await self._apart(request, error.details() or REFUSED)
            return self._failed(request, self._link.refused(error))
        except TemporaryError as error:
            return self._failed(request, error)
        return {}

    async def _apart(self, request: _Request, said: str) -> Failures:
        """Publish a request that was refused as a whole in halves, in order."""
        if len(request.places) == 1:
            return {request.places[0]: ConversionError(f"Pub/Sub refuses the message: {said}")}
        first, second = request.halves()
        failed = await self._send(first)
        if _passing(failed):
            return failed | dict.fromkeys(second.places, _held_back())
        return failed | await self._send(second)

    @staticmethod
    def _failed(request: _Request, error: Exception) -> Failures:
        if not isinstance(error, TemporaryError):
            raise error
        return dict.fromkeys(request.places, error)


def _passing(failed: Failures) -> bool:
    return any(isinstance(error, TemporaryError) for error in failed.values())


def _held_back() -> Exception:
    return TemporaryError("a message before it could not be published yet")


def _report(failed: Failures, count: int) -> None:
    """Raise what says best that these of `count` messages were not published."""
    first = next(iter(failed.values()))
    if len(failed) == count and all(isinstance(e, TemporaryError) for e in failed.values()):
        raise first
    msg = f"{len(failed)} of {count} messages cannot be published; the first: {first}"
    raise PartialPushError(msg, failed)
