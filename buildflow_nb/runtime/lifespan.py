"""Code of the flow around its run: before the first element or request, and after the last.

A sync function runs on a daemon thread of its own, an async one on the loop. All that are called
before a run have one deadline, and so have all that are called after it; code that does not come
back is left behind. What fails before the run fails it, what fails after it is logged.
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
SHUTDOWN_S = 10.0  # whoever stops a run waits for it

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

    async def end(self) -> None:
        """Call everything that comes after a run that has begun, once; never raises."""
        hooks = self._of(SHUTDOWN) if self._begun else []
        self._begun = False
        deadline = asyncio.get_running_loop().time() + SHUTDOWN_S
        for hook in hooks:
            try:
                async with asyncio.timeout_at(deadline) as limit:
                    await _call(hook)
            except BaseException as error:
                if is_cancel(error):
                    raise
                why = f"not done after {SHUTDOWN_S:g} s" if limit.expired() else describe(error)
                _LOGGER.error("%s failed: %s", hook, why, exc_info=error)  # noqa: TRY400

    def _of(self, word: str) -> list[Hook]:
        return [hook for hook in self._hooks().values() if hook.key[0] == word]


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
