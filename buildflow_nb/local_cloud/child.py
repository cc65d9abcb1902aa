"""A process that the supervisor keeps running: an emulator, with its log and its ports.

It is started in a session of its own, so that an interrupt of a terminal does not reach it, and it
is started again, at the same ports, whenever it ends by itself: at once if it ran well before,
after growing pauses if it keeps falling over. It is ready when it is this process that listens at
its ports; where a stranger does, it is ended, and never started there again. What it says is
appended to a log file, which the supervisor keeps bounded. Its environment is chosen: no credential
of the user's is in it.
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
from buildflow_nb.core.process_id import ProcessId
from buildflow_nb.core.project_folder import open_private
from buildflow_nb.local_cloud.listener import Listener, listener
from buildflow_nb.local_cloud.ports import is_taken

__all__ = ("Child", "Command", "PortTakenError", "clean_environment")

READY_S = 30.0  # emulators answer within a second on an idle machine
ASK_EVERY_S = 0.02
STOP_S = 10.0  # to write its state
AGAIN_S = (0.1, 1.0, 5.0)  # pauses before it is started again; the last one repeats
HEALTHY_S = 60.0  # one that ran for so long did not end of what ended it before
_KEPT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "PYTHONPATH"),
    "BUILDFLOW_POSTGRES_FSYNC",  # what a person may set for the local cloud's servers
)

log = logging.getLogger(__name__)


def clean_environment() -> dict[str, str]:
    """What every process needs of the environment, and nothing of the user's accounts."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


class PortTakenError(InfraError):
    """Another process has ports that an emulator was told to listen at."""

    def __init__(self, name: str, ports: tuple[int, ...]) -> None:
        told = ", ".join(map(str, ports))
        super().__init__(f"port {told} of the local cloud's {name} was taken by another process")
        self.ports = ports


@dataclass(frozen=True, slots=True)
class Command:
    """How to start an emulator, and the ports where it listens once it is ready.

    `after` names another one that has to be ready first. `stop_signal` asks it to end.
    `listening` gives the ports of a process id that are known to be its own, where the system may
    not say whose they are.
    """

    name: str
    words: Sequence[str]
    ports: tuple[int, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    after: str = ""
    stop_signal: signal.Signals = signal.SIGTERM
    listening: Callable[[int], set[int]] = lambda _pid: set()


class Child:
    """An emulator's process; used on the supervisor's loop.

    `note` is called whenever another process runs; `clock` tells seconds. `restarts` counts those
    since it last ran for `HEALTHY_S`. `on_taken` is called when it could not come back, since
    another process has its ports by now.
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
        self.on_taken: Callable[[PortTakenError], None] = lambda _: None
        self._clock = clock
        self._began = clock()
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()

    @property
    def process(self) -> ProcessId | None:
        """The process at this moment."""
        if self._process is None or self._process.returncode is not None:
            return None
        return ProcessId.of(self._process.pid)

    async def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            PortTakenError: another process listens in its place.
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
        await self._end(kept=kept)

    async def _end(self, *, kept: bool = True) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(self.command.stop_signal if kept else signal.SIGKILL)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _spawn(self) -> None:
        handle = open_private(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with os.fdopen(handle, "ab") as file:
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
        while (found := await self._found()) is not Listener.OURS:
            ended = self._process is None or self._process.returncode is not None
            if ended or found is Listener.STRANGER or loop.time() > deadline:
                await self._end()
                raise self._not_ready(ended=ended)
            await asyncio.sleep(ASK_EVERY_S)

    async def _found(self) -> Listener:
        if self._process is None or self._process.returncode is not None:
            return Listener.NOBODY
        return await listener(self._process.pid, self.command.ports, self.command.listening)

    def _not_ready(self, *, ended: bool) -> InfraError:
        taken = tuple(port for port in self.command.ports if is_taken(port))
        if taken:
            return PortTakenError(self.command.name, taken)
        what = "ended at once" if ended else f"did not answer in {READY_S:g} s"
        return InfraError(f"the local cloud's {self.command.name} {what}; its log: {self._log}")

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
                await self._ready()
            except OSError as error:  # a lack of memory or files passes; the pauses grow
                log.warning("%s cannot be started: %s", self.command.name, error)
            except PortTakenError as error:
                log.warning("%s", error)
                self.on_taken(error)
                return
            except InfraError as error:
                log.warning("%s", error)
