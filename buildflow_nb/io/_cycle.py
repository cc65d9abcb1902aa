"""Hands out the elements of an iterable one by one, at a steady pace, for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

from buildflow_nb.core.primitive import Batch

__all__ = ("CycleSource",)

_NOTHING = object()


class CycleSource:
    """One element a pull, the first at once; begins again where the iterable allows it.

    A list, a range or any collection cycles for ever; a generator or another iterator is handed
    out as it comes and ends the source at its end.
    """

    def __init__(self, items: Iterable[object], interval_s: float, backlog: int | None) -> None:
        self._items = items
        self._interval_s = interval_s
        self._backlog = backlog
        self._iterator: Iterator[object] = iter(items)
        self._due: float | None = None
        self._ended = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended = True

    async def pull(self) -> Batch | None:
        """Wait until the next element is due, then take it."""
        loop = asyncio.get_running_loop()
        wait = 0.0 if self._due is None else self._due - loop.time()
        await asyncio.sleep(max(0.0, wait))  # with 0 it lets the loop go round
        found = _NOTHING if self._ended else self._take()
        if found is _NOTHING:
            self._ended = True
            return None
        self._due = loop.time() + self._interval_s
        return Batch((found,))

    async def settle(self, receipts: Sequence[object], *, ok: bool) -> None:
        """Nothing to do: there are no receipts."""

    async def backlog(self) -> int | None:
        """What was declared; an endless source has none of its own."""
        return self._backlog

    def _take(self) -> object:
        found = next(self._iterator, _NOTHING)
        if found is _NOTHING:
            self._iterator = iter(self._items)  # an iterator gives itself and stays at its end
            found = next(self._iterator, _NOTHING)
        return found
