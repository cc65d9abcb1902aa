"""Blocking on a run in a script: the first SIGINT or SIGTERM drains, the second ends at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from buildflow_nb.runtime.handle import RunHandle

__all__ = ("serve_until_ended",)

DRAIN_S = 30.0
LOOK_EVERY_S = 0.2
ENDED_BY_SIGNAL = 128  # plus the signal's number: the shell's convention for an exit code


def serve_until_ended(begin: Callable[[], RunHandle]) -> RunHandle:
    """Begin a run and wait for its end; drain it when asked to stop, at whatever stage it is.

    Raises:
        RunError: a processor failed, or every element did.
    """
    asked = threading.Event()

    def ask(number: int, frame: object) -> None:  # noqa: ARG001  (a signal handler's signature)
        if asked.is_set():
            sys.stderr.write("ended at once\n")
            sys.stderr.flush()
            _exit_now(ENDED_BY_SIGNAL + number)
        asked.set()
        sys.stderr.write("draining; once more ends at once\n")

    with _signals(ask):
        handle = begin()
        while handle.running and not asked.is_set():
            handle.wait_a_moment(LOOK_EVERY_S)
        if asked.is_set():
            handle.stop(drain=True, timeout=DRAIN_S)
        handle.wait()
        handle.raise_if_nothing_worked()
    return handle


def _exit_now(code: int) -> None:
    os._exit(code)  # threads of user code may be stuck; nothing may hold this up


@contextmanager
def _signals(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Handle SIGINT and SIGTERM, where that is possible (only the main thread can)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
