"""A source of the events in a queue's messages, each settled with its message.

A message is done when all its events are. When one of them was given back the message comes again,
whole, as soon as all are settled: after a pause if one failed, at once if none was tried. One that
holds no event is done as it comes, and says nothing of those that come after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from buildflow_nb.core.primitive import Batch, Releasing, Source

__all__ = ("EventSource",)

Settled = int
DONE, UNTRIED, FAILED = range(3)  # the worse one decides for a whole message


@dataclass(eq=False, slots=True)
class _Message:
    """A message of which some events are not settled."""

    receipt: object
    left: set[int]
    fate: Settled = DONE  # of the message, by the worst of its events


@dataclass(frozen=True, slots=True)
class _Receipt:
    message: _Message
    event: int


class EventSource:
    """Reads events out of messages; `events_of` gives those of one, `origin_of` names one."""

    def __init__(
        self,
        messages: Source,
        events_of: Callable[[Any], Sequence[object]],
        origin_of: Callable[[object], str],
    ) -> None:
        self._messages = messages
        self._events_of = events_of
        self._origin_of = origin_of
        self._kept: Batch | None = None
        self._eventless: list[object] = []

    async def pull(self) -> Batch | None:
        """Wait for events; an empty batch where there are no messages for now."""
        while True:
            if self._kept is None:
                batch = await self._messages.pull()
                if batch is None or not batch.items:
                    return batch
                self._kept = self._opened(batch)
            if self._eventless:  # until they are settled, also by a later pull, the batch is kept
                await self._messages.settle(self._eventless, ok=True)
                self._eventless = []
            found, self._kept = self._kept, None
            if found.items:
                return found

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Note that events are done or failed, and settle the messages this completes."""
        await self._note(receipts, DONE if ok else FAILED)

    async def release(self, receipts: Sequence[object]) -> None:
        """Note that events were not tried, and settle the messages this completes."""
        await self._note(receipts, UNTRIED)

    async def backlog(self) -> int | None:
        """Messages that wait, where that can be told."""
        return await self._messages.backlog()

    async def _note(self, receipts: Sequence[object], fate: Settled) -> None:
        complete: dict[Settled, dict[int, object]] = {DONE: {}, UNTRIED: {}, FAILED: {}}
        for receipt in cast("Sequence[_Receipt]", receipts):
            message = receipt.message
            message.left.discard(receipt.event)
            message.fate = max(message.fate, fate)
            if not message.left:
                complete[message.fate][id(message)] = message.receipt
        done, untried, failed = (list(messages.values()) for messages in complete.values())
        await self._messages.settle(done, ok=True)
        await self._messages.settle(failed, ok=False)
        if isinstance(self._messages, Releasing):
            await self._messages.release(untried)
        else:
            await self._messages.settle(untried, ok=False)

    def _opened(self, batch: Batch) -> Batch:
        """The events of the messages; takes note of messages that have none."""
        items: list[object] = []
        receipts: list[_Receipt] = []
        for body, receipt in zip(batch.items, batch.receipts or (), strict=True):
            events = self._events_of(body)
            message = _Message(receipt, set(range(len(events))))
            items += events
            receipts += [_Receipt(message, event) for event in range(len(events))]
            if not events:
                self._eventless.append(receipt)
        return Batch(items, receipts, lambda i: self._origin_of(items[i]))
