"""A host whose replicas are child processes of the tests: all that an engine asks of one."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from buildflow_nb.runtime.replicas.host import GoneError, Wants

from .child import write

ROOT = Path(__file__).parents[2]


class ChildHosted:
    """A replica in a child process."""

    node = ""

    def __init__(self, name: str, fence_s: float) -> None:
        calls, self._calls = os.pipe()
        self._answers, answers = os.pipe()
        words = [sys.executable, "-m", "tests.replicas.child", str(calls), str(answers), name]
        self.process = subprocess.Popen(
            [*words, str(fence_s)], pass_fds=(calls, answers), cwd=ROOT, start_new_session=True
        )
        os.close(calls)
        os.close(answers)
        self._number = 0
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._reader: asyncio.Task[None] | None = None
        self.fails = ""  # a method that is not answered as it should be
        self.longest = 0  # bytes of an answer

    @property
    def pid(self) -> int:
        return self.process.pid

    def begin(self) -> None:
        self._reader = asyncio.create_task(self._read())

    async def call(self, method: str, payload: bytes, timeout_s: float) -> bytes:
        if self._reader is None or self._reader.done():
            raise self._gone()
        if method == self.fails:
            raise TimeoutError(method)
        self._number += 1
        waiting = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        name = method.encode()
        head = struct.pack("!III", self._number, len(name), len(payload))
        try:
            await asyncio.to_thread(write, self._calls, head + name + payload)
        except OSError as error:
            raise self._gone() from error
        answer = await asyncio.wait_for(waiting, timeout_s)
        self.longest = max(self.longest, len(answer))
        return answer

    def beat(self) -> None:
        with suppress(OSError):
            write(self._calls, struct.pack("!III", 0, 4, 0) + b"beat")

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        await asyncio.to_thread(self.process.wait)
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=5.0)
        for fd in (self._calls, self._answers):
            with suppress(OSError):
                os.close(fd)
        self._calls = self._answers = -1

    def _gone(self) -> GoneError:
        return GoneError(f"process {self.pid} has ended")

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 26)
        pipe = os.fdopen(os.dup(self._answers), "rb")
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            while True:
                number, size = struct.unpack("!II", await reader.readexactly(8))
                reply = await reader.readexactly(size)
                waiting = self._waiting.pop(number, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(reply)
        except asyncio.IncompleteReadError:
            pass
        finally:
            transport.close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(self._gone())


class ChildHost:
    """Makes them, on this machine."""

    def __init__(self, room: int = 8, fence_s: float = 30.0, *, beats: bool = True) -> None:
        self.room = room
        self.hosted: list[ChildHosted] = []
        self.wants: list[Wants] = []
        self._fence_s = fence_s
        self._beats = beats
        self._beating: asyncio.Task[None] | None = None
        self.opened = self.closed = 0

    async def open(self, on_lost: Callable[[str], None]) -> None:
        self.on_lost = on_lost
        self.opened += 1
        self._beating = asyncio.create_task(self._beat())

    async def spawn(self, name: str, wants: Wants, on_wait: Callable[[str], None]) -> ChildHosted:
        while sum(one.process.poll() is None for one in self.hosted) >= self.room:
            on_wait("needs 1 CPU, and none is free")
            await asyncio.sleep(0.05)
        on_wait("")
        self.wants.append(wants)
        hosted = ChildHosted(name, self._fence_s)
        hosted.begin()
        self.hosted.append(hosted)
        return hosted

    async def close(self) -> None:
        self.closed += 1
        if self._beating is not None:
            self._beating.cancel()
        await asyncio.gather(*(one.kill() for one in self.hosted if one.process.poll() is None))

    @property
    def longest(self) -> list[int]:
        return [one.longest for one in self.hosted]

    def alive(self) -> list[ChildHosted]:
        return [one for one in self.hosted if one.process.poll() is None]

    async def _beat(self) -> None:
        while self._beats:
            for one in self.alive():
                one.beat()
            await asyncio.sleep(1.0)
