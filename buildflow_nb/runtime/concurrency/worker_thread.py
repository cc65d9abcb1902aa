"""Threads that run user code, so that a slow or stuck function never holds the loop.

Each `WorkerThread` is one daemon thread with an inbox. Work goes in and results come back in whole
batches: the loop is woken once for all results that are ready, because a wake-up costs as much as
processing hundreds of elements. The threads are daemons of our own, not an executor's: a function
that sleeps for ever must not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from buildflow_nb.runtime.observability.tracebacks import harmless

__all__ = ("WorkerThread",)

T = TypeVar("T")
Job = Callable[[], object]


class WorkerThread:
    """One thread; jobs run in the order in which they were given."""

    def __init__(self, name: str, context: contextvars.Context | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[tuple[Job, asyncio.Future[Any]] | None] = SimpleQueue()
        self._finished: deque[tuple[asyncio.Future[Any], object, BaseException | None]] = deque()
        self._woken = False
        self._lock = threading.Lock()
        context = context or contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._work,), name=name, daemon=True
        )
        self._thread.start()

    def submit(self, job: Callable[[], T]) -> asyncio.Future[T]:
        """Queue a job; its result comes in the future, on the loop that made this worker.

        `SystemExit` from a job arrives as the future's `RuntimeError`, since raising it in a task
        would end the loop.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((job, future))
        return future

    def close(self) -> None:
        """End the thread after the job it is at; does not wait."""
        self._jobs.put(None)

    @property
    def alive(self) -> bool:
        """Whether the thread still runs (a closed worker may be stuck in its last job)."""
        return self._thread.is_alive()

    def _work(self) -> None:
        while (entry := self._jobs.get()) is not None:
            job, future = entry
            if future.cancelled():
                continue
            try:
                result, error = job(), None
            except BaseException as caught:  # noqa: BLE001  (user code; it must reach the future)
                result, error = None, harmless(caught)
            if not self._report(future, result, error):
                return
            # While this waits, and in a traceback of user code, its frame would keep them alive.
            del entry, job, future, result, error

    def _report(self, future: asyncio.Future[Any], result: object, error: object) -> bool:
        with self._lock:
            self._finished.append((future, result, error))  # type: ignore[arg-type]
            if self._woken:
                return True
            self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._settle)
        except RuntimeError:  # the loop is closed: nobody waits for this any more
            return False
        return True

    def _settle(self) -> None:
        with self._lock:
            self._woken = False
            finished, self._finished = self._finished, deque()
        for future, result, error in finished:
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)
