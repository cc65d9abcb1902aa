"""A source over an SQS queue: several long polls at once, leases renewed, deletes in tens.

    pull ──► receive calls (tasks) ──► buffer ──► pull      settle ──► delete, show (tasks)
                                        └─► leases ◄── renewal, every few seconds

* Calls are made only while somebody pulls. Their number follows demand: some more whenever one that
  was waited for comes back well filled, one less whenever messages lie unread, and a single one as
  soon as one comes back empty. A wait that is short beside the work before it asks for no more. An
  idle queue therefore costs one long poll at a time, and a slow consumer hoards little.
* No more is taken than can be kept alive (`allowance.py`). Leases are renewed until a delete has
  been answered, and wait for no other call.
* A pull comes back empty when a call that began after it has found nothing, and no other call is
  under way; never because an answer is slow.
* A cancelled pull loses nothing: calls belong to the source, and what they bring waits for the next
  pull. When the source closes, what was not settled is shown to other consumers at once; a call
  that is still under way shows what it has received, and is waited for where it ends soon.
* Delivery is at least once. What failed is delivered again after a pause that grows. A FIFO queue
  keeps the order within a group, as SQS locks the group of a message that is out, also while that
  one waits; and messages are handed out and shown again in the order they came.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Self, TypeVar

from buildflow_nb.core.errors import BuildFlowError, TemporaryError
from buildflow_nb.core.primitive import Batch
from buildflow_nb.io.aws.sqs.acks import Acks
from buildflow_nb.io.aws.sqs.allowance import Allowance
from buildflow_nb.io.aws.sqs.client import BATCH, QueueClient, in_tens
from buildflow_nb.io.aws.sqs.leases import MessageLeases
from buildflow_nb.io.aws.sqs.receive_buffer import ReceiveBuffer, ReceivedBatch
from buildflow_nb.io.leases import Fate, Pauses, Receipt

__all__ = ("SqsSource",)

T = TypeVar("T")

MAX_RECEIVES = 40  # calls under way; with more the CPU is the limit
MAX_CALLS = 24  # that delete or show; and as many that renew
WELL_FILLED = BATCH // 2  # SQS often gives fewer than are there
GROWTH = 3  # calls more for one well filled: with one each, a start took 0.2 s
LONG_WAIT = 0.1  # of the time since the last pull; shorter ones are not worth more calls
LOOKS_PER_LEASE = 8  # for leases that are half over
LOOK_S = (0.25, 5.0)  # seconds between two looks, at least (also before the first call) and at most
CLOSE_S = 1.5  # seconds for showing what is left; after that its lease runs out by itself

Tell = Callable[[Sequence[Receipt]], Awaitable[list[Exception]]]
_ending: set[asyncio.Task[None]] = set()  # which the loop itself would forget


class SqsSource:
    """An open queue; `now` gives monotonic seconds."""

    def __init__(self, client: QueueClient, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._client = client
        self._leases = MessageLeases(now)
        self._allowance = Allowance(now)
        self._buffer = ReceiveBuffer(client, self._leases, self._allowance, now)
        self._acks = Acks(client, self._leases, self._allowance, now)
        self._pauses = Pauses()
        self._renewal: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()  # they outlive who waits for them
        self._telling = asyncio.Semaphore(MAX_CALLS)
        self._renewing = asyncio.Semaphore(MAX_CALLS)
        self._pulled_at = -math.inf  # the first wait says nothing: no work came before it

    @property
    def late(self) -> int:
        """How many messages were done with only when SQS had them delivered again."""
        return self._acks.late

    async def __aenter__(self) -> Self:
        self._renewal = asyncio.create_task(self._renew_for_ever())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait((self._renewal,))
        self._buffer.close()
        with suppress(BuildFlowError, TimeoutError):  # then they come when their leases run out
            async with asyncio.timeout(CLOSE_S):
                await asyncio.gather(self.release(self._leases.held()), self._buffer.ended(CLOSE_S))
        if self._tasks:
            task = asyncio.create_task(self._end())
            _ending.add(task)
            task.add_done_callback(_ending.discard)
        else:
            await self._client.close()

    async def pull(self) -> Batch:
        """Wait for messages.

        Raises:
            TemporaryError: the queue is missing, throttled or out of reach.
            PermanentError: it refuses us.
        """
        buffer = self._buffer
        asked_at, mark = self._now(), buffer.mark()
        waited = False
        try:
            while True:
                batches = buffer.take()
                if batches:
                    self._adapt(batches, asked_at if waited else None)
                    return _batch(self._client.name, batches)
                if (fault := buffer.fault()) is not None:
                    buffer.most = 1
                    raise fault
                if buffer.came_empty():
                    buffer.most = 1
                if buffer.empty_since(mark):
                    return Batch([], [])
                while buffer.expect():
                    self._begin(buffer.fetch())
                waited = True
                await buffer.arrived.wait()
        except asyncio.CancelledError:
            buffer.pause()
            raise

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Delete messages, or have them delivered again after a pause that grows.

        Raises:
            TemporaryError: some could not be settled; the same receipts may be settled again.
        """
        if ok:
            held = self._leases.settling(receipts, Fate.DELETE)
            self._pauses.forget(receipt.id for receipt in held)
            await self._tell(held, self._acks.delete)
            return
        held = self._leases.settling(receipts, Fate.SHOW)
        for receipt in held:
            if receipt.pause_s is None:  # else it was given back already, and could not be told
                receipt.pause_s = self._pauses.after_failure(receipt.id, receipt.times)
        await self._tell(held, self._acks.show)

    async def release(self, receipts: Sequence[object]) -> None:
        """Show messages to every consumer again at once.

        Raises:
            TemporaryError: some could not be shown; the same receipts may be released again.
        """
        await self._tell(self._leases.settling(receipts, Fate.SHOW), self._acks.show)

    async def backlog(self) -> int | None:
        """Messages that wait, are hidden by others or are not due yet, as SQS estimates it."""
        ours = len(self._leases) - self._buffer.unread()
        found = await self._client.count()
        return found.visible + found.delayed + max(0, found.hidden - ours)

    def _adapt(self, batches: Sequence[ReceivedBatch], waited_since: float | None) -> None:
        buffer, now = self._buffer, self._now()
        if waited_since is None:
            buffer.most = max(1, buffer.most - 1)
        elif now - waited_since >= LONG_WAIT * (now - self._pulled_at):
            well = sum(len(batch) >= WELL_FILLED for batch in batches)
            buffer.most = min(MAX_RECEIVES, buffer.most + GROWTH * well)
        self._pulled_at = now

    async def _tell(self, held: Sequence[Receipt], tell: Tell) -> None:
        calls = [self._bounded(self._telling, partial(tell, piece)) for piece in in_tens(held)]
        if self._client.fifo:
            answers = await self._finished(_one_by_one(calls))
        else:
            answers = await self._finished(asyncio.gather(*calls))
        self._buffer.arrived.set()  # there may be room for more
        for error in (error for answer in answers for error in answer):
            raise TemporaryError(str(error)) from error

    async def _bounded(self, calls: asyncio.Semaphore, call: Callable[[], Awaitable[T]]) -> T:
        async with calls:
            return await call()

    async def _finished(self, work: Awaitable[T]) -> T:
        """What comes of work that goes on when whoever waits for it is cancelled."""

        async def all_of_it() -> T:
            return await work

        return await asyncio.shield(self._begin(all_of_it()))

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # fetched, so that asyncio does not report it as forgotten

    async def _end(self) -> None:
        """Close the client once the calls under way have shown what they brought."""
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            await self._client.close()

    async def _renew_for_ever(self) -> None:
        shortest, longest = LOOK_S
        while True:
            lease_s = self._buffer.lease_s or 0
            await asyncio.sleep(min(max(shortest, lease_s / LOOKS_PER_LEASE), longest))
            pieces = in_tens(self._leases.due())
            renew = partial(self._acks.renew, lease_s=lease_s)
            calls = (self._bounded(self._renewing, partial(renew, piece)) for piece in pieces)
            await asyncio.gather(*calls)
            self._buffer.arrived.set()  # there may be room for more


async def _one_by_one(calls: Sequence[Awaitable[T]]) -> list[T]:
    return [await call for call in calls]


def _batch(queue: str, batches: Sequence[ReceivedBatch]) -> Batch:
    messages = [message for batch in batches for message, _ in batch]
    contexts = {i: m.context for i, m in enumerate(messages) if m.context is not None}
    return Batch(
        [message.body for message in messages],
        [receipt for batch in batches for _, receipt in batch],
        lambda i: f"{queue} message {messages[i].id}",
        contexts or None,
    )
