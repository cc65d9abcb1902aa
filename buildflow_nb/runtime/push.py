"""Pushes what processors return, in order, many at a time, and says of each whether it arrived.

Parcels wait in a bounded queue; one task takes all that wait (at most the sink's `max_push`
elements; it lingers as long as the sink asks for) and pushes them as one. A parcel is finished
only when every element of it is stored or known to be at fault, so a source is acknowledged after
its elements are safe and never before.

What goes wrong: a temporary fault is waited out, with back-off, for ever (the queue fills and
holds the source back). Any other error is tried again, then the push is halved until the elements
at fault stand alone; if no element at all passes, it is the sink that is down, not the data, and
it is waited out like a temporary fault. A permanent fault ends the pusher.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from buildflow_nb.core.encode import Encoder
from buildflow_nb.core.errors import (
    ConversionError,
    PartialPushError,
    PermanentError,
    TemporaryError,
)
from buildflow_nb.core.primitive import Sink
from buildflow_nb.runtime.clock import Clock, backoff_s

__all__ = ("Parcel", "PushPlan", "Pusher")

WAITING_PARCELS = 64  # parcels that may wait; more hold their worker back

Faults = dict[int, BaseException]
TEMPORARY = (TemporaryError, ConnectionError, TimeoutError)


@dataclass(slots=True)
class Parcel:
    """Elements that are settled together; `done` gets what failed, by position."""

    elements: Sequence[object]
    done: Callable[[Faults], None]
    faults: Faults = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PushPlan:
    """How a sink wants to be written."""

    encode: Encoder
    max_push: int
    linger_s: float
    retries: int


class Pusher:
    """The one writer of a sink for one processor.

    `on_wait` is called with a reason when the sink cannot be written for now, and with "" when it
    can again.
    """

    def __init__(
        self, sink: Sink, plan: PushPlan, clock: Clock, on_wait: Callable[[str], None]
    ) -> None:
        self._sink = sink
        self.plan = plan
        self._clock = clock
        self._on_wait = on_wait
        self._parcels: asyncio.Queue[Parcel | None] = asyncio.Queue(WAITING_PARCELS)
        self._waiting = False

    async def submit(self, parcel: Parcel) -> None:
        """Queue a parcel; waits while the queue is full."""
        await self._parcels.put(parcel)

    async def close(self) -> None:
        """Let `run` end once all that was submitted is pushed."""
        await self._parcels.put(None)

    async def run(self) -> None:
        """Push until closed.

        Raises:
            PermanentError: the sink can never be written as declared.
        """
        open_ = True
        while open_:
            first = await self._parcels.get()
            if first is None:
                return
            parcels, open_ = await self._gather(first)
            await self._push_parcels(parcels)

    def left(self) -> list[Parcel]:
        """Take what was never pushed, after `run` was cancelled or failed."""
        found = []
        with suppress(asyncio.QueueEmpty):
            while True:
                parcel = self._parcels.get_nowait()
                if parcel is not None:
                    found.append(parcel)
        return found

    async def _gather(self, first: Parcel) -> tuple[list[Parcel], bool]:
        parcels, size = [first], len(first.elements)
        deadline = self._clock.now() + self.plan.linger_s
        while size < self.plan.max_push:
            try:
                parcel = self._parcels.get_nowait()
            except asyncio.QueueEmpty:
                left = deadline - self._clock.now()
                if left <= 0:
                    break
                try:
                    parcel = await asyncio.wait_for(self._parcels.get(), left)
                except TimeoutError:
                    break
            if parcel is None:
                return parcels, False
            parcels.append(parcel)
            size += len(parcel.elements)
        return parcels, True

    async def _push_parcels(self, parcels: list[Parcel]) -> None:
        if len(parcels) == 1:
            elements = parcels[0].elements
        else:
            elements = [element for parcel in parcels for element in parcel.elements]
        try:
            faults = await self._push(elements) if elements else {}
        except BaseException as error:
            for parcel in parcels:
                parcel.faults = dict.fromkeys(range(len(parcel.elements)), error)
                parcel.done(parcel.faults)
            raise
        start = 0
        for parcel in parcels:
            end = start + len(parcel.elements)
            if faults:
                parcel.faults = {i - start: e for i, e in faults.items() if start <= i < end}
            parcel.done(parcel.faults)
            start = end

    async def _push(self, elements: Sequence[object]) -> Faults:
        try:
            encoded = self.plan.encode(elements)
        except ConversionError:
            return await self._push_sound(elements)
        return await self._deliver(encoded)

    async def _push_sound(self, elements: Sequence[object]) -> Faults:
        """Encode one by one, to leave out the elements that cannot be."""
        faults: Faults = {}
        places, encoded = [], []
        for i, element in enumerate(elements):
            try:
                encoded.append(self.plan.encode([element])[0])
                places.append(i)
            except ConversionError as error:
                faults[i] = error
        found = await self._deliver(encoded) if encoded else {}
        return faults | {places[i]: error for i, error in found.items()}

    async def _deliver(self, items: Sequence[object]) -> Faults:
        if len(items) <= self.plan.max_push:
            return await self._deliver_part(items)
        faults: Faults = {}
        for start in range(0, len(items), self.plan.max_push):
            part = items[start : start + self.plan.max_push]
            found = await self._deliver_part(part)
            faults |= {start + i: error for i, error in found.items()}
        return faults

    async def _deliver_part(self, items: Sequence[object]) -> Faults:
        """Push until all is stored or the elements at fault are known."""
        tries = 0
        while True:
            try:
                await self._sink.push(items)
            except PartialPushError as error:
                return dict(error.failed)
            except PermanentError:
                raise
            except TEMPORARY as error:
                tries += 1
                await self._wait(error, tries)
            except Exception as error:  # noqa: BLE001  (a sink may raise anything)
                tries += 1
                if tries > self.plan.retries:
                    faults = await self._isolate(items, error)
                    if len(faults) < len(items) or len(items) == 1:
                        return faults
                await self._wait(error, tries)
            else:
                self._resume()
                return {}

    async def _isolate(self, items: Sequence[object], error: Exception) -> Faults:
        """Halve a push that fails as a whole until the elements at fault stand alone."""
        if len(items) == 1:
            return {0: error}
        middle = len(items) // 2
        faults: Faults = {}
        for start, half in ((0, items[:middle]), (middle, items[middle:])):
            try:
                await self._sink.push(half)
            except PartialPushError as partial:
                faults |= {start + i: e for i, e in partial.failed.items()}
            except Exception as again:  # noqa: BLE001
                found = await self._isolate(half, again)
                faults |= {start + i: e for i, e in found.items()}
        return faults

    async def _wait(self, error: Exception, tries: int) -> None:
        self._waiting = True
        self._on_wait(str(error) or type(error).__name__)
        await self._clock.sleep(backoff_s(tries))

    def _resume(self) -> None:
        if self._waiting:
            self._waiting = False
            self._on_wait("")
