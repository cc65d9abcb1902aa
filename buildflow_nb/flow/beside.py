"""Work that blocks, for callers that must not: beside a running event loop it goes on in a thread.

In a script, and in a kernel whose cells wait as a terminal does, the work is done when the call
returns. Where a program's own event loop runs, the call returns at once with an `Outcome` that is
to be awaited; cancelling that wait asks the work to stop, as an interrupt would, and waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.status.deletions import Deletions
from buildflow_nb.core.status.operations import OperationEvent, Outcome, Summary
from buildflow_nb.core.surroundings import kernel
from buildflow_nb.infra.stop import Stop

__all__ = ("PendingOutcome", "here_or_beside")

STEP_S = 60.0  # the step under way may take that long to end


def here_or_beside(work: Callable[[Stop | None], Outcome], stop: Stop | None) -> Outcome:
    """Do the work and give its outcome, or begin it and give what is to be awaited.

    Raises:
        Exception: whatever the work raised; beside a loop it is raised where it is awaited.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return work(stop)
    if kernel() is not None:
        return work(stop)
    ending = stop or Stop()
    return PendingOutcome(loop.run_in_executor(None, work, ending), ending)


class PendingOutcome(Outcome):
    """An operation under way: await it for its outcome."""

    __slots__ = ("_stop", "_work")

    _work: asyncio.Future[Outcome]
    _stop: Stop

    def __init__(self, work: asyncio.Future[Outcome], stop: Stop) -> None:
        object.__setattr__(self, "_work", work)
        object.__setattr__(self, "_stop", stop)

    @property
    def summary(self) -> Summary:
        """How it ended."""
        return self._done().summary

    @property
    def events(self) -> tuple[OperationEvent, ...]:
        """What happened."""
        return self._done().events

    @property
    def deletions(self) -> Deletions:
        """What a plan has of them."""
        return self._done().deletions

    def __repr__(self) -> str:
        return repr(self._done()) if self._work.done() else "PendingOutcome: await it"

    def __await__(self) -> Generator[Any, None, Outcome]:
        return self._wait().__await__()

    async def _wait(self) -> Outcome:
        try:
            return await asyncio.shield(self._work)
        except asyncio.CancelledError:
            self._stop.ask()
            done, _ = await asyncio.wait([self._work], timeout=STEP_S)
            if not done:
                self._stop.ask()  # twice means: at once
            self._work.add_done_callback(lambda work: work.exception())  # no news: it was asked to
            raise

    def _done(self) -> Outcome:
        if not self._work.done():
            msg = "the operation is under way; await it, as in: await app.preview()"
            raise UsageError(msg)
        return self._work.result()
