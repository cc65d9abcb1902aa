"""An exported program as a process of its own, asked over HTTP how it is."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Self

__all__ = ("COMMAND", "Program", "free_port")

START_S = 120
STOP_S = 60
LOOK_EVERY_S = 0.1
ENDED = ("done", "DONE")
COMMAND = (sys.executable, "-m", "buildflow_nb.cli.main")


class Program:
    """Runs while the context is open; `command` is the `buildflow` of where it was installed.

    `words` are said to `buildflow run`, besides where it is to serve.
    """

    def __init__(
        self, folder: Path, command: Sequence[str] = COMMAND, words: Sequence[str] = ()
    ) -> None:
        self.folder, self._command, self._words = folder, command, words
        self._port, self.runtime_port = free_port(), free_port()
        self._log = folder.parent / f"{folder.name}.log"

    def __enter__(self) -> Self:
        ports = ["--port", str(self._port), "--runtime-server-port", str(self.runtime_port)]
        words = [*self._command, "run", "--start-runtime-server", *ports, *self._words]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                words, cwd=self.folder, stdout=log, stderr=log, env=_environment()
            )
        self.until(lambda: self.control("/runtime/status")["status"] != "STARTING", START_S)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    @property
    def address(self) -> str:
        """Where its routes are."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text()

    def control(self, path: str):
        """What its runtime server answers."""
        token = os.environ.get("BUILDFLOW_RUNTIME_TOKEN", "")
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.runtime_port}{path}",
            headers={"Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=START_S) as answer:  # noqa: S310
            return json.load(answer)

    def processor(self, name: str):
        """The numbers of a processor."""
        found = self.control("/runtime/snapshot")["processors"]
        return next(one for one in found if one["processor_id"] == name)

    def until(self, condition, seconds: float) -> None:
        """Wait until something is so; errors of a program that does not answer yet are none."""
        end = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except OSError:
                pass
            if self._process.poll() is not None or time.monotonic() > end:
                raise AssertionError(self.log)
            time.sleep(LOOK_EVERY_S)

    def done(self, *names: str, seconds: float = 120) -> None:
        """Wait until these processors have come to their end."""
        self.until(lambda: all(self.processor(n)["state"] in ENDED for n in names), seconds)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def stop(self) -> int:
        """Ask it to stop, and give its exit code once it has."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end, and give its exit code."""
        return self._process.wait(STOP_S)


def free_port() -> int:
    """A port of the loopback address that nobody has at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _environment() -> dict[str, str]:
    """A terminal's, without what pytest adds."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV_"))}
