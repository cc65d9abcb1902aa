"""The call StreamingPull of google.pubsub.v1.Subscriber: one stream, read and written at once.

Messages go out as long as flow control has room; acknowledgements and deadlines come in on the
same stream. On an exactly-once subscription each of them is confirmed on it. The stream ends
with NOT_FOUND when its subscription is deleted, and quietly when the client has said all.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

from buildflow_nb.local_cloud.pubsub import proto
from buildflow_nb.local_cloud.pubsub.broker import Broker
from buildflow_nb.local_cloud.pubsub.calls import Context, encode, refuse
from buildflow_nb.local_cloud.pubsub.delivery import Delivery
from buildflow_nb.local_cloud.pubsub.lease import Holder
from buildflow_nb.local_cloud.pubsub.proto import Pb
from buildflow_nb.local_cloud.pubsub.pull import (
    RESPONSE_BYTES,
    RESPONSE_MESSAGES,
    check_pullable,
)
from buildflow_nb.local_cloud.pubsub.status import StatusError, invalid
from buildflow_nb.local_cloud.pubsub.subscription import Subscription
from buildflow_nb.local_cloud.pubsub.subscription_config import (
    LONGEST_ACK_DEADLINE_S,
    SHORTEST_ACK_DEADLINE_S,
)

__all__ = ("Stream", "StreamingPull")

HEARTBEAT_S = 20.0  # Google's clients take a stream for dead after some 30 s of silence
LINGER_S = 0.001  # under load, small publishes leave together: at most 1,000 answers a second
MOST_CONFIRMATIONS = 64  # answers that wait to be written; then nothing more is read
UNLIMITED = 1 << 62

_FIRST_ONLY = (
    "subscription",
    "max_outstanding_messages",
    "max_outstanding_bytes",
    "protocol_version",
)


class StreamingPull:
    """Streaming pulls of a broker's subscriptions."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def stream(self, requests: AsyncIterator[Pb], context: Context) -> None:
        """Serve one stream to its end."""
        try:
            first = await anext(requests, None)
            if first is None:
                return
            subscription = self._broker.subscription(first.subscription)
            await Stream(self._broker, subscription, first).serve(requests, context)
        except StatusError as error:
            await refuse(context, error)


