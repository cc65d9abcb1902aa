"""The one loop thread of this process: everything live runs there and nowhere else.

The kernel's own loop is never used nor patched: it stands still while a cell runs. The thread is a
daemon, so it cannot keep a process from ending; `atexit` gives what runs a moment to end cleanly.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ("AT_EXIT", "LoopThread", "loop_thread")

T = TypeVar("T")
CALL_TIMEOUT_S = 60.0  # a command that the loop does not answer in this time is given up
EXIT_TIMEOUT_S = 0.8  # of the second that a kernel leaves its processes for shutting down

AT_EXIT: set[Callable[[float], Coroutine[Any, Any, object]]] = set()
"""Coroutine functions to run at exit, each with the seconds that it has."""


class LoopThread:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self.loop = _new_loop()
        self._thread = threading.Thread(target=self._run, name="buildflow-loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout: float | None = CALL_TIMEOUT_S) -> T:
        """Run a coroutine there and wait for its result here.

        Raises:
            TimeoutError: it took more than `timeout` seconds; it is cancelled.
            Exception: whatever the coroutine raised.
        """
        if threading.current_thread() is self._thread:
            work.close()
            msg = "this blocks, and cannot be called from an async processor; use asyncio.to_thread"
            raise RuntimeError(msg)
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(timeout)
        except KeyboardInterrupt:
            future.cancel()
            raise
        except TimeoutError as error:
            if future.done():  # it is the work's own
                raise
            future.cancel()
            msg = f"no answer within {timeout:g} s; it was given up"
            raise TimeoutError(msg) from error

    def call(self, function: Callable[[], T], timeout: float | None = CALL_TIMEOUT_S) -> T:
        """Call a function there, as `run`."""

        async def work() -> T:
            return function()

        return self.run(work(), timeout)

    def spawn(self, work: Coroutine[Any, Any, object]) -> threading.Event:
        """Run a coroutine there; does not wait. Gives what is set when it is done."""
        done = threading.Event()
        asyncio.run_coroutine_threadsafe(work, self.loop).add_done_callback(lambda _: done.set())
        return done

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    made: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return made


_lock = threading.Lock()
_thread: LoopThread | None = None


def loop_thread() -> LoopThread:
    """The loop thread of this process, started on first use."""
    global _thread  # noqa: PLW0603  (one a process, by design)
    with _lock:
        if _thread is None:
            _thread = LoopThread()
            atexit.register(_at_exit, _thread)
        return _thread


def _at_exit(thread: LoopThread) -> None:
    if AT_EXIT:
        with suppress(Exception):
            thread.run(_end_all(), EXIT_TIMEOUT_S + 0.2)


async def _end_all() -> None:
    await asyncio.gather(*(end(EXIT_TIMEOUT_S) for end in AT_EXIT), return_exceptions=True)
