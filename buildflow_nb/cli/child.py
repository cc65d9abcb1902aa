"""A program that is run for `run --reload`, and how it hangs on the process that watches its files.

Two pipes, given by descriptor in an environment variable: on one the program says that it is loaded
and then waits for its turn; the other is never written to by the watcher but once, and its end
means that the watcher is gone, however it went. Then the program drains as after a SIGTERM, so it
never outlives its watcher.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

__all__ = ("Child", "Leash")

LEASH = "BUILDFLOW_LEASH"  # "READ,WRITE": the descriptors
LOADED = b"loaded\n"
GO = b"go\n"
LOAD_S = 120.0  # imports of a big project; one that hangs does not hang its watcher
ORPHAN_DRAIN_S = 40.0  # longer than a run takes to drain; then nothing keeps it
DRAIN_S = 45.0  # and longer than that
KILL_S = 5.0
LOOK_EVERY_S = 0.1


class Child:
    """`buildflow WORDS` in a session of its own, as its watcher has it."""

    def __init__(self, words: Sequence[str]) -> None:
        turn, self._turn = os.pipe()
        self._told, told = os.pipe()
        # A file that is saved twice within a second would be found in its stale bytecode.
        environment = {
            **os.environ,
            LEASH: f"{turn},{told}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        try:
            self._process = subprocess.Popen(  # noqa: S603  (our own command)
                [sys.executable, "-m", "buildflow_nb.cli.main", *words],
                env=environment,
                pass_fds=(turn, told),
                start_new_session=True,
            )
        finally:
            os.close(turn)
            os.close(told)

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    @property
    def code(self) -> int:
        """How it ended; 128 + n where signal n did it."""
        code = self._process.wait(KILL_S)
        return 128 - code if code < 0 else code

    def loaded(self, stop: threading.Event) -> bool:
        """Wait until it has loaded its code; False if it cannot, or `stop` comes first."""
        deadline = time.monotonic() + LOAD_S
        while time.monotonic() < deadline and not stop.is_set():
            ready, _, _ = select.select([self._told], [], [], LOOK_EVERY_S)
            if ready:
                said = os.read(self._told, len(LOADED))
                return said == LOADED
        return False

    def go(self) -> None:
        """Let it begin."""
        with suppress(BrokenPipeError):  # it has ended meanwhile, which is seen by and by
            os.write(self._turn, GO)

    def drain(self, asked: Sequence[int]) -> int:
        """Tell it to finish, and wait until it has; a second signal in `asked` ends it at once."""
        if not self.ended:
            self._process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + DRAIN_S
        while time.monotonic() < deadline:
            try:
                self._process.wait(LOOK_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                if len(asked) > 1:
                    self._process.send_signal(signal.SIGTERM)  # its second, which ends it
                    break
        self.kill()
        return self.code

    def kill(self) -> None:
        """Let go of it, which ends it if it waits for its turn, and end it if it has not ended."""
        for descriptor in (self._turn, self._told):
            if descriptor >= 0:
                os.close(descriptor)
        self._turn = self._told = -1
        if not self.ended:
            try:
                self._process.wait(KILL_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(KILL_S)


class Leash:
    """The program's end of it."""

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
        time.sleep(ORPHAN_DRAIN_S)
        os._exit(128 + signal.SIGTERM)
