"""Keeps the local cloud of one project folder: emulators, stores, the engine's providers, leases.

One supervisor holds the folder's lock; a second one ends at once. It publishes where everything is
when all of it answers, and again if that record is lost; it starts again what falls over, and keeps
the logs bounded. Stores are started when a process, or a provider, wishes for one; who has written
down a wish says so by a signal, or it is found within seconds. It stops, with its state written,
on SIGTERM or when for `IDLE_S` no living process holds a lease. Processes that an earlier
supervisor left behind when it was killed are ended first.

Only its own children count: where a stranger has a port before an emulator could listen at it, all
of them are started at other ports, and the record says so.

A folder that is removed under it is not its own any more: it stops, leaves alone what a later
supervisor has put there, and the emulators are killed, since one that writes its state on ending
would write it among that of the later cloud.

A log is emptied under the process that holds it open for appending (`O_APPEND`), which goes on from
the start; one that is moved away would go on growing. What is written between the copy and the
emptying is lost: these are logs for a person who looks for a reason, not records.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import InfraError
from buildflow_nb.core.process_id import this_process
from buildflow_nb.core.project_folder import open_private, write_whole
from buildflow_nb.local_cloud.child import Child, Command, PortTakenError
from buildflow_nb.local_cloud.emulators import PORTS, commands, endpoints
from buildflow_nb.local_cloud.folder import FolderLock, logs_of
from buildflow_nb.local_cloud.lease import WOKEN, living_leases, wishes
from buildflow_nb.local_cloud.left_behind import end_left, note, noted_here, remove_note
from buildflow_nb.local_cloud.ports import Ports
from buildflow_nb.local_cloud.provider.server import ProviderServers
from buildflow_nb.local_cloud.record import (
    RECORD,
    CloudRecord,
    is_ours,
    read_record,
    write_record,
)
from buildflow_nb.local_cloud.store import password_of
from buildflow_nb.local_cloud.store_keeper import StoreKeeper
from buildflow_nb.local_cloud.stores import store_endpoints, store_named, store_ports

__all__ = ("IDLE_S", "Supervisor")

IDLE_S = 600.0
LOOK_EVERY_S = 2.0
AWAKE_S = 60.0  # for a store to start that a provider needs
MOVES = 5  # to other ports, until it is no chance any more that they are taken

log = logging.getLogger(__name__)


class Supervisor:
    """The local cloud of a folder (`.buildflow/local`)."""

    def __init__(self, folder: Path, lock: FolderLock, idle_s: float = IDLE_S) -> None:
        self._folder = folder
        self._logs = logs_of(folder)
        self._lock = lock
        self._idle_s = idle_s
        self._children: list[Child] = []
        self._stores = StoreKeeper(folder, self._child, self._look_again, self._move)
        self._wishes: dict[str, int] = {}  # of this process's own providers
        self._loop: asyncio.AbstractEventLoop | None = None
        self._providers = ProviderServers(services=self)
        self._ports = Ports(folder)
        self._taken: set[int] = set()
        self._provider_ports: dict[str, int] = {}
        self._chosen: dict[str, int] = {}
        self._ending = False
        self._moving = False
        self._look = asyncio.Event()

    async def run(self) -> None:
        """Run until asked to stop, or until nobody needs it.

        Raises:
            InfraError: an emulator did not start, or its port was taken again and again.
            OSError: a file of the folder cannot be written, or is a link.
        """
        loop = asyncio.get_running_loop()
        for which in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(which, self._end)
        loop.add_signal_handler(WOKEN, self._look_again)
        self._loop = loop
        await asyncio.to_thread(end_left, self._folder)
        async with AsyncExitStack() as stack:
            stack.callback(self._ports.let_go)
            stack.callback(self._withdraw)
            stack.push_async_callback(self._stop_children)
            stack.callback(self._providers.stop)
            await self._keep()
            log.info("stopping")
        log.info("stopped")

    async def _keep(self) -> None:
        moves = 0
        while not self._ending:
            record = await self._started()
            if record is not None:
                await self._watch(record)
            moves = 0 if record is not None else moves + 1
            if moves == MOVES:
                told = ", ".join(map(str, sorted(self._taken)))
                msg = f"other processes take the local cloud's ports again and again: {told}"
                raise InfraError(msg)
            if not self._ending:
                await self._stop_children()

    def _end(self) -> None:
        self._ending = True
        self._look.set()

    def _look_again(self) -> None:
        self._look.set()

    async def woken(self, name: str) -> str:
        """Start a store that this process's own providers need; gives its endpoint.

        Raises:
            InfraError: it did not start.
        """
        store = store_named(name)
        if store.name not in self._stores.awake:
            self._wishes[store.name] = wish = self._wishes.get(store.name, 0) + 1
            self._look.set()
            settled = self._stores.settled(store.name, (os.getpid(), wish))
            try:
                await asyncio.wait_for(settled, AWAKE_S)
            except TimeoutError:
                msg = f"the local cloud's {store.name} did not answer in {AWAKE_S:g} s"
                raise InfraError(msg) from None
        return store_endpoints(self._chosen)[name]

    def wake(self, name: str) -> str:
        """The same, asked from a provider's thread."""
        if self._loop is None:
            msg = "the local cloud is not ready yet"
            raise InfraError(msg)
        return asyncio.run_coroutine_threadsafe(self.woken(name), self._loop).result(AWAKE_S + 1)

    def password(self, store: str) -> Secret:
        """The password of a store."""
        return password_of(self._folder, store_named(store).name)

    async def _started(self) -> CloudRecord | None:
        """Start everything; None where a stranger had a port first."""
        try:
            return await self._start()
        except* PortTakenError as errors:
            for error in _each(errors):
                self._move(error)
        return None

    async def _start(self) -> CloudRecord:
        self._moving = False
        ports = self._ports.choose((*PORTS, *store_ports()), but=self._taken)
        where = endpoints(ports) | store_endpoints(ports)
        self._chosen = ports
        self._children = [self._child(command) for command in commands(self._folder, ports)]
        async with asyncio.TaskGroup() as group:
            for child in self._children:
                child.on_taken = self._move
                group.create_task(self._start_child(child))
            group.create_task(self._start_providers())
        log.info("ready: %s", where)
        return CloudRecord(this_process(), where, self._provider_ports)

    def _move(self, error: PortTakenError) -> None:
        log.warning("%s; the local cloud moves to other ports", error)
        self._taken.update(error.ports)
        self._withdraw()
        self._moving = True
        self._look.set()

    def _child(self, command: Command) -> Child:
        return Child(command, self._logs, self._note)

    async def _start_providers(self) -> None:
        """Once: they bind their own ports, which nobody can have before them."""
        if not self._provider_ports:
            self._provider_ports = await asyncio.to_thread(self._providers.start)

    async def _start_child(self, child: Child) -> None:
        for other in self._children:
            if other.command.name == child.command.after:
                await other.ready.wait()
        await child.start()

    async def _watch(self, record: CloudRecord) -> None:
        loop = asyncio.get_running_loop()
        needed = loop.time()
        while not self._moving and not self._ending:
            self._look.clear()
            if not self._lock.in_place():
                log.warning("the lock of %s was removed or replaced; this cloud ends", self._folder)
                self._end()
                return
            self._stores.want(self._wished(), self._chosen)
            awake, faults = self._stores.awake, self._stores.faults
            self._publish(replace(record, awake=awake, faults=faults))
            bound_all(self._logs)
            if living_leases(self._folder):
                needed = loop.time()
            elif loop.time() - needed > self._idle_s:
                log.info("nobody has used it for %g s", self._idle_s)
                self._end()
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), LOOK_EVERY_S)

    def _wished(self) -> dict[str, set[tuple[int, int]]]:
        """What processes wish for, and this one's providers."""
        found = wishes(self._folder)
        for name, number in self._wishes.items():
            found.setdefault(name, set()).add((os.getpid(), number))
        return found

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
        await self._stores.stop(kept=kept)
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
            living = [child.process for child in (*self._children, *self._stores.children)]
            note(self._folder, [process for process in living if process is not None])


def _each(errors: BaseExceptionGroup[PortTakenError]) -> Iterator[PortTakenError]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _each(error)
        else:
            yield error


LOG_BYTES = 2_000_000  # of a log, and of what is kept of the one before: days of warnings
OLD = ".old.log"


def bound_all(logs: Path) -> None:
    """Bound every log of a folder."""
    for path in logs.glob("*.log"):
        if not path.name.endswith(OLD):
            bound(path)


def bound(path: Path) -> None:
    """Empty a log that grew beyond `LOG_BYTES`; its end is kept beside it, as `NAME.old.log`."""
    with suppress(OSError), os.fdopen(open_private(path, os.O_RDWR), "rb+") as file:
        if file.seek(0, os.SEEK_END) <= LOG_BYTES:
            return
        file.seek(-LOG_BYTES, os.SEEK_END)
        last = file.read(LOG_BYTES)
        with suppress(OSError):  # on a full disk, room is worth more than the copy
            write_whole(path.with_suffix(OLD), last)
        file.truncate(0)
