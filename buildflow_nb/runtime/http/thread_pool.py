"""Threads that run a route's sync functions: hired when needed, kept, never waited for.

A thread that is stuck in user code is left behind: it is a daemon, and holds neither the loop nor
the end of the process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from buildflow_nb.runtime.concurrency.worker_thread import WorkerThread
from buildflow_nb.runtime.observability.logs import LogRing, context_of

__all__ = ("MAX_THREADS", "ThreadPool")

MAX_THREADS = 32  # of a route: more only take turns at the interpreter's lock

T = TypeVar("T")


class ThreadPool:
    """Up to `size` workers; jobs beyond wait for one to be free."""

    def __init__(self, name: str, ring: LogRing, size: int = MAX_THREADS) -> None:
        self._name = name
        self._size = size
        self._idle: list[WorkerThread] = []
        self._all: list[WorkerThread] = []
        self._wanted: deque[asyncio.Future[WorkerThread]] = deque()
        self._context = context_of(ring)

    async def run(self, job: Callable[[], T]) -> T:
        """Run a job on a free thread.

        If this is cancelled the job goes on, and its thread is free only when it ends.

        Raises:
            Exception: whatever the job raised.
        """
        worker = await self._hire()
        future = worker.submit(job)
        future.add_done_callback(lambda done: self._return(worker, done))
        return await asyncio.shield(future)

    def close(self) -> None:
        """End every thread after the job it is at; does not wait."""
        for worker in self._all:
            worker.close()
        while self._wanted:
            self._wanted.popleft().cancel()

    async def _hire(self) -> WorkerThread:
        if self._idle:
            return self._idle.pop()
        if len(self._all) < self._size:
            worker = WorkerThread(f"{self._name}-{len(self._all)}", self._context.copy())
            self._all.append(worker)
            return worker
        wanted: asyncio.Future[WorkerThread] = asyncio.get_running_loop().create_future()
        self._wanted.append(wanted)
        try:
            return await wanted
        except asyncio.CancelledError:
            if wanted.done() and not wanted.cancelled():
                self._free(wanted.result())
            raise

    def _return(self, worker: WorkerThread, done: asyncio.Future[T]) -> None:
        if not done.cancelled():
            done.exception()  # taken note of, even where nobody waits for it any more
        self._free(worker)

    def _free(self, worker: WorkerThread) -> None:
        while self._wanted:
            wanted = self._wanted.popleft()
            if not wanted.done():
                wanted.set_result(worker)
                return
        self._idle.append(worker)
