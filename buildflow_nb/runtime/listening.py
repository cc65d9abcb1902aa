"""Listening to a processor of a run for a while, from any thread: tapped, recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from buildflow_nb.core.status.snapshot import LOOK_TIMEOUT_S
from buildflow_nb.runtime.concurrency.loop import LoopThread
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.recording import Recorder

__all__ = ("LOOK_EVERY_S", "record", "tap")

LOOK_EVERY_S = 0.05  # how often a wait looks at what nothing announces; seldom if that is long


def tap(
    ledger: Ledger,
    count: int,
    enough: Callable[[int], bool],
    thread: LoopThread,
    ended: threading.Event,
) -> None:
    """Keep the last `count` passages from now on, and wait as `RunHandle.tap` says."""
    thread.call(lambda: ledger.keep_last(count), LOOK_TIMEOUT_S)
    while not enough(len(ledger.passages)) and not ledger.state.ended:
        if ended.wait(LOOK_EVERY_S / 2):
            return


def record(
    ledger: Ledger,
    recorder: Recorder,
    timeout_s: float,
    thread: LoopThread,
    ended: threading.Event,
) -> None:
    """Let a recorder hear of the next inputs, until it is full or the time is up.

    Raises:
        UsageError: the processor does not run, or is being recorded.
    """

    def end() -> None:
        ledger.recorder = None

    thread.call(lambda: ledger.listen(recorder), LOOK_TIMEOUT_S)
    deadline = time.monotonic() + timeout_s
    try:
        while not recorder.full.wait(LOOK_EVERY_S):
            if time.monotonic() >= deadline or ledger.state.ended or ended.is_set():
                break
    finally:
        thread.call(end, LOOK_TIMEOUT_S)
