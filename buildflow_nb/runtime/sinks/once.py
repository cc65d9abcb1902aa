"""Pushes that are made again under their own id after a crash, for sinks that store each once.

Before a push its intent is written down: its ids, and the receipts of the elements in it. After it
its elements are settled and the source keeps that, and only then the next one begins. So of
the last push alone it is unknown, after a crash, whether it is stored. The next run gets its
elements again, puts exactly those together, in the same order, and pushes them under the same ids.

That holds for code that gives the same again for the same element, so the number of elements is
part of the intent: where it differs, the log says so, and they are pushed as new ones.
An id names a folder's own chain of pushes: where the intents were removed, another one begins.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from buildflow_nb.core.errors import PartialPushError, PermanentError
from buildflow_nb.core.position import Position
from buildflow_nb.core.primitive import IdempotentSink, PushId
from buildflow_nb.runtime.concurrency.backoff import TEMPORARY
from buildflow_nb.runtime.concurrency.calls import contained
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.sinks.push import DATA_ERRORS, Faults, Pusher, PushPlan, PushRequest

__all__ = ("Intent", "Intents", "OncePusher")

HOLD_S = 5.0  # for the rest of a push of the last run; what it was read from is read first
VERSION = 1
_OTHERS = re.compile(r"[^A-Za-z0-9_-]+")
Receipt = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Intent:
    """A push that was begun: where it begins, the size of each part, whose elements are in it."""

    first: int = 0
    sizes: tuple[int, ...] = ()
    receipts: frozenset[Receipt] = frozenset()

    @property
    def count(self) -> int:
        """Elements in it."""
        return sum(self.sizes)

    def ids(self, writer: str) -> Iterator[PushId]:
        """The id of each part."""
        first = self.first
        for size in self.sizes:
            yield PushId(writer, first, size)
            first += size

    def within(self, request: PushRequest) -> list[int]:
        """Which items of a request belong to it, in order."""
        origins = request.origins or ()
        return [i for i, origin in enumerate(origins) if origin in self.receipts]

    def document(self) -> dict[str, Any]:
        """All of it as plain values."""
        spans = _spans(self.receipts)
        return {"first": self.first, "sizes": list(self.sizes), "spans": spans}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Intent:
        """What `document` gave.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it makes no sense.
        """
        receipts = frozenset(
            (piece, number)
            for piece, spans in document["spans"].items()
            for start, end in spans
            for number in range(start, end)
        )
        return cls(int(document["first"]), tuple(map(int, document["sizes"])), receipts)


class Intents:
    """A chain of pushes: the last ones that were begun, as a position keeps them."""

    def __init__(self, processor: str, document: Any = None) -> None:
        self.begun: list[Intent] = []
        try:
            if document["version"] == VERSION:
                self.writer = str(document["writer"])
                self.begun = [Intent.of(one) for one in document["pushes"]]
        except (KeyError, TypeError, ValueError, AttributeError):
            self.begun = []
        if not self.begun:  # a new chain, which no store knows
            self.writer = f"{_OTHERS.sub('_', processor)[:60]}-{secrets.token_hex(8)}"
            self.begun = [Intent()]

    def following(self, count: int, most: int, receipts: frozenset[Receipt]) -> Intent:
        """The next one, of so many elements, of which a store takes so many at once."""
        sizes = tuple(min(most, count - at) for at in range(0, count, most))
        last = self.begun[-1]
        return Intent(last.first + last.count, sizes, receipts)

    def document(self) -> dict[str, Any]:
        """All of it as plain values."""
        pushes = [intent.document() for intent in self.begun]
        return {"version": VERSION, "writer": self.writer, "pushes": pushes}


class OncePusher(Pusher):
    """The writer of a sink that stores each push once.

    `settled` is awaited after each push: it has the source keep what was settled.
    """

    def __init__(  # noqa: PLR0913, PLR0917  (what a `Pusher` takes, and two more)
        self,
        sink: IdempotentSink,
        plan: PushPlan,
        clock: Clock,
        on_wait: Callable[[str], None],
        position: Position,
        processor: str,
    ) -> None:
        super().__init__(sink, plan, clock, on_wait)
        self._once = sink
        self._position = position
        self._processor = processor
        self._intents: Intents | None = None
        self._open: list[Intent] = []  # of the last run, and not yet made up for
        self._held: list[PushRequest] = []
        self._waited = False  # for more of a push that is held, and in vain
        self.settled: Callable[[], Awaitable[None]] = _nothing
        self.warn: Callable[[str], None] = lambda _: None

    def left(self) -> list[PushRequest]:
        """What was never pushed, with what is held for a push of the last run."""
        held, self._held = self._held, []
        return [*held, *super().left()]

    async def _next_request(self) -> PushRequest | None:
        """The next request; while some are held, the rest of theirs is not waited for for ever."""
        self._waited = False
        if not self._held:
            return await super()._next_request()
        try:
            return await asyncio.wait_for(super()._next_request(), HOLD_S)
        except TimeoutError:
            self._waited = True
            return PushRequest((), lambda _: None)

    async def _push_requests(self, requests: list[PushRequest]) -> None:
        intents = await self._loaded()
        found = [*self._held, *requests]
        if self._open and not self._waited and self._more_may_come(found):
            self._held = found
            return
        self._held = []
        self._give_up(found)
        try:
            faults = await self._push_all(found, intents)
        except BaseException as error:
            for request in found:
                request.done(dict.fromkeys(range(len(request.items)), error))
            raise
        for request, own in zip(found, faults, strict=True):
            request.done(own)
        await self._patiently(self.settled)
        intents.begun = intents.begun[-1:]

    async def _loaded(self) -> Intents:
        if self._intents is None:
            document = await asyncio.to_thread(self._position.read)
            self._intents = Intents(self._processor, document)
            self._open = [intent for intent in self._intents.begun if intent.receipts]
        return self._intents

    def _more_may_come(self, requests: Sequence[PushRequest]) -> bool:
        """Whether more of the open pushes may come: something is missing, and nothing behind it."""
        there = [sum(len(one.within(request)) for request in requests) for one in self._open]
        if all(count == one.count for count, one in zip(there, self._open, strict=True)):
            return False
        last = next((request for request in reversed(requests) if request.items), None)
        return last is not None and any(one.within(last) for one in self._open)

    def _give_up(self, requests: Sequence[PushRequest]) -> None:
        """Forget open pushes that were settled, or that cannot be put together again."""
        for one in list(self._open):
            some = sum(len(one.within(request)) for request in requests)
            if some == one.count:
                continue
            self._open.remove(one)
            if some:
                self.warn(
                    f"the last run was cut off in a push of {one.count} elements, of which the code"
                    f" now gives {some} again; they are pushed as new ones, and may be stored twice"
                )

    async def _push_all(self, requests: list[PushRequest], intents: Intents) -> list[Faults]:
        """Push the items of all: those of open pushes first, as they were, then the others.

        All these pushes are noted as long as none of their elements is settled, which one request
        that is in two of them has to wait for.
        """
        faults: list[Faults] = [{} for _ in requests]
        again: set[tuple[int, int]] = set()
        made_up, self._open = self._open, []
        for one in made_up:
            places = [(r, i) for r, request in enumerate(requests) for i in one.within(request)]
            again.update(places)
            await self._push_part(requests, places, one.ids(intents.writer), faults)
        places = [
            (r, i)
            for r, request in enumerate(requests)
            for i in range(len(request.items))
            if (r, i) not in again
        ]
        if not places:
            return faults
        origins = (requests[r].origin(i) for r, i in places)
        receipts = frozenset(origin for origin in origins if origin is not None)
        intent = intents.following(len(places), self.plan.max_push, receipts)
        intents.begun = [*made_up, intent]
        await self._note(intents)
        await self._push_part(requests, places, intent.ids(intents.writer), faults)
        return faults

    async def _note(self, intents: Intents) -> None:
        document = intents.document()
        await self._patiently(lambda: asyncio.to_thread(self._position.write, document))

    async def _patiently(self, note: Callable[[], Awaitable[None]]) -> None:
        """Note something on a disk that may be full for now; without it nothing may go on."""
        tries = 0
        while True:
            try:
                await note()
            except TEMPORARY as error:
                tries += 1
                await self._wait(error, tries)
            else:
                self._resume()
                return

    async def _push_part(
        self,
        requests: Sequence[PushRequest],
        places: Sequence[tuple[int, int]],
        ids: Iterator[PushId],
        faults: list[Faults],
    ) -> None:
        start = 0
        for push in ids:
            own = places[start : start + push.count]
            found = await self._stored([requests[r].items[i] for r, i in own], push)
            for at, error in found.items():
                r, i = own[at]
                faults[r][i] = error
            start += push.count

    async def _stored(self, items: Sequence[object], push: PushId) -> Faults:
        """Push until it is stored, but for the elements at fault."""
        tries = 0
        while True:
            try:
                await contained(self._once.push_once(items, push))
            except PartialPushError as partial:
                self._resume()
                return dict(partial.failed)
            except PermanentError:
                raise
            except Exception as error:  # noqa: BLE001  (a sink may raise anything)
                tries += 1
                if isinstance(error, DATA_ERRORS) and tries > self.plan.retries:
                    return dict.fromkeys(range(len(items)), error)
                await self._wait(error, tries)
            else:
                self._resume()
                return {}


async def _nothing() -> None:
    """Nothing has to be kept."""


def _spans(receipts: frozenset[Receipt]) -> dict[str, list[list[int]]]:
    found: dict[str, list[list[int]]] = {}
    for piece, number in sorted(receipts):
        spans = found.setdefault(piece, [])
        if spans and spans[-1][1] == number:
            spans[-1][1] = number + 1
        else:
            spans.append([number, number + 1])
    return found
