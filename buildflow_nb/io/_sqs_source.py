"""A source over an SQS queue: several long polls at once, leases renewed, deletes in tens.

    pull ──► receive calls (threads) ──► mail ──► pull      settle ──► delete, show (threads)
                                          └─► leases ◄── renewal, every few seconds

* Calls are made only while somebody pulls. Their number follows demand: some more whenever one that
  was waited for comes back well filled, one less whenever messages lie unread, and a single one as
  soon as one comes back empty. A wait that is short beside the work before it asks for no more. An
  idle queue therefore costs one long poll at a time, and a slow consumer hoards little.
* A cancelled pull loses nothing: calls belong to the source, and what they bring waits for the next
  pull. When the source closes, what was not settled is shown to other consumers at once; a call
  that is still under way ends by itself and shows what it has received.
* Delivery is at least once. A FIFO queue keeps the order within a group, as SQS locks the group of
  a message that is out, and messages are handed out and shown again in the order they came.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from buildflow_nb.core.errors import BuildFlowError, TemporaryError
from buildflow_nb.core.primitive import Batch
from buildflow_nb.io._sqs_leases import Leases
from buildflow_nb.io._sqs_link import BATCH, Failures, QueueLink, RefusedError, in_tens
from buildflow_nb.io._sqs_mail import Letter, Mail
from buildflow_nb.io._threads import Threads

__all__ = ("SqsSource",)

MAX_RECEIVES = 16  # calls under way; with more the CPU is the limit
MAX_CALLS = 24  # threads, so that deletes and renewals find some free
WELL_FILLED = BATCH // 2  # SQS often gives fewer than are there
GROWTH = 3  # calls more for one well filled: with one each, a start took 0.2 s
LONG_WAIT = 0.1  # of the time since the last pull; shorter ones are not worth more calls
LOOKS_PER_LEASE = 4  # for leases that are half over
LOOK_S = (0.25, 5.0)  # seconds between two looks, at least (also before the first call) and at most
CLOSE_S = 1.5  # seconds for showing what is left; after that its lease runs out by itself

Call = Callable[[Sequence[str]], Failures]


class SqsSource:
    """An open queue; `now` gives monotonic seconds."""

    def __init__(self, link: QueueLink, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._link = link
        self._threads = Threads(f"sqs-{link.name}", MAX_CALLS)
        self._leases = Leases(now)
        self._mail = Mail(link, self._leases)
        self._renewal: asyncio.Task[None] | None = None
        self._pulled_at = -math.inf  # the first wait says nothing: no work came before it

    async def __aenter__(self) -> Self:
        self._mail.open()
        self._renewal = asyncio.create_task(self._renew_for_ever())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait((self._renewal,))
        self._mail.close()
        left = self._leases.settling(self._leases.held())
        with suppress(BuildFlowError, TimeoutError):  # then they come when their leases run out
            async with asyncio.timeout(CLOSE_S):
                await self._tell(left, self._show)
        self._threads.close()

    async def pull(self) -> Batch:
        """Wait for messages.

        Raises:
            TemporaryError: the queue is missing, throttled or out of reach.
            PermanentError: it refuses us.
        """
        mail = self._mail
        asked_at = self._now()
        waited = False
        try:
            while True:
                letters = mail.take()
                if letters:
                    self._adapt(letters, asked_at if waited else None)
                    return _batch(self._link.name, letters)
                if (fault := mail.fault()) is not None:
                    mail.most = 1
                    raise fault
                if mail.came_empty():
                    mail.most = 1
                while mail.expect():
                    self._threads.submit(mail.fetch)
                waited = True
                await mail.arrived.wait()
        except asyncio.CancelledError:
            mail.pause()
            raise

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Delete messages, or show them to every consumer again at once.

        Raises:
            TemporaryError: some could not be settled; the same receipts may be settled again.
        """
        handles = self._leases.settling(receipts)
        if handles:
            await self._tell(handles, self._link.delete if ok else self._show)

    async def backlog(self) -> int | None:
        """Messages that wait in the queue, as SQS estimates it."""
        return await asyncio.wrap_future(self._threads.submit(self._link.count))

    def _adapt(self, letters: Sequence[Letter], waited_since: float | None) -> None:
        mail, now = self._mail, self._now()
        if waited_since is None:
            mail.most = max(1, mail.most - 1)
        elif now - waited_since >= LONG_WAIT * (now - self._pulled_at):
            well = sum(len(letter) >= WELL_FILLED for letter in letters)
            mail.most = min(MAX_RECEIVES, mail.most + GROWTH * well)
        self._pulled_at = now

    def _show(self, handles: Sequence[str]) -> Failures:
        return self._link.hide(handles, 0)

    async def _tell(self, handles: Sequence[str], call: Call) -> None:
        pieces = list(in_tens(handles))
        if self._link.fifo:
            failed = [error for piece in pieces for error in await self._one(piece, call)]
        else:
            answers = await asyncio.gather(*(self._one(piece, call) for piece in pieces))
            failed = [error for answer in answers for error in answer]
        if failed:
            raise TemporaryError(str(failed[0])) from failed[0]

    async def _one(self, handles: Sequence[str], call: Call) -> list[Exception]:
        """Settle up to ten; gives why some may be settled when asked again."""
        try:
            failures = await asyncio.wrap_future(self._threads.submit(lambda: call(handles)))
        except BuildFlowError as error:
            return [error]
        # A handle that SQS refuses is too old: the message is somebody else's by now, or comes
        # again, which at-least-once allows.
        again = {i: e for i, e in failures.items() if not isinstance(e, RefusedError)}
        self._leases.drop(handle for i, handle in enumerate(handles) if i not in again)
        return list(again.values())

    async def _renew_for_ever(self) -> None:
        shortest, longest = LOOK_S
        while True:
            lease_s = self._mail.lease_s or 0
            await asyncio.sleep(min(max(shortest, lease_s / LOOKS_PER_LEASE), longest))
            due = self._leases.due()
            await asyncio.gather(*(self._renew(piece, lease_s) for piece in in_tens(due)))

    async def _renew(self, handles: Sequence[str], lease_s: int) -> None:
        call = self._threads.submit(lambda: self._link.hide(handles, lease_s))
        try:
            failures = await asyncio.wrap_future(call)
        except BuildFlowError:
            return  # they stay due, and are asked for again with the next look
        self._leases.renewed((h for i, h in enumerate(handles) if i not in failures), lease_s)
        refused = (i for i, error in failures.items() if isinstance(error, RefusedError))
        self._leases.lost(handles[i] for i in refused)


def _batch(queue: str, letters: Sequence[Letter]) -> Batch:
    messages = [message for letter in letters for message in letter]
    return Batch(
        [body for _, _, body in messages],
        [handle for _, handle, _ in messages],
        lambda i: f"{queue} message {messages[i][0]}",
    )
