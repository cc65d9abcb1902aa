"""The driver's process, from its host's side: started, watched, and cleared away.

It runs in a session of its own, so that an interrupt in a terminal does not reach it. It tells the
processes that it starts, with when each began, so that they can be ended for it if it is killed;
none that has got the number of one of them is touched.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from buildflow_nb.core.process_id import ProcessId, end
from buildflow_nb.runtime.ray.addresses import Address
from buildflow_nb.runtime.ray.messages import Channel, FromDriver
from buildflow_nb.runtime.ray.settings import LOG, environment, left_in, make_folder, remove_folder

__all__ = ("DriverProcess",)

DRIVER = "buildflow_nb.runtime.ray.driver"
LEFT_S = 3.0  # for processes to end by themselves
TAIL = 2000  # bytes
SAID = 300  # letters


class DriverProcess:
    """A driver that runs, or has run."""

    def __init__(
        self, process: asyncio.subprocess.Process, channel: Channel, folder: Path, address: Address
    ) -> None:
        self._process = process
        self._folder = folder
        self._address = address
        self._family: set[ProcessId] = set()
        self.channel = channel

    @classmethod
    async def start(
        cls, address: Address, replica: str, cpus: float, patience_s: float
    ) -> DriverProcess:
        """Start one.

        Raises:
            OSError: there is no memory, or no place on the disk.
        """
        folder = await asyncio.to_thread(make_folder)
        ours, theirs = socket.socketpair()
        try:
            words = [
                *("--connection", str(theirs.fileno()), "--host", str(os.getpid())),
                *("--folder", str(folder), "--replica", replica, "--patience", str(patience_s)),
                *("--address", address.text or "local", "--cpus", str(cpus)),
            ]
            log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", DRIVER, *words),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment(address, folder),
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            finally:
                os.close(log)
            ours.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            remove_folder(folder)
            raise
        finally:
            theirs.close()
        return cls(process, Channel(reader, writer, FromDriver), folder, address)

    @property
    def pid(self) -> int:
        """The driver."""
        return self._process.pid

    def told(self, living: list[tuple[int, float]]) -> None:
        """The driver has told what processes it has."""
        self._family = {ProcessId(*one) for one in living}

    async def ended(self, timeout_s: float) -> bool:
        """Wait until it has ended, and tell whether it has."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._process.wait()
        return self._process.returncode is not None

    async def last_words(self) -> str:
        """How it ended, and what its log says at its end, in one line."""
        code = self._process.returncode
        if code is None:
            how = "the driver of Ray does not answer"
        elif code < 0:
            how = f"the driver of Ray was ended by {_signal(-code)}"
        else:
            how = f"the driver of Ray ended with code {code}"
        return f"{how}{await self.log_end()}"

    async def log_end(self) -> str:
        """What its log says at its end, to be put behind what is known; "" if it says nothing."""
        said = await asyncio.to_thread(self._tail)
        return f", and its log ends: {said}" if said else ""

    def _tail(self) -> str:
        try:
            with (self._folder / LOG).open("rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL))
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        said = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
        said = _ORIGIN.sub("", said)
        return "".join(letter for letter in said if letter.isprintable())[:SAID]

    async def clear(self, patience_s: float = 0.0) -> None:
        """Leave nothing of it, no process and no file; so long it may end by itself first.

        Never raises.
        """
        if not await self.ended(patience_s):
            # Once it is gone, nobody can tell any more what was its.
            self._family.update(await asyncio.to_thread(self._descendants))
            with suppress(ProcessLookupError):
                self._process.kill()
            await self.ended(LEFT_S)
        self.channel.close()
        if self._address.own:
            await asyncio.to_thread(end, self._family, LEFT_S)
            await asyncio.to_thread(end, left_in(self._folder), LEFT_S)
        await asyncio.to_thread(remove_folder, self._folder)

    def _descendants(self) -> list[ProcessId]:
        import psutil

        found = []
        with suppress(psutil.Error):
            for one in psutil.Process(self.pid).children(recursive=True):
                with suppress(psutil.Error):
                    found.append(ProcessId(one.pid, one.create_time()))
        return found


_ORIGIN = re.compile(r"^\[[^\]]*\] \S+: ")  # when, and where in Ray's own code


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
