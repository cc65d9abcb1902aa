"""Where receive calls, tasks of their own, leave what they bring for the pull that waits.

Nothing falls between the two: a batch is either put into the buffer, or, once that is closed, shown
to other consumers again by the task that brought it.

Calls wait for a second while messages come and for some seconds after that, so that the end of a
queue is soon known, then twice as long each time, up to 20 s, so that an idle one costs little.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from buildflow_nb.core.errors import BuildFlowError, PermanentError
from buildflow_nb.io.aws.sqs.allowance import Allowance
from buildflow_nb.io.aws.sqs.client import BATCH, LONG_POLL_S, SHORT_POLL_S, Message, QueueClient
from buildflow_nb.io.aws.sqs.leases import MessageLeases
from buildflow_nb.io.leases import Receipt

__all__ = ("ReceiveBuffer", "ReceivedBatch")

SHORT_ROUNDS = 3  # of calls that found nothing, before they wait for longer

ReceivedBatch = list[tuple[Message, Receipt]]  # what one call has brought: up to ten messages


class _Call(NamedTuple):
    """A receive call under way: its number, and when its wait began."""

    number: int
    began: float
    wait_s: int


class ReceiveBuffer:
    """What a source received: `most` calls at once, and none begins while as many batches lie here.

    Batches count apart from calls, since the loop takes them several at a time: calls that waited
    for it would leave a busy source half idle. No call begins that may bring more than is allowed.
    """

    def __init__(
        self,
        client: QueueClient,
        leases: MessageLeases,
        allowance: Allowance,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = 1
        self.lease_s: int | None = None
        self.arrived = asyncio.Event()
        self._client = client
        self._leases = leases
        self._allowance = allowance
        self._now = now
        self._batches: list[ReceivedBatch] = []
        self._fault: Exception | None = None
        self._rounds = 0  # of calls that found nothing, one after the other
        self._round_began = 0  # the first call that counts for the next one
        self._calls = 0
        self._under_way: dict[int, _Call] = {}
        self._expected = 0
        self._emptied = 0
        self._came_empty = False
        self._wanted = False
        self._closed = False

    def mark(self) -> int:
        """A number that all calls exceed which begin from now on."""
        return self._calls

    def expect(self) -> bool:
        """Count one more call, if there may be one; `fetch` has to follow."""
        self._wanted = True
        if not self._room():
            return False
        self._expected += 1
        return True

    async def fetch(self) -> None:
        """Receive and leave what came, again and again while there is plenty and it is wanted."""
        again = True
        while again and (call := self._begin()) is not None:
            found: list[Message] = []
            fault: Exception | None = None
            try:
                self.lease_s = await self._client.lease_s()
                found = await self._client.receive(call.wait_s)
            except Exception as error:  # noqa: BLE001  (raised by the pull that waits for it)
                fault = error
            except asyncio.CancelledError:  # the loop ends
                del self._under_way[call.number]
                raise
            except BaseException as error:  # noqa: BLE001  (it would end the loop of that pull)
                kind = type(error).__name__
                fault = PermanentError(f"queue {self._client.name!r} cannot be read: {kind}")
            again = await self._leave(call, found, fault)

    def take(self) -> list[ReceivedBatch]:
        """All that lies here."""
        found, self._batches = self._batches, []
        self.arrived.clear()
        return found

    def unread(self) -> int:
        """Messages that lie here."""
        return sum(map(len, self._batches))

    def fault(self) -> Exception | None:
        """Why the last call failed, once."""
        found, self._fault = self._fault, None
        return found

    def came_empty(self) -> bool:
        """Whether a call has found nothing since this was asked last."""
        found, self._came_empty = self._came_empty, False
        return found

    def empty_since(self, mark: int) -> bool:
        """Whether a call that began after `mark` has found nothing, and no other is under way."""
        busy = self._under_way or self._expected
        return self._emptied > mark and not busy and not self._batches

    def pause(self) -> None:
        """Make no further call until one is expected again."""
        self._wanted = False

    def close(self) -> None:
        """Take nothing more in; what still comes is shown to other consumers again."""
        self._closed = True

    async def ended(self, within_s: float) -> None:
        """Wait for the calls under way, where they end by themselves in so many seconds."""
        while (left := self._ends_in()) is not None and left <= within_s:
            self.arrived.clear()
            if self._ends_in() is not None:
                await self.arrived.wait()

    def _ends_in(self) -> float | None:
        now = self._now()
        ends = [call.began + call.wait_s - now for call in self._under_way.values()]
        return max(ends, default=None)

    def _room(self) -> bool:
        calls = len(self._under_way) + self._expected
        return (
            not self._closed
            and max(len(self._batches), calls) < self.most
            and len(self._leases) + BATCH * calls < self._allowance.most(self.lease_s or 0)
        )

    def _begin(self) -> _Call | None:
        self._expected -= 1
        if self._closed:
            return None
        self._calls += 1
        wait_s = min(SHORT_POLL_S << max(0, self._rounds - SHORT_ROUNDS), LONG_POLL_S)
        call = _Call(self._calls, self._now(), wait_s)
        self._under_way[call.number] = call
        return call

    async def _leave(self, call: _Call, found: list[Message], fault: Exception | None) -> bool:
        """Put a batch into the buffer; whether to make the next call at once."""
        try:
            if self._closed:
                await self._show(found)
            elif done := self._put(call, found, fault):
                await self._delete(done)
        finally:
            del self._under_way[call.number]
            again = bool(found) and self._wanted and self._room()
            self._expected += again
            self.arrived.set()
        return again

    def _put(self, call: _Call, found: list[Message], fault: Exception | None) -> dict[str, str]:
        """Take in what came; gives the handles of messages that are to be deleted."""
        self._fault = fault
        if fault is not None:
            return {}
        if not found:
            self._came_empty, self._emptied = True, max(self._emptied, call.number)
            if call.number > self._round_began:  # those that ran side by side are one round
                self._rounds, self._round_began = min(self._rounds + 1, 30), self._calls
            return {}
        self._rounds = 0
        if not self._leases:
            self._allowance.begin()
        taken = self._leases.receive(found, self.lease_s or 0)
        if taken.fresh:
            self._batches.append(list(taken.fresh))
        return taken.done

    async def _show(self, found: list[Message]) -> None:
        if found:
            with suppress(BuildFlowError):  # then they come when their leases run out
                await self._client.change_visibility({message.handle: 0 for message in found})

    async def _delete(self, done: dict[str, str]) -> None:
        """Delete what came again though it is done; what stays comes once more, and so on."""
        with suppress(BuildFlowError):
            failed = await self._client.delete(list(done.values()))
            ids = [one for i, one in enumerate(done) if i not in failed]
            self._leases.deleted(ids)
