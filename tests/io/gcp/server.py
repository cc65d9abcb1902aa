"""The local cloud's Pub/Sub server as a process of its own, which can be stopped and started."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

__all__ = ("Server",)

STOP_S = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """Keeps its state in a folder and its port for life."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[str] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and wait until it serves."""
        words = ["--port", str(self._port), "--state", str(self._folder)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "buildflow_nb.local_cloud.pubsub", *words],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert json.loads(self._process.stdout.readline()) == {"port": self._port}

    def stop(self) -> None:
        """Ask it to end, which writes its state."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.communicate(timeout=STOP_S)
