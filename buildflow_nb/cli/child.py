"""A program that is run for `run --reload`, seen from the process that watches its files."""

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

from buildflow_nb.cli.leash import GO, LEASH, LOADED

__all__ = ("Child",)

LOAD_S = 120.0  # imports of a big project; one that hangs does not hang its watcher
DRAIN_S = 45.0  # longer than a run takes to drain
KILL_S = 5.0
LOOK_EVERY_S = 0.1


class Child:
    """`buildflow WORDS` in a session of its own."""

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
