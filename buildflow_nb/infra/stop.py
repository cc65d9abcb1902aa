"""A way to end an operation from another thread than the one that waits for it.

An interrupt (■, Ctrl-C) reaches the main thread alone; a button has a `Stop`, which means the
same: asked once, the engine ends after the step under way; twice, it is killed; before the start,
nothing begins. One `Stop` belongs to one operation, with its preview and its question.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ("Stop",)


class Stop:
    """Asked from any thread, heard by whatever operation it was given to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times = 0
        self._interrupt: Callable[[], None] | None = None

    @property
    def asked(self) -> bool:
        """Whether somebody asked."""
        return self._times > 0

    def ask(self) -> None:
        """End after the step under way; asked again, at once. Returns immediately."""
        with self._lock:
            self._times += 1
            if self._interrupt is not None:
                self._interrupt()

    @contextmanager
    def heard_by(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Call `interrupt` for each time that it is asked, and was asked before, until the end.

        It is called under a lock, so it must neither block nor ask.
        """
        with self._lock:
            for _ in range(self._times):
                interrupt()
            self._interrupt = interrupt
        try:
            yield
        finally:
            with self._lock:
                self._interrupt = None
