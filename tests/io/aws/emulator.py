"""ministack as a process of its own, on a port of this machine, as the local cloud starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Self

__all__ = ("Emulator", "free_port")

START_S = 20.0
STOP_S = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Emulator:
    """Keeps its state in a folder, so that it can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:  # it would wait for the long polls that are under way
            self._process.kill()
            self._process.wait()

    def start(self) -> None:
        """Start, and wait until it answers."""
        words = {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": "127.0.0.1",
            "LOG_LEVEL": "WARNING",
            "PERSIST_STATE": "1",
            "S3_PERSIST": "1",
            "STATE_DIR": str(self._folder / "state"),
            "S3_DATA_DIR": str(self._folder / "s3"),
            "TMPDIR": str(self._folder),
        }
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "buildflow_nb.local_cloud.ministack"],
                env={**os.environ, **words},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                text = (self._folder / "log").read_text()
                msg = f"ministack did not start: {text[-2000:]}"
                raise RuntimeError(msg)
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask it to end, which writes its state."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=1) as reply:  # noqa: S310
                return bool(reply.status == 200)
        except OSError:
            return False
