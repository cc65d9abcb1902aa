"""Pushes that are made again under their own id after a crash, for sinks that store each once.

Before a push its intent is written down: its ids, and the receipts of the elements in it. After it
its elements are settled and the source keeps that, and only then the next one begins. So of one
push at most it is unknown, after a crash, whether it is stored. The next run gets its elements
again, puts exactly those together, in the same order, and pushes them under the same ids.

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

__all__ = ("Intent", "OncePusher")

HOLD_S = 5.0  # for the rest of a push of the last run; what it was read from is read first
VERSION = 1
_OTHERS = re.compile(r"[^A-Za-z0-9_-]+")
Receipt = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Intent:
    """A push that was begun: its id, the size of each part, and whose elements are in it."""

    writer: str
    first: int = 0
    sizes: tuple[int, ...] = ()
    receipts: frozenset[Receipt] = frozenset()

    @property
    def count(self) -> int:
        """Elements in it."""
        return sum(self.sizes)

    @property
    def ids(self) -> Iterator[PushId]:
        """The id of each part."""
        first = self.first
        for size in self.sizes:
            yield PushId(self.writer, first, size)
            first += size

    def following(self, items: Sequence[object], most: int, receipts: frozenset[Receipt]) -> Intent:
        """The next one, of these items."""
        sizes = tuple(min(most, len(items) - at) for at in range(0, len(items), most))
        return Intent(self.writer, self.first + self.count, sizes, receipts)

    def document(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "version": VERSION,
            "writer": self.writer,
            "first": self.first,
            "sizes": list(self.sizes),
            "spans": _spans(self.receipts),
        }

    @classmethod
    def of(cls, document: Any, processor: str) -> Intent:
        """The last one that was written down; the first of a new chain where there is none."""
        try:
            if document["version"] == VERSION:
                receipts = frozenset(
                    (piece, number)
                    for piece, spans in document["spans"].items()
                    for start, end in spans
                    for number in range(start, end)
                )
                sizes = tuple(map(int, document["sizes"]))
                return cls(str(document["writer"]), int(document["first"]), sizes, receipts)
        except (KeyError, TypeError, ValueError, AttributeError):
            pass
        name = _OTHERS.sub("_", processor)[:60]
        return cls(f"{name}-{secrets.token_hex(8)}")


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
        self._intent: Intent | None = None
        self._open = False  # whether the intent is of the last run, and not yet made up for
        self._held: list[PushRequest] = []
        self.settled: Callable[[], Awaitable[None]] = _nothing
        self.warn: Callable[[str], None] = lambda _: None

    def left(self) -> list[PushRequest]:
        """What was never pushed, with what is held for a push of the last run."""
        held, self._held = self._held, []
        return [*held, *super().left()]

    async def _next_request(self) -> PushRequest | None:
        """The next request; while some are held, the rest of theirs is not waited for for ever."""
        if not self._held:
            return await super()._next_request()
        try:
            return await asyncio.wait_for(super()._next_request(), HOLD_S)
        except TimeoutError:
            return PushRequest((), lambda _: None)

    async def _push_requests(self, requests: list[PushRequest]) -> None:
        intent = await self._loaded()
        waited = not any(request.items for request in requests)
        found = [*self._held, *requests]
        self._held = []
        if self._open and not self._complete(found, intent):
            if not waited and self._may_come(found, intent):
                self._held = found
                return
            self._give_up(found, intent)
        try:
            faults = await self._push_all(found)
        except BaseException as error:
            for request in found:
                request.done(dict.fromkeys(range(len(request.items)), error))
            raise
        for request, own in zip(found, faults, strict=True):
            request.done(own)
        await self._patiently(self.settled)

    async def _loaded(self) -> Intent:
        if self._intent is None:
            document = await asyncio.to_thread(self._position.read)
            self._intent = Intent.of(document, self._processor)
            self._open = bool(self._intent.receipts)
        return self._intent

    def _complete(self, requests: Sequence[PushRequest], intent: Intent) -> bool:
        return sum(len(_inside(request, intent)) for request in requests) == intent.count

    def _may_come(self, requests: Sequence[PushRequest], intent: Intent) -> bool:
        """Whether more of an open push may come: some has, and nothing behind it."""
        inside = [bool(_inside(request, intent)) for request in requests if request.items]
        return bool(inside) and inside[-1]

    def _give_up(self, requests: Sequence[PushRequest], intent: Intent) -> None:
        """The open push was done, or cannot be put together again."""
        self._open = False
        some = sum(len(_inside(request, intent)) for request in requests)
        if some:
            self.warn(
                f"the last run was cut off in a push of {intent.count} elements, of which the code "
                f"now gives {some} again; they are pushed as new ones, and may be stored twice"
            )

    async def _push_all(self, requests: Sequence[PushRequest]) -> list[Faults]:
        """Push the items of all: those of an open push first, as they were, then the others."""
        intent = await self._loaded()
        faults: list[Faults] = [{} for _ in requests]
        places = [(r, i) for r, request in enumerate(requests) for i in range(len(request.items))]
        if self._open:
            within = [_inside(request, intent) for request in requests]
            first = [(r, i) for r, inside in enumerate(within) for i in inside]
            places = [(r, i) for r, i in places if i not in within[r]]
            await self._push_part(requests, first, intent, faults)
            self._open = False
        if not places:
            return faults
        items = [requests[r].items[i] for r, i in places]
        receipts = frozenset(
            receipt for r, i in places if (receipt := requests[r].origin(i)) is not None
        )
        intent = intent.following(items, self.plan.max_push, receipts)
        await self._note(intent)
        self._intent = intent
        await self._push_part(requests, places, intent, faults)
        return faults

    async def _note(self, intent: Intent) -> None:
        document = intent.document()
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
        intent: Intent,
        faults: list[Faults],
    ) -> None:
        start = 0
        for push in intent.ids:
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


def _inside(request: PushRequest, intent: Intent) -> Mapping[int, None]:
    """Which items of a request belong to an intent, in order."""
    if request.origins is None:
        return {}
    return dict.fromkeys(i for i, one in enumerate(request.origins) if one in intent.receipts)


def _spans(receipts: frozenset[Receipt]) -> dict[str, list[list[int]]]:
    found: dict[str, list[list[int]]] = {}
    for piece, number in sorted(receipts):
        spans = found.setdefault(piece, [])
        if spans and spans[-1][1] == number:
            spans[-1][1] = number + 1
        else:
            spans.append([number, number + 1])
    return found
