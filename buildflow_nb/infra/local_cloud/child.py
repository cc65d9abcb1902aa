"""A process that the supervisor keeps running: an emulator, with its log and its port.

It is started in a session of its own, so that an interrupt of a terminal does not reach it, and it
is started again, at the same port, whenever it ends by itself: at once if it ran well before, after
growing pauses if it keeps falling over. What it says is appended to a log file, which the
supervisor keeps bounded. Its environment is chosen: no credential of the user's is in it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from buildflow_nb.core.errors import InfraError
from buildflow_nb.infra.local_cloud.ports import HOST
from buildflow_nb.infra.local_cloud.record import ProcessId

__all__ = ("Child", "Command", "clean_environment")

READY_S = 30.0  # emulators answer within a second on an idle machine
ASK_EVERY_S = 0.02
STOP_S = 10.0  # to write its state
AGAIN_S = (0.1, 1.0, 5.0)  # pauses before it is started again; the last one repeats
HEALTHY_S = 60.0  # one that ran for so long did not end of what ended it before
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "PYTHONPATH")

log = logging.getLogger(__name__)


def clean_environment() -> dict[str, str]:
    """What every process needs of the environment, and nothing of the user's accounts."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


@dataclass(frozen=True, slots=True)
class Command:
    """How to start an emulator, and the port where it listens once it is ready.

    `after` names another one that has to be ready first.
    """

    name: str
    words: Sequence[str]
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    after: str = ""


class Child:
    """An emulator's process; used on the supervisor's loop.

    `note` is called whenever another process runs; `clock` tells seconds. `restarts` counts those
    since it last ran for `HEALTHY_S`.
    """

    def __init__(
        self,
        command: Command,
        logs: Path,
        note: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.command = command
        self.restarts = 0
        self._log = logs / f"{command.name}.log"
        self._note = note
        self._clock = clock
        self._began = clock()
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()

    @property
    def process(self) -> ProcessId | None:
        """The process at this moment."""
        import psutil

        if self._process is None or self._process.returncode is not None:
            return None
        try:
            return ProcessId(self._process.pid, psutil.Process(self._process.pid).create_time())
        except psutil.Error:
            return None

    async def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            InfraError: it ended, or did not answer in time; names its log.
        """
        await self._spawn()
        await self._ready()
        self.ready.set()
        self._watch = asyncio.create_task(self._keep_up(), name=f"keep {self.command.name} up")

    async def stop(self, *, kept: bool = True) -> None:
        """Ask it to end and wait; kill it if it does not, or if its state is not to be kept."""
        if self._watch is not None:
            self._watch.cancel()
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM if kept else signal.SIGKILL)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _spawn(self) -> None:
        with self._log.open("ab") as file:
            self._began = self._clock()
            self._process = await asyncio.create_subprocess_exec(
                *self.command.words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**clean_environment(), **self.command.environment},
                start_new_session=True,
            )
        self._note()

    async def _ready(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_S
        while not await _accepts(self.command.port):
            ended = self._process is None or self._process.returncode is not None
            if ended or loop.time() > deadline:
                await self.stop()
                what = "ended at once" if ended else f"did not answer in {READY_S:g} s"
                msg = f"the local cloud's {self.command.name} {what}; its log: {self._log}"
                raise InfraError(msg)
            await asyncio.sleep(ASK_EVERY_S)

    async def _keep_up(self) -> None:
        while self._process is not None:
            code = await self._process.wait()
            if self._clock() - self._began >= HEALTHY_S:
                self.restarts = 0
            pause = AGAIN_S[min(self.restarts, len(AGAIN_S) - 1)]
            self.restarts += 1
            what = "%s ended with code %s and is started again in %g s (restart %d); its log: %s"
            log.warning(what, self.command.name, code, pause, self.restarts, self._log)
            await asyncio.sleep(pause)
            try:
                await self._spawn()
            except OSError as error:  # a lack of memory or files passes; the pauses grow
                log.warning("%s cannot be started: %s", self.command.name, error)


async def _accepts(port: int) -> bool:
    """Whether something listens at a port of the loopback."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(HOST, port), 1.0)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
