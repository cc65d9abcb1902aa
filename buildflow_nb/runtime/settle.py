"""Tells the source, in bulk, which elements are done.

Receipts that become known while a call is under way go into the next one. A call that fails is
tried again a few times; after that the source's own redelivery decides, which at-least-once allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from buildflow_nb.core.primitive import Source
from buildflow_nb.runtime.clock import Clock, backoff_s
from buildflow_nb.runtime.logs import LogRing

__all__ = ("Settler",)

TRIES = 5  # calls before redelivery is left to the source

Settled = Callable[[], None]


class Settler:
    """Collects receipts and settles them; used on the loop only."""

    def __init__(self, source: Source, clock: Clock, log: LogRing) -> None:
        self._source = source
        self._clock = clock
        self._log = log
        self._receipts: dict[bool, list[object]] = {True: [], False: []}
        self._callbacks: list[Settled] = []
        self._wake = asyncio.Event()

    def add(self, receipts: list[object], *, ok: bool, then: Settled) -> None:
        """Queue receipts; `then` is called when the source was told."""
        self._receipts[ok] += receipts
        self._callbacks.append(then)
        self._wake.set()

    async def run(self) -> None:
        """Settle for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Settle what is there."""
        receipts, self._receipts = self._receipts, {True: [], False: []}
        callbacks, self._callbacks = self._callbacks, []
        for ok, which in receipts.items():
            if which:
                await self._tell(which, ok=ok)
        for callback in callbacks:
            callback()

    async def _tell(self, receipts: list[object], *, ok: bool) -> None:
        for tries in range(1, TRIES + 1):
            try:
                await self._source.settle(receipts, ok=ok)
            except Exception as error:  # noqa: BLE001  (a source may raise anything)
                word = "acknowledge" if ok else "give back"
                text = f"could not {word} {len(receipts)} elements (try {tries}): {error}"
                self._log.add("WARNING", text)
                await self._clock.sleep(backoff_s(tries))
            else:
                return
