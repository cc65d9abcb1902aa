"""A bounded set of threads for a client that blocks.

Threads are daemons on purpose: a long poll that is still under way must not keep the process from
ending, as the threads of `concurrent.futures` do. They are made when a call finds none idle, so a
quiet source has one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ("Threads",)

T = TypeVar("T")


class Threads:
    """At most `most` calls at once; others wait, and their callers bound how many.

    `submit` works from any thread, also after `close`: what is on its way out may still have to
    give something back.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._alive = 0
        self._idle = 0
        self._closed = False

    def submit(self, call: Callable[[], T], *, urgent: bool = False) -> Future[T]:
        """Run `call` in a thread, before all that wait for one if it is urgent."""
        future: Future[T] = Future()
        add = self._jobs.appendleft if urgent else self._jobs.append
        with self._changed:
            add(lambda: _fulfil(future, call))
            if len(self._jobs) > self._idle and self._alive < self._most:
                self._alive += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            else:
                self._changed.notify()
        return future

    def close(self) -> None:
        """Let the threads end once all that was submitted is done; does not wait for it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                self._changed.wait_for(lambda: self._jobs or self._closed)
                self._idle -= 1
                if not self._jobs:
                    self._alive -= 1
                    return
                job = self._jobs.popleft()
            job()


def _fulfil(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001  (handed to whoever waits)
        future.set_exception(error)
    else:
        future.set_result(result)
