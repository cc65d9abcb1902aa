"""A source over a Pub/Sub subscription: streaming pulls, leases renewed, acknowledged in bulk.

    pull ◄── waiting ◄── streams, one for each pull that waits        settle ──► acks
                 ├────► leases ◄── renewal, every few seconds ──────────────────┘
                 └───── questions, after a silence

* A stream is opened by the first pull that has to wait, and stays open; how much it brings is
  bounded by its flow control, which counts what is not settled.
* A pull comes back empty when Pub/Sub, asked after a silence in which nothing was held, has said
  that there is nothing (`silence.py`); never because an answer is slow.
* A cancelled pull loses nothing: what streams bring waits for the next pull. When the source
  closes, what was not settled is given back, to be delivered again at once.
* Delivery is at least once; with one replica, in the order in which Pub/Sub delivers. What failed
  is delivered again after a pause that grows: it stays leased, and is not renewed.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.core.primitive import Batch
from buildflow_nb.core.trace_context import TraceContext, read
from buildflow_nb.io.gcp.pubsub.acks import Acks, Told
from buildflow_nb.io.gcp.pubsub.client import Pb, PubSubClient, messages
from buildflow_nb.io.gcp.pubsub.silence import Silence
from buildflow_nb.io.gcp.pubsub.stream import FlowControl, Stream
from buildflow_nb.io.leases import Fate, Leases, Pauses, Receipt
from buildflow_nb.types.gcp import PubsubMessage

__all__ = ("PubSubSource", "Reading")

BATCHES = 10  # that a stream may bring ahead of their being settled
MOST_BYTES = 100 << 20  # likewise, as Google's clients have it
LOOKS_PER_LEASE = 4  # for leases that are half over
LOOK_S = (0.25, 5.0)  # seconds between two looks, at least and at most
CLOSE_S = 1.5  # for giving back what is left; after that its lease runs out by itself
LONGEST_S = 3600.0  # for which a lease is renewed, as Google's clients do ("Lease management")
LAST_S = 0.5  # for what is on its way to us when the source closes
ASK_S = 15.0  # for the answer to a question, on a bad day


@dataclass(frozen=True, slots=True)
class Reading:
    """How a subscription is read: seconds of a lease, elements of a batch at most."""

    lease_s: int
    batch_size: int
    attributes: bool = False


class PubSubSource:
    """An open subscription."""

    def __init__(self, client: PubSubClient, reading: Reading) -> None:
        self._client = client
        self._reading = reading
        self._flow = FlowControl(
            reading.lease_s, BATCHES * reading.batch_size, MOST_BYTES, uuid.uuid4().hex
        )
        self._acks = Acks(client)
        self._leases = Leases(LONGEST_S)
        self._silence = Silence(self._ask)
        self._pauses = Pauses()
        self._streams: list[Stream] = []
        self._waiting: deque[tuple[Receipt, Pb]] = deque()
        self._arrived = asyncio.Event()
        self._fault: Exception | None = None
        self._pulling = 0
        self._renewal: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._renewal = asyncio.create_task(self._renew_for_ever())
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self._renewal is not None:
                self._renewal.cancel()
                await asyncio.wait((self._renewal,))
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_S):
                    closing = (stream.close() for stream in self._streams)
                    await asyncio.gather(self._silence.close(), *closing)
            await self._give_all_back()
        finally:
            await self._client.close()

    async def pull(self) -> Batch:
        """Wait for messages.

        Raises:
            TemporaryError: the subscription is missing, throttled or out of reach.
            PermanentError: it refuses us.
        """
        self._pulling += 1
        mark = self._silence.mark()
        try:
            while not self._waiting:
                fault, self._fault = self._fault, None
                if fault is not None:
                    raise fault
                self._open_streams()
                if await self._silent() and await self._silence.is_empty(mark):
                    break
        finally:
            self._pulling -= 1
        return self._batch()

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Acknowledge messages, or have them delivered again after a pause that grows.

        Raises:
            TemporaryError: some could not be settled; the same receipts may be settled again.
            PermanentError: the subscription refuses us.
        """
        if ok:
            held = self._leases.settling(receipts, Fate.DELETE)
            self._pauses.forget(receipt.id for receipt in held)
            self._note_settled(held, await self._acks.acknowledge(_ack_ids(held)))
            return
        by_pause: dict[int, list[Receipt]] = defaultdict(list)
        for receipt in self._leases.settling(receipts, Fate.SHOW):
            if receipt.pause_s is None:  # else it was given back already, and could not be told
                receipt.pause_s = self._pauses.after_failure(receipt.id, receipt.times)
            by_pause[receipt.pause_s].append(receipt)
        await asyncio.gather(*(self._give_back(some, s) for s, some in by_pause.items()))

    async def release(self, receipts: Sequence[object]) -> None:
        """Give messages back to be delivered again at once.

        Raises:
            TemporaryError: some could not be given back; the same receipts may be released again.
            PermanentError: the subscription refuses us.
        """
        await self._give_back(self._leases.settling(receipts, Fate.SHOW), 0)

    async def backlog(self) -> int | None:
        """Unknown: only Cloud Monitoring could tell, some minutes late."""
        return None

    async def _give_all_back(self) -> None:
        # Then they come when their leases run out.
        with suppress(TimeoutError, BuildFlowError):
            async with asyncio.timeout(CLOSE_S):
                await self.release(self._leases.held())

    async def _give_back(self, held: Sequence[Receipt], pause_s: int) -> None:
        self._note_settled(held, await self._acks.lease(_ack_ids(held), pause_s))

    def _note_settled(self, held: Sequence[Receipt], told: Told) -> None:
        again = told.again  # a message of an id that is gone comes again, or is somebody else's
        if not again:
            self._leases.settled(held)
            return
        self._leases.settled(receipt for receipt in held if receipt.handle not in again)
        self._leases.unsettled(receipt for receipt in held if receipt.handle in again)
        raise next(iter(again.values()))

    async def _silent(self) -> bool:
        """Wait for messages; whether none came for a while, and none are held."""
        self._arrived.clear()
        try:
            async with asyncio.timeout(self._silence.quiet_s):
                await self._arrived.wait()
        except TimeoutError:
            return not self._leases and not self._waiting and self._fault is None
        return False

    async def _ask(self) -> bool:
        """Have what there is, at once; whether there was anything."""
        kinds = messages()
        request = kinds.PullRequest(
            subscription=self._client.name,
            max_messages=self._reading.batch_size,
            return_immediately=True,
        )
        answer = await self._client.look("Subscriber/Pull", request, kinds.PullResponse, ASK_S)
        if not answer.received_messages:
            return False
        # They are leased for as long as the subscription says, which may be ten minutes.
        await self._acks.lease([one.ack_id for one in answer.received_messages], self._flow.lease_s)
        self._receive(answer)
        return True

    def _open_streams(self) -> None:
        self._streams = [stream for stream in self._streams if not stream.over]
        while len(self._streams) < self._pulling:
            stream = Stream(self._client, self._flow, self._receive, self._fail)
            self._streams.append(stream)

    def _receive(self, answer: Pb) -> None:
        received = answer.received_messages
        if received:
            self._silence.broken()
            known = [(one.message.message_id, one.ack_id, one.delivery_attempt) for one in received]
            receipts = self._leases.take(known, self._flow.lease_s)
            self._waiting.extend(zip(receipts, [one.message for one in received], strict=True))
            self._arrived.set()

    def _fail(self, fault: Exception) -> None:
        self._fault = fault
        self._arrived.set()

    def _batch(self) -> Batch:
        waiting = self._waiting
        count = min(len(waiting), self._reading.batch_size)
        found = [waiting.popleft() for _ in range(count)]
        items: list[object] = (
            [_whole(*one) for one in found]
            if self._reading.attributes
            else [message.data for _, message in found]
        )
        receipts = [receipt for receipt, _ in found]
        return Batch(items, receipts, _origin(self._client.target.name, found), _contexts(found))

    async def _renew_for_ever(self) -> None:
        shortest, longest = LOOK_S
        lease_s = self._flow.lease_s
        while True:
            await asyncio.sleep(min(max(shortest, lease_s / LOOKS_PER_LEASE), longest))
            due, asked_at = self._leases.due(), time.monotonic()
            told = await self._acks.lease(_ack_ids(due), lease_s)
            # Those that could not be renewed stay due, and are asked for again with the next look.
            failed = told.gone.union(told.again)
            kept = (receipt for receipt in due if receipt.handle not in failed)
            self._leases.renewed(kept, lease_s, asked_at)
            self._leases.lost((r, r.handle) for r in due if r.handle in told.gone)


def _ack_ids(receipts: Iterable[Receipt]) -> list[str]:
    return [receipt.handle for receipt in receipts]


def _whole(receipt: Receipt, message: Pb) -> PubsubMessage:
    attributes, key = dict(message.attributes), message.ordering_key
    return PubsubMessage(message.data, attributes, receipt.handle, key, message.message_id)


def _contexts(found: Sequence[tuple[Receipt, Pb]]) -> dict[int, TraceContext] | None:
    """The traces that messages came with, by position."""
    contexts: dict[int, TraceContext] = {}
    for i, (_, message) in enumerate(found):
        if message.attributes and (context := read(message.attributes)) is not None:
            contexts[i] = context
    return contexts or None


def _origin(name: str, found: Sequence[tuple[Receipt, Pb]]) -> Callable[[int], str]:
    return lambda i: f"{name} message {found[i][1].message_id}"
