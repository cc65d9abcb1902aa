"""A source over a Pub/Sub subscription: streaming pulls, leases renewed, acknowledged in bulk.

    pull ◄── waiting ◄── streams, one for each pull that waits        settle ──► acks
                 └────► leases ◄── renewal, every few seconds ──────────────────┘

* A stream is opened by the first pull that has to wait, and stays open; how much it brings is
  bounded by its flow control, which counts what is not settled.
* A cancelled pull loses nothing: what streams bring waits for the next pull. When the source
  closes, what was not settled is given back, to be delivered again at once.
* Delivery is at least once; with one replica, in the order in which Pub/Sub delivers.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from buildflow_nb.core.primitive import Batch
from buildflow_nb.io._pubsub_acks import Acks, Told
from buildflow_nb.io._pubsub_leases import Leases
from buildflow_nb.io._pubsub_link import Pb, PubSubLink
from buildflow_nb.io._pubsub_stream import FlowControl, Stream
from buildflow_nb.types.gcp import PubsubMessage

__all__ = ("PubSubSource", "Reading")

BATCHES = 10  # that a stream may bring ahead of their being settled
MOST_BYTES = 100 << 20  # likewise, as Google's clients have it
LOOKS_PER_LEASE = 4  # for leases that are half over
LOOK_S = (0.25, 5.0)  # seconds between two looks, at least and at most
CLOSE_S = 1.5  # for giving back what is left; after that its lease runs out by itself


@dataclass(frozen=True, slots=True)
class Reading:
    """How a subscription is read: seconds of a lease, elements of a batch at most."""

    lease_s: int
    batch_size: int
    attributes: bool = False


class PubSubSource:
    """An open subscription."""

    def __init__(self, link: PubSubLink, reading: Reading) -> None:
        self._link = link
        self._reading = reading
        self._flow = FlowControl(
            reading.lease_s, BATCHES * reading.batch_size, MOST_BYTES, uuid.uuid4().hex
        )
        self._acks = Acks(link)
        self._leases = Leases()
        self._streams: list[Stream] = []
        self._waiting: deque[tuple[str, Pb]] = deque()  # ack id and message
        self._arrived = asyncio.Event()
        self._fault: Exception | None = None
        self._pulling = 0
        self._renewal: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._renewal = asyncio.create_task(self._renew_for_ever())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._renewal is not None:
                self._renewal.cancel()
                await asyncio.wait((self._renewal,))
            await asyncio.gather(*(stream.close() for stream in self._streams))
            await self._give_all_back()
        finally:
            await self._link.close()

    async def pull(self) -> Batch:
        """Wait for messages.

        Raises:
            TemporaryError: the subscription is missing, throttled or out of reach.
            PermanentError: it refuses us.
        """
        self._pulling += 1
        try:
            while not self._waiting:
                fault, self._fault = self._fault, None
                if fault is not None:
                    raise fault
                self._open_streams()
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self._pulling -= 1
        return self._batch()

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Acknowledge messages, or give them back to be delivered again at once.

        Raises:
            TemporaryError: some could not be settled; the same receipts may be settled again.
            PermanentError: the subscription refuses us.
        """
        ack_ids = self._leases.settling(receipts)
        if not ack_ids:
            return
        told = await (self._acks.acknowledge(ack_ids) if ok else self._acks.lease(ack_ids, 0))
        again = told.again  # a message of an id that is gone comes again, or is somebody else's
        self._leases.drop(i for i in ack_ids if i not in again)
        for error in again.values():
            raise error

    async def backlog(self) -> int | None:
        """Unknown: only Cloud Monitoring could tell, some minutes late."""
        return None

    async def _give_all_back(self) -> None:
        left = self._leases.settling(self._leases.held())
        if left:
            with suppress(TimeoutError):  # then they come when their leases run out
                async with asyncio.timeout(CLOSE_S):
                    await self._acks.lease(left, 0)
            self._leases.drop(left)

    def _open_streams(self) -> None:
        self._streams = [stream for stream in self._streams if not stream.over]
        while len(self._streams) < self._pulling:
            stream = Stream(self._link, self._flow, self._receive, self._fail)
            self._streams.append(stream)

    def _receive(self, answer: Pb) -> None:
        received = answer.received_messages
        if received:
            ack_ids = [one.ack_id for one in received]
            self._leases.take(ack_ids, self._flow.lease_s)
            self._waiting.extend(zip(ack_ids, [one.message for one in received], strict=True))
            self._arrived.set()

    def _fail(self, fault: Exception) -> None:
        self._fault = fault
        self._arrived.set()

    def _batch(self) -> Batch:
        waiting = self._waiting
        count = min(len(waiting), self._reading.batch_size)
        found = [waiting.popleft() for _ in range(count)]
        ack_ids = [ack_id for ack_id, _ in found]
        items: list[object] = (
            [_whole(*one) for one in found]
            if self._reading.attributes
            else [message.data for _, message in found]
        )
        return Batch(items, ack_ids, _origin(self._link.target.name, found))

    async def _renew_for_ever(self) -> None:
        shortest, longest = LOOK_S
        lease_s = self._flow.lease_s
        while True:
            await asyncio.sleep(min(max(shortest, lease_s / LOOKS_PER_LEASE), longest))
            due = self._leases.due()
            if due:
                self._note(due, await self._acks.lease(due, lease_s))

    def _note(self, due: Sequence[str], told: Told) -> None:
        """Those that could not be renewed stay due, and are asked for again with the next look."""
        self._leases.renewed(
            (i for i in due if i not in told.again and i not in told.gone), self._flow.lease_s
        )
        self._leases.lost(told.gone)


def _whole(ack_id: str, message: Pb) -> PubsubMessage:
    return PubsubMessage(
        message.data, dict(message.attributes), ack_id, message.ordering_key, message.message_id
    )


def _origin(name: str, found: Sequence[tuple[str, Pb]]) -> Callable[[int], str]:
    return lambda i: f"{name} message {found[i][1].message_id}"
