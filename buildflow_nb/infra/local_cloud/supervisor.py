"""Keeps the local cloud of one project folder: emulators, the engine's providers, leases.

One supervisor holds the folder's lock; a second one ends at once. It publishes where everything is
when all of it answers, and again if that record is lost; it starts again what falls over, and keeps
the logs bounded. It stops, with its state written, on SIGTERM or when for `IDLE_S` no living
process holds a lease. Processes that an earlier supervisor left behind when it was killed are ended
first.

A folder that is removed under it is not its own any more: it stops, leaves alone what a later
supervisor has put there, and the emulators are killed, since one that writes its state on ending
would write it among that of the later cloud.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from buildflow_nb.infra.local_cloud.child import Child
from buildflow_nb.infra.local_cloud.emulators import PORTS, commands, endpoints
from buildflow_nb.infra.local_cloud.folder import FolderLock, logs_of
from buildflow_nb.infra.local_cloud.lease import living_leases
from buildflow_nb.infra.local_cloud.left_behind import end_left, note, noted_here, remove_note
from buildflow_nb.infra.local_cloud.log_file import bound_all
from buildflow_nb.infra.local_cloud.ports import choose_ports
from buildflow_nb.infra.local_cloud.provider.server import ProviderServers
from buildflow_nb.infra.local_cloud.record import (
    RECORD,
    CloudRecord,
    is_ours,
    read_record,
    this_process,
    write_record,
)

__all__ = ("Supervisor",)

IDLE_S = 600.0
LOOK_EVERY_S = 2.0

log = logging.getLogger(__name__)


class Supervisor:
    """The local cloud of a folder (`.buildflow/local`)."""

    def __init__(self, folder: Path, lock: FolderLock, idle_s: float = IDLE_S) -> None:
        self._folder = folder
        self._logs = logs_of(folder)
        self._lock = lock
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
        await asyncio.to_thread(end_left, self._folder)
        async with AsyncExitStack() as stack:
            stack.callback(self._withdraw)
            stack.push_async_callback(self._stop_children)
            stack.callback(self._providers.stop)
            await self._watch(await self._start())
            log.info("stopping")
        log.info("stopped")

    async def _start(self) -> CloudRecord:
        ports = choose_ports(self._folder, PORTS)
        where = endpoints(ports)
        self._children = [
            Child(command, self._logs, self._note) for command in commands(self._folder, ports)
        ]
        async with asyncio.TaskGroup() as group:
            for child in self._children:
                group.create_task(self._start_child(child))
            providers = group.create_task(asyncio.to_thread(self._providers.start))
        log.info("ready: %s", where)
        return CloudRecord(this_process(), where, providers.result())

    async def _start_child(self, child: Child) -> None:
        for other in self._children:
            if other.command.name == child.command.after:
                await other.ready.wait()
        await child.start()

    async def _watch(self, record: CloudRecord) -> None:
        loop = asyncio.get_running_loop()
        needed = loop.time()
        while not self._ended.is_set():
            if not self._lock.in_place():
                log.warning("the lock of %s was removed or replaced; this cloud ends", self._folder)
                return
            self._publish(record)
            bound_all(self._logs)
            if living_leases(self._folder):
                needed = loop.time()
            elif loop.time() - needed > self._idle_s:
                log.info("nobody has used it for %g s", self._idle_s)
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), LOOK_EVERY_S)

    def _publish(self, record: CloudRecord) -> None:
        """Say where everything is, if what the folder says is anything else."""
        if read_record(self._folder) == record:
            return
        try:
            write_record(self._folder, record)
        except OSError as error:  # of a disk that is full, or a folder that goes at this moment
            log.warning("the record cannot be written: %s", error)

    async def _stop_children(self) -> None:
        kept = self._lock.in_place() or noted_here(self._folder)
        # Who tells others what happens stops before them, so that the last event arrives.
        first = [child for child in self._children if child.command.after]
        rest = [child for child in self._children if not child.command.after]
        for children in (first, rest):
            await asyncio.gather(*(child.stop(kept=kept) for child in children))
        remove_note(self._folder)
        log.info("the state is kept in %s" if kept else "%s is another's now", self._folder)

    def _withdraw(self) -> None:
        path = self._folder / RECORD
        if is_ours(path):
            path.unlink(missing_ok=True)

    def _note(self) -> None:
        """Write down which processes run, for a supervisor that finds them left behind."""
        if self._lock.in_place():
            living = [child.process for child in self._children]
            note(self._folder, [process for process in living if process is not None])
