"""How a program that is run for `run --reload` hangs on the process that watches its files.

Two pipes, given by descriptor in an environment variable: on one the program says that it is loaded
and then waits for its turn; the other is never written to by the watcher but once, and its end
means that the watcher is gone, however it went. Then the program drains as after a SIGTERM, so it
never outlives its watcher.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Self

__all__ = ("GO", "LEASH", "LOADED", "Leash")

LEASH = "BUILDFLOW_LEASH"  # "READ,WRITE": the descriptors
LOADED = b"loaded\n"
GO = b"go\n"
LOOK_EVERY_S = 0.2
DRAIN_S = 40.0  # longer than a run takes to drain; then nothing keeps it


class Leash:
    """The program's end."""

    def __init__(self, read: int, write: int) -> None:
        self._read = read
        self._write = write
        self._turn = threading.Event()
        threading.Thread(target=self._listen, name="buildflow leash", daemon=True).start()

    @classmethod
    def held(cls) -> Self | None:
        """The leash that this process is on, if it is; from now on it ends with its watcher."""
        told = os.environ.pop(LEASH, "")
        read, _, write = told.partition(",")
        if not (read.isdigit() and write.isdigit()):
            return None
        for descriptor in (int(read), int(write)):
            os.set_inheritable(descriptor, False)  # processes that it starts are not on it
        return cls(int(read), int(write))

    def wait_for_turn(self) -> None:
        """Say that all is loaded, and wait until the program before has drained."""
        os.write(self._write, LOADED)
        os.close(self._write)
        while not self._turn.wait(LOOK_EVERY_S):  # in steps, so that a signal is heard
            continue

    def _listen(self) -> None:
        if os.read(self._read, len(GO)) != GO:
            os._exit(0)  # nothing was begun: another takes its place, or the watcher is gone
        self._turn.set()
        os.read(self._read, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(DRAIN_S)
        os._exit(128 + signal.SIGTERM)
