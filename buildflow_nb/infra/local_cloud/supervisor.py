"""Keeps the local cloud of one project folder: emulators, the engine's providers, leases.

One supervisor holds the folder's lock; a second one ends at once. It publishes where everything is
when all of it answers, starts again what falls over, and stops, with its state written, on SIGTERM
or when for `IDLE_S` no living process holds a lease. Processes that an earlier supervisor left
behind when it was killed are ended first.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from pathlib import Path

import psutil

from buildflow_nb.infra.local_cloud.child import Child
from buildflow_nb.infra.local_cloud.emulators import PORTS, commands, endpoints
from buildflow_nb.infra.local_cloud.lease import living_leases
from buildflow_nb.infra.local_cloud.ports import choose_ports
from buildflow_nb.infra.local_cloud.provider.server import ProviderServers
from buildflow_nb.infra.local_cloud.record import (
    CloudRecord,
    ProcessId,
    this_process,
    write_record,
)

__all__ = ("Supervisor",)

IDLE_S = 600.0
LOOK_EVERY_S = 2.0
LEFT_S = 5.0  # for a process that was left behind to end

log = logging.getLogger(__name__)


class Supervisor:
    """The local cloud of a folder (`.buildflow/local`)."""

    def __init__(self, folder: Path, idle_s: float = IDLE_S) -> None:
        self._folder = folder
        self._idle_s = idle_s
        self._children: list[Child] = []
        self._providers = ProviderServers()
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Run until asked to stop, or until nobody needs it.

        Raises:
            InfraError: an emulator did not start.
        """
        loop = asyncio.get_running_loop()
        for which in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(which, self._ended.set)
        _end_left(self._folder)
        async with AsyncExitStack() as stack:
            stack.callback(self._withdraw)
            stack.push_async_callback(self._stop_children)
            stack.callback(self._providers.stop)
            await self._start()
            await self._watch()
            log.info("stopping")
        log.info("stopped; the state is kept in %s", self._folder)

    async def _start(self) -> None:
        ports = choose_ports(self._folder, PORTS)
        where = endpoints(ports)
        logs = self._folder / "logs"
        self._children = [
            Child(command, logs, self._note) for command in commands(self._folder, ports)
        ]
        async with asyncio.TaskGroup() as group:
            for child in self._children:
                group.create_task(self._start_child(child))
            providers = group.create_task(asyncio.to_thread(self._providers.start))
        write_record(self._folder, CloudRecord(this_process(), where, providers.result()))
        log.info("ready: %s", where)

    async def _start_child(self, child: Child) -> None:
        for other in self._children:
            if other.command.name == child.command.after:
                await other.ready.wait()
        await child.start()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        needed = loop.time()
        while not self._ended.is_set():
            if living_leases(self._folder):
                needed = loop.time()
            elif loop.time() - needed > self._idle_s:
                log.info("nobody has used it for %g s", self._idle_s)
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), LOOK_EVERY_S)

    async def _stop_children(self) -> None:
        # Who tells others what happens stops before them, so that the last event arrives.
        first = [child for child in self._children if child.command.after]
        rest = [child for child in self._children if not child.command.after]
        for children in (first, rest):
            await asyncio.gather(*(child.stop() for child in children))
        (self._folder / "children.json").unlink(missing_ok=True)

    def _withdraw(self) -> None:
        (self._folder / "cloud.json").unlink(missing_ok=True)

    def _note(self) -> None:
        """Write down which processes run, for a supervisor that finds them left behind."""
        living = [child.process for child in self._children]
        text = json.dumps([asdict(process) for process in living if process is not None])
        (self._folder / "children.json").write_text(text, encoding="utf-8")


def _end_left(folder: Path) -> None:
    """End what a supervisor that was killed left behind."""
    try:
        found = json.loads((folder / "children.json").read_text(encoding="utf-8"))
        left = [ProcessId(**process) for process in found]
    except (OSError, ValueError, TypeError):
        return
    processes = [psutil.Process(process.pid) for process in left if process.alive()]
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(processes, timeout=LEFT_S)[1]:
        with suppress(psutil.Error):
            process.kill()
