"""Interrupts that wait: a KeyboardInterrupt is never raised where Python would lose it.

While a module is imported, CPython runs callbacks of weak references on the same thread. An
interrupt that is raised in one of them is only printed ("Exception ignored in ..."), so that what a
person wanted to stop goes on; one that comes between two of its instructions keeps the lock of all
imports for ever. So whoever imports much right before work that must be stoppable does it here.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ("interrupts_held",)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let a SIGINT that comes during the block be handled at its end; nothing off the main thread.

    Raises:
        KeyboardInterrupt: at the end, if that is what the handler that was there does.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    came: list[FrameType | None] = []

    def hold(_: int, frame: FrameType | None) -> None:
        came.append(frame)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is hold:
            signal.signal(signal.SIGINT, handler)
        if came:
            handler(signal.SIGINT, came[0])