class Stream:
    """One open stream."""

    def __init__(self, broker: Broker, subscription: Subscription, first: Pb) -> None:
        self._broker = broker
        self._subscription = subscription
        self._holder = Holder()
        self._deadline_s = 0
        self._most_messages = _limit(first.max_outstanding_messages)
        self._most_bytes = _limit(first.max_outstanding_bytes)
        self._confirmations: asyncio.Queue[bytes] = asyncio.Queue(MOST_CONFIRMATIONS)
        self._finished = False
        self._failure: StatusError | None = None
        self._written_at = 0.0
        if first.stream_ack_deadline_seconds == 0:
            raise _bad_deadline(0)
        self._first = first

    async def serve(self, requests: AsyncIterator[Pb], context: Context) -> None:
        """Read and write until one side is done.

        Raises:
            StatusError: what the stream is to be ended with.
        """
        await self._read(self._first)
        reader = asyncio.create_task(self._read_all(requests))
        try:
            await context.write(self._properties())
            await self._write_all(context)
            if reader.done():
                reader.result()  # what went wrong unexpectedly must not look like a quiet end
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _write_all(self, context: Context) -> None:
        loop, news = asyncio.get_running_loop(), self._subscription.news
        while True:
            news.clear()
            check_pullable(self._broker, self._subscription)
            if self._failure is not None:
                raise self._failure
            if self._finished:
                return
            if await self._write_next(context):
                self._written_at = loop.time()
                continue
            await self._wait(context)
            early = self._written_at + LINGER_S - loop.time()
            if early > 0:
                await asyncio.sleep(early)

    async def _wait(self, context: Context) -> None:
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                await self._subscription.news.wait()
        except TimeoutError:
            await context.write(self._properties())

    async def _write_next(self, context: Context) -> bool:
        """Write the next answer; whether there was one."""
        if not self._confirmations.empty():
            await context.write(self._confirmations.get_nowait())
            return True
        delivery = self._next()
        if not delivery:
            return False
        try:
            # Clients believe the properties of the latest answer, so each has to carry them.
            await context.write(delivery.encode() + self._properties())
        except BaseException:  # the client is gone, so it must not keep what it never got
            self._subscription.give_back(delivery.ack_ids)
            raise
        return True

    def _next(self) -> Delivery:
        held = self._holder
        limit = min(RESPONSE_MESSAGES, self._most_messages - held.messages)
        room = min(RESPONSE_BYTES, self._most_bytes - held.bytes)
        if limit <= 0 or room <= 0:
            return Delivery()
        return self._subscription.take(limit, room, self._deadline_s, held)

    def _properties(self) -> bytes:
        config = self._subscription.config
        return encode(
            proto.StreamingPullResponse(
                subscription_properties={
                    "exactly_once_delivery_enabled": config.enable_exactly_once_delivery,
                    "message_ordering_enabled": config.enable_message_ordering,
                }
            )
        )

    async def _read_all(self, requests: AsyncIterator[Pb]) -> None:
        try:
            async for request in requests:
                _check_later_request(request)
                await self._read(request)
        except StatusError as error:
            self._failure = error
        finally:
            self._finished = True
            self._subscription.news.set()

    async def _read(self, request: Pb) -> None:
        if request.stream_ack_deadline_seconds:
            self._set_deadline(request.stream_ack_deadline_seconds)
        if request.ack_ids:
            await self._acknowledge(request)
        if request.modify_deadline_ack_ids or request.modify_deadline_seconds:
            await self._modify_deadlines(request)

    def _set_deadline(self, deadline_s: int) -> None:
        if not SHORTEST_ACK_DEADLINE_S <= deadline_s <= LONGEST_ACK_DEADLINE_S:
            raise _bad_deadline(deadline_s)
        self._deadline_s = deadline_s

    async def _acknowledge(self, request: Pb) -> None:
        unknown = self._subscription.acknowledge(request.ack_ids)
        if self._subscription.config.enable_exactly_once_delivery:
            invalid_ids = set(unknown)
            done = [ack_id for ack_id in request.ack_ids if ack_id not in invalid_ids]
            await self._confirm("acknowledge_confirmation", done, unknown)

    async def _modify_deadlines(self, request: Pb) -> None:
        ack_ids, deadlines = request.modify_deadline_ack_ids, request.modify_deadline_seconds
        if len(ack_ids) != len(deadlines):
            message = (
                f"{len(ack_ids)} modify_deadline_ack_ids but {len(deadlines)} "
                "modify_deadline_seconds; give one for each."
            )
            raise invalid(message)
        by_deadline = defaultdict[int, list[str]](list)
        for ack_id, deadline_s in zip(ack_ids, deadlines, strict=True):
            if not 0 <= deadline_s <= LONGEST_ACK_DEADLINE_S:
                raise _bad_deadline(deadline_s)
            by_deadline[deadline_s].append(ack_id)
        unknown: list[str] = []
        for deadline_s, some in by_deadline.items():
            if deadline_s:
                unknown += self._subscription.extend(some, deadline_s)
            else:
                unknown += self._subscription.give_back(some)
        if self._subscription.config.enable_exactly_once_delivery:
            done = [ack_id for ack_id in ack_ids if ack_id not in set(unknown)]
            await self._confirm("modify_ack_deadline_confirmation", done, unknown)

    async def _confirm(self, field: str, done: list[str], unknown: list[str]) -> None:
        confirmation = {"ack_ids": done, "invalid_ack_ids": unknown}
        answer = encode(proto.StreamingPullResponse(**{field: confirmation}))
        await self._confirmations.put(answer + self._properties())
        self._subscription.news.set()


def _limit(value: int) -> int:
    return value if value > 0 else UNLIMITED


def _check_later_request(request: Pb) -> None:
    for field in _FIRST_ONLY:
        if getattr(request, field):
            message = f"Only the first request of a stream may set {field}."
            raise invalid(message)


def _bad_deadline(value: int) -> StatusError:
    return invalid(
        f"Invalid ack deadline given (value={value}). It must be from {SHORTEST_ACK_DEADLINE_S} to "
        f"{LONGEST_ACK_DEADLINE_S} seconds; 0 returns a message."
    )
