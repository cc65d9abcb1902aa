"""Asks a source for batches, as often as there is room for them, until it ends or cannot go on.

What a fault of a source means is decided here and nowhere else (see `core/primitive.py`):

* A temporary fault is shown and waited out, with back-off. An end that comes right behind one is
  not believed: a generator that has raised looks exhausted when it is asked again.
* Anything else that a source raises, in whatever way, ends the pulls with a `PermanentError`.

A source is `empty` when each of its pulls has come back empty, nothing in the run has moved since
they began, and the backlog that was asked for after that is none, or cannot be told. Silence is no
emptiness: an answer may just be slow.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

from buildflow_nb.core.errors import PermanentError, told
from buildflow_nb.core.optional_abilities import Ending
from buildflow_nb.core.primitive import Batch, Source
from buildflow_nb.runtime.concurrency.backoff import TEMPORARY, backoff_s
from buildflow_nb.runtime.concurrency.calls import is_cancel
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.observability.metrics import Activity
from buildflow_nb.runtime.observability.tracebacks import describe

__all__ = ("Pulls", "Taker")

BACKLOG_EVERY_S = 1.0
QUICK_S = 0.01  # an empty answer that comes this soon behind another has not waited
PAUSES_S = (0.01, 0.25)  # after quick empty answers: the first, and the longest
_NEVER = -1


class Taker(Protocol):
    """Who takes what is pulled."""

    @property
    def full(self) -> bool:
        """Whether nothing more can be taken for now."""
        ...

    async def room(self) -> None:
        """Wait until it is not full."""
        ...

    def take_in(self, batch: Batch) -> None:
        """Take a batch that is not empty."""
        ...

    def source_waits(self, reason: str) -> None:
        """Show why the source cannot be read for now, or with "" that it can again."""
        ...


class Pulls:
    """The pulls of one source; `label` names it in messages. Used on the loop only."""

    def __init__(
        self, source: Source, label: str, taker: Taker, activity: Activity, clock: Clock
    ) -> None:
        self.backlog: int | None = None
        self.ends = isinstance(source, Ending) and source.ends
        self._source = source
        self._label = label
        self._taker = taker
        self._activity = activity
        self._clock = clock
        self._found_empty: dict[int, int] = {}  # by pull that goes on: the count of then
        self._empty_at = _NEVER
        self._look = asyncio.Event()

    @property
    def empty(self) -> bool:
        """Whether nothing is left to pull, and nothing has moved since that became known."""
        return self._empty_at == self._activity.count

    async def run(self, pullers: int) -> None:
        """Pull, `pullers` at a time, until the source has ended.

        Raises:
            PermanentError: it cannot go on; the other pulls are cancelled.
        """
        self._found_empty = dict.fromkeys(range(pullers), _NEVER)
        try:
            async with asyncio.TaskGroup() as group:
                for puller in range(pullers):
                    group.create_task(self._pull(puller))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0]  # noqa: B904  (one reason is enough; its own cause stays)

    async def watch(self) -> None:
        """Look at the backlog for ever: every second, and when it decides on emptiness."""
        while True:
            self._look.clear()
            asked_at = self._activity.count
            dry = set(self._found_empty.values()) == {asked_at}
            known = await self._ask_backlog()
            if known and dry and not self.backlog:
                self._empty_at = asked_at
            await self._next_look()

    async def _ask_backlog(self) -> bool:
        """Ask for the backlog; whether all that can be told of it is told."""
        try:
            self.backlog = await self._source.backlog()
        except BaseException as error:
            if is_cancel(error):
                raise
            self.backlog = None
            return not isinstance(error, TEMPORARY)
        return True

    async def _next_look(self) -> None:
        pause = asyncio.ensure_future(self._clock.sleep(BACKLOG_EVERY_S))
        asked = asyncio.ensure_future(self._look.wait())
        try:
            await asyncio.wait({pause, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            asked.cancel()

    async def _pull(self, puller: int) -> None:
        taker, activity = self._taker, self._activity
        pause_s, empty_at = 0.0, -math.inf
        while True:
            if taker.full:
                await taker.room()
            count = activity.count
            try:
                batch = await self._source.pull()
            except BaseException as error:  # noqa: BLE001  (a source may raise anything)
                batch = await self._answer_after(error)
            if batch is None:
                del self._found_empty[puller]
                return
            if batch.items:
                taker.take_in(batch)
                continue
            self._found_empty[puller] = count
            self._look.set()
            # A source that says "nothing yet" at once must not spin the loop.
            now, (first_s, longest_s) = self._clock.now(), PAUSES_S
            again = now - empty_at < pause_s + QUICK_S
            pause_s, empty_at = min(2 * pause_s, longest_s) if again else first_s, now
            await self._clock.sleep(pause_s)

    async def _answer_after(self, fault: BaseException) -> Batch | None:
        """Pull again until there is an answer that can be believed."""
        tries = 0
        while True:
            if is_cancel(fault):
                raise fault
            if not isinstance(fault, TEMPORARY):
                raise self._cannot_go_on(fault) from fault
            tries, reason = tries + 1, told(fault)
            self._taker.source_waits(reason)
            await self._clock.sleep(backoff_s(tries))
            try:
                batch = await self._source.pull()
            except BaseException as error:  # noqa: BLE001  (the same)
                fault = error
                continue
            if batch is None:
                raise self._not_an_end(reason)
            self._taker.source_waits("")
            return batch

    def _cannot_go_on(self, error: BaseException) -> PermanentError:
        if isinstance(error, PermanentError):
            return error
        return PermanentError(f"{self._label} cannot be read on: {describe(error)}")

    def _not_an_end(self, reason: str) -> PermanentError:
        msg = (
            f"{self._label} could not be read ({reason}) and then said that it has ended, so what "
            "it had left is not known; a pull that failed must go on where it was"
        )
        return PermanentError(msg)
