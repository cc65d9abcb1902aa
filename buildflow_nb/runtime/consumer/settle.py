"""Tells the source, in bulk, which elements are done.

Receipts that become known while a call is under way go into the next one. A call that fails is
tried again a few times; after that the source's own redelivery decides, which at-least-once allows.
What nobody has tried is given back apart from what failed, to sources that tell them apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from buildflow_nb.core.primitive import Releasing, Source
from buildflow_nb.runtime.concurrency.backoff import backoff_s
from buildflow_nb.runtime.concurrency.calls import is_cancel
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.observability.logs import LogRing
from buildflow_nb.runtime.observability.tracebacks import describe

__all__ = ("Settler",)

TRIES = 5  # calls before redelivery is left to the source

Settled = Callable[[], None]
Tell = Callable[[list[object]], Awaitable[None]]


class Settler:
    """Collects receipts and settles them; used on the loop only."""

    def __init__(self, source: Source, clock: Clock, log: LogRing) -> None:
        self._source = source
        self._clock = clock
        self._log = log
        self._receipts: dict[bool, list[object]] = {True: [], False: []}
        self._untried: list[object] = []
        self._callbacks: list[Settled] = []
        self._wake = asyncio.Event()
        self._flushing = asyncio.Lock()  # who flushes has all told that was there, by whomever

    def add(self, receipts: list[object], *, ok: bool, then: Settled) -> None:
        """Queue receipts; `then` is called when the source was told."""
        self._receipts[ok] += receipts
        self._callbacks.append(then)
        self._wake.set()

    def release(self, receipts: list[object]) -> None:
        """Queue receipts of elements that nobody has tried."""
        self._untried += receipts
        self._wake.set()

    async def run(self) -> None:
        """Settle for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Settle what is there."""
        async with self._flushing:
            await self._flush()

    async def _flush(self) -> None:
        receipts, self._receipts = self._receipts, {True: [], False: []}
        callbacks, self._callbacks = self._callbacks, []
        untried, self._untried = self._untried, []
        for ok, which in receipts.items():
            word = "acknowledge" if ok else "give back"
            await self._tell(which, word, partial(self._source.settle, ok=ok))
        if isinstance(self._source, Releasing):
            await self._tell(untried, "give back", self._source.release)
        else:
            await self._tell(untried, "give back", partial(self._source.settle, ok=False))
        for callback in callbacks:
            callback()

    async def _tell(self, receipts: list[object], word: str, tell: Tell) -> None:
        if not receipts:
            return
        for tries in range(1, TRIES + 1):
            try:
                await tell(receipts)
            except BaseException as error:  # a source may raise anything
                if is_cancel(error):
                    raise
                said = describe(error)
                text = f"could not {word} {len(receipts)} elements (try {tries}): {said}"
                self._log.add("WARNING", text)
                await self._clock.sleep(backoff_s(tries))
            else:
                return
