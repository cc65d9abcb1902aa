"""Code of the flow around its run: before the first element or request, and after the last.

A sync function runs on a daemon thread of its own, an async one on the loop. All that are called
before a run have one deadline. Those that are called after it share the time that a stop leaves
them, so that each is called whatever the ones before it do; code that does not come back is left
behind. What fails before the run fails it, what fails after it is logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from buildflow_nb.core.declaring.hooks import SHUTDOWN, STARTUP, Hook, Hooks
from buildflow_nb.core.errors import RunError
from buildflow_nb.runtime.concurrency.calls import contained, is_cancel
from buildflow_nb.runtime.concurrency.worker_thread import WorkerThread
from buildflow_nb.runtime.observability.tracebacks import describe

__all__ = ("Lifespan",)

STARTUP_S = 600.0  # to load a model takes minutes; what takes longer hangs
SHUTDOWN_S = 10.0  # for all of them: whoever stops a run waits for it
SHARE_S = 1.0  # kept for each that is still to be called; and for all, where a stop leaves nothing

_LOGGER = logging.getLogger("buildflow_nb.run")


class Lifespan:
    """Calls what a flow has declared, as it is declared at that time; used on the loop."""

    def __init__(self, hooks: Callable[[], Hooks]) -> None:
        self._hooks = hooks
        self._begun = False

    @property
    def startup_s(self) -> float:
        """Seconds that what comes before a run may take: none, where there is nothing."""
        return STARTUP_S if self._of(STARTUP) else 0.0

    @property
    def has_end(self) -> bool:
        """Whether there is something to call at the end."""
        return self._begun and bool(self._of(SHUTDOWN))

    async def begin(self) -> None:
        """Call everything that comes before a run.

        Raises:
            RunError: something failed, or took too long.
        """
        deadline = asyncio.get_running_loop().time() + STARTUP_S
        for hook in self._of(STARTUP):
            try:
                async with asyncio.timeout_at(deadline) as limit:
                    await _call(hook)
            except BaseException as error:
                if is_cancel(error):
                    raise
                why = f"not done after {STARTUP_S:g} s" if limit.expired() else describe(error)
                msg = f"the run did not begin: {hook} failed: {why}"
                raise RunError(msg) from error
        self._begun = True

    async def end(self, within_s: float = SHUTDOWN_S) -> None:
        """Call everything that comes after a run that has begun, once; never raises.

        It takes `within_s` seconds at the most, where these are not less than `SHARE_S`.
        """
        hooks = self._of(SHUTDOWN) if self._begun else []
        self._begun = False
        now = asyncio.get_running_loop().time
        deadline = now() + min(SHUTDOWN_S, max(within_s, SHARE_S))
        for after, hook in zip(reversed(range(len(hooks))), hooks, strict=True):
            left = max(deadline - now(), 0.0)
            await _call_last(hook, left - after * min(SHARE_S, left / (after + 1)))

    def _of(self, word: str) -> list[Hook]:
        return [hook for hook in self._hooks().values() if hook.key[0] == word]


async def _call_last(hook: Hook, seconds: float) -> None:
    """Call a function that may fail, or hang: what it holds on to is not waited for."""
    work = asyncio.create_task(_call(hook), name=f"{hook.key[0]} {hook.name}")
    try:
        await asyncio.wait({work}, timeout=seconds)
    finally:
        if not work.done():
            work.cancel()
            work.add_done_callback(_look_away)
    if not work.done():
        _LOGGER.error("%s was given up: not done after %.2g s", hook, seconds)
        return
    error = asyncio.CancelledError() if work.cancelled() else work.exception()
    if error is not None:
        _LOGGER.error("%s failed: %s", hook, describe(error), exc_info=error)


def _look_away(work: asyncio.Task[None]) -> None:
    """What becomes of code that was given up, nobody waits for."""
    if not work.cancelled():
        work.exception()


async def _call(hook: Hook) -> None:
    """Call a function, in a thread if it is sync.

    Raises:
        Exception: whatever it raised.
    """
    if hook.is_async:
        await contained(hook.target())
        return
    thread = WorkerThread(f"{hook.key[0]} {hook.name}")
    try:
        await thread.submit(hook.target)
    finally:
        thread.close()
