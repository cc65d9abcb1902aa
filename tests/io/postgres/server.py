"""The local cloud's Postgres as a process of its own, which can be stopped, killed and started."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import asyncpg

__all__ = ("Server",)

PROGRAM = "buildflow_nb.local_cloud.postgres"
START_S = 30.0
STOP_S = 10.0
PASSWORD = "made/up:pass@word"  # noqa: S105


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """Keeps its state in a folder and its port for life."""

    def __init__(
        self, folder: Path, program: Sequence[str] = ("-m", PROGRAM), fsync: str = "off"
    ) -> None:
        self.folder = folder
        self._program = program
        self._fsync = fsync
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres:made%2Fup%3Apass%40word@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and wait until it serves."""
        words = ["--port", str(self.port), "--state", str(self.folder), "--fsync", self._fsync]
        self._process = subprocess.Popen(
            [sys.executable, "-P", *self._program, *words],
            env={**os.environ, "BUILDFLOW_POSTGRES_PASSWORD": PASSWORD},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.run("SELECT 1")
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                assert self._process.poll() is None, "it ended"
                assert time.monotonic() < deadline, "it did not start"
                time.sleep(0.05)
            else:
                return

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Ask it to end, as the local cloud does."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)
            assert process.wait(STOP_S) == 0

    def kill(self) -> None:
        """End it at once, without a chance to write anything."""
        process, self._process = self._process, None
        assert process is not None
        process.kill()
        process.wait(STOP_S)

    def url_of(self, database: str) -> str:
        """The URL of another database."""
        return self.url.removesuffix("postgres") + database

    def rows(self, query: str, *values: object, database: str = "postgres") -> list[Any]:
        """What a query gives."""

        async def go() -> list[Any]:
            connection = await asyncpg.connect(self.url_of(database), timeout=5, ssl=False)
            try:
                return [tuple(row) for row in await connection.fetch(query, *values)]
            finally:
                await connection.close(timeout=5)

        return _carried_out(go())

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Carry statements out, each by itself."""

        async def go() -> None:
            connection = await asyncpg.connect(self.url_of(database), timeout=5, ssl=False)
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close(timeout=5)

        _carried_out(go())


def _carried_out(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine gives, on a loop of its own: whoever asks may be on one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
