"""The driver: the one process that imports Ray, started by a host for one run.

It answers its host over a socket that it was given, and prints into its log alone. Its main thread
belongs to Ray, for what Ray starts ends with the thread that started it; everything else is on the
loop thread. It ends when its host says so, when its host's process is gone (then the replicas drain
first), and when the cluster is: well before Ray, which would end it without a word.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from buildflow_nb.core.process_id import ProcessId, end
from buildflow_nb.runtime.concurrency.loop import LoopThread
from buildflow_nb.runtime.ray.actors import (
    ASK_S,
    Actors,
    GoneActorError,
    RaisedError,
    RefusedError,
)
from buildflow_nb.runtime.ray.addresses import Address, address_of
from buildflow_nb.runtime.ray.cluster import HEAD, Cluster, blocking, reason
from buildflow_nb.runtime.ray.messages import (
    GONE,
    LATE,
    RAISED,
    REFUSED,
    Answer,
    Call,
    Channel,
    Close,
    Drop,
    Failed,
    Fault,
    FromDriver,
    FromHost,
    Kill,
    Look,
    Lost,
    Processes,
    Ready,
    Seen,
    Spawn,
    Spawned,
    Waits,
)
from buildflow_nb.runtime.ray.settings import left_in, remove_folder
from buildflow_nb.runtime.replicas.host import GoneError, Wants

__all__ = ("main",)

GRACE_S = 10.0  # for replicas to drain in, once their host is gone
LOOK_EVERY_S = 0.5
LEAVE_S = 20.0  # for Ray to end; a second on an idle machine
SAY_S = 5.0  # for a host that does not listen


@dataclass(frozen=True, slots=True)
class Task:
    """What the driver was started for."""

    address: Address
    replica: str
    folder: Path
    host: int  # the process of the host
    cpus: float
    patience_s: float


class Family:
    """All processes that this one has started, or that were started by those."""

    def __init__(self) -> None:
        self._named: dict[ProcessId, str] = {}

    def look(self) -> bool:
        """See who is there; whether somebody came or went."""
        import psutil

        before = set(self._named)
        for one in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                # What has just been started may have another name until now.
                self._named[ProcessId(one.pid, one.create_time())] = one.name()
        self._named = {one: name for one, name in self._named.items() if one.alive()}
        return set(self._named) != before

    @property
    def living(self) -> list[ProcessId]:
        """Those who were there at the last look."""
        return list(self._named)

    def names(self) -> set[str]:
        """What they are called."""
        return set(self._named.values())


class Driver:
    """Answers the host; on the loop thread."""

    def __init__(self, task: Task, cluster: Cluster) -> None:
        self._task = task
        self._cluster = cluster
        self._actors = Actors(cluster, task.replica)
        self._family = Family()
        self._channel: Channel | None = None
        self._doing: dict[int, asyncio.Task[None]] = {}
        self._ending: asyncio.Task[None] | None = None
        self._joined = False
        self.ended = threading.Event()

    @property
    def family(self) -> list[ProcessId]:
        """The processes that have to be gone at the end."""
        with suppress(Exception):
            self._family.look()
        return self._family.living

    async def listen(self, connection: socket.socket) -> None:
        """Do what the host says, until it is gone."""
        reader, writer = await asyncio.open_connection(sock=connection)
        self._channel = Channel(reader, writer, FromHost)
        watch = asyncio.create_task(self._watch(), name="watch")
        try:
            while True:
                message, payload = await self._channel.receive()
                self._hear(message, payload)
        except ConnectionError:
            self._end(self._orphaned())
        finally:
            watch.cancel()

    async def joined(self) -> None:
        """The cluster is there."""
        self._joined = True
        self._family.look()
        await self._say(Processes(_told(self._family.living)))
        await self._say(Ready())

    async def failed(self, why: str) -> None:
        """It cannot be had."""
        await self._say(Failed(why))

    def _end(self, work: Coroutine[object, object, None]) -> None:
        """End by the first of the reasons for it."""
        if self._ending is not None:
            work.close()
            return

        async def then() -> None:
            try:
                await work
            finally:
                self.ended.set()

        self._ending = asyncio.create_task(then(), name="end")

    async def _orphaned(self) -> None:
        if self._joined:
            await self._actors.drain(GRACE_S)
            return
        # Ray is starting, on a thread that cannot be interrupted.
        await asyncio.to_thread(_leave_nothing, self)
        os._exit(1)

    async def _lost(self, why: str) -> None:
        await self._say(Lost(why))
        await self._actors.drain(GRACE_S)

    # -- watching -----------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Look for the host, for what Ray has started, and for the cluster."""
        heads: set[str] = set()
        since: float | None = None
        while self._ending is None:
            await asyncio.sleep(LOOK_EVERY_S)
            if os.getppid() != self._task.host:
                self._end(self._orphaned())
                return
            if self._task.address.own:
                missing = await self._look(heads)
                if missing and self._joined:
                    self._end(self._lost(f"the head of the local Ray ended ({missing})"))
                elif missing:
                    await self.failed(f"Ray's {missing} ended while it was starting")
                    await self._orphaned()
            elif self._joined:
                since = None if await self._reachable() else since or time.monotonic()
                if since is not None and time.monotonic() - since >= self._task.patience_s:
                    self._end(self._lost(f"the head of {self._task.address} cannot be reached"))

    async def _look(self, heads: set[str]) -> str:
        """Tell the host who is there; the name of a process without which Ray is none."""
        if await asyncio.to_thread(self._family.look):
            await self._say(Processes(_told(self._family.living)))
        names = self._family.names()
        heads.update(names.intersection(HEAD))
        return next(iter(heads - names), "")

    async def _reachable(self) -> bool:
        try:
            async with asyncio.timeout(2.0):
                _, writer = await asyncio.open_connection(*self._cluster.head)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    # -- answering ----------------------------------------------------------------------------

    def _hear(self, message: object, payload: bytes) -> None:
        if isinstance(message, Close):
            self._end(self._actors.kill_all())
        elif isinstance(message, Drop):
            if doing := self._doing.get(message.number):
                doing.cancel()
        elif isinstance(message, Spawn | Call | Kill | Look) and self._ending is None:
            doing = asyncio.create_task(self._answer(message, payload))
            self._doing[message.number] = doing
            doing.add_done_callback(lambda _: self._doing.pop(message.number, None))

    async def _answer(self, message: Spawn | Call | Kill | Look, payload: bytes) -> None:
        number = message.number
        try:
            said, answer = await self._done(message, payload)
        except (GoneActorError, GoneError) as error:
            said, answer = Fault(number, GONE, str(error)), b""
        except TimeoutError as error:
            kind = GONE if isinstance(message, Spawn) else LATE
            said, answer = Fault(number, kind, str(error)), b""
        except RefusedError as error:
            said, answer = Fault(number, REFUSED, str(error)), b""
        except RaisedError as error:
            said, answer = Fault(number, RAISED, str(error)), b""
        except Exception as error:  # noqa: BLE001  (Ray's own, of many kinds)
            said, answer = Fault(number, GONE, reason(error)), b""
        try:
            await self._say(said, answer)
        except ValueError as error:
            await self._say(Fault(number, RAISED, f"the answer is {error}"))

    async def _done(
        self, message: Spawn | Call | Kill | Look, payload: bytes
    ) -> tuple[FromDriver, bytes]:
        if isinstance(message, Call):
            answer = await self._actors.call(
                message.actor, message.method, payload, message.timeout_s
            )
            return Answer(message.number), answer
        if isinstance(message, Spawn):
            return await self._spawned(message), b""
        if isinstance(message, Kill):
            await self._actors.kill(message.actor)
            return Answer(message.number), b""
        return Seen(message.number, await blocking(self._cluster.machines, ASK_S)), b""

    async def _spawned(self, message: Spawn) -> FromDriver:
        async def tell(what: str) -> None:
            await self._say(Waits(message.number, what))

        wants = Wants(message.num_cpus, message.num_gpus, message.memory, message.here)
        pid, node = await self._actors.spawn(message.number, message.name, wants, tell)
        return Spawned(message.number, pid, node)

    async def _say(self, message: FromDriver, payload: bytes = b"") -> None:
        """Say it, if the host still listens."""
        if self._channel is not None:
            with suppress(ConnectionError):
                await self._channel.send(message, payload)


def _told(processes: list[ProcessId]) -> list[tuple[int, float]]:
    return [(one.pid, one.began) for one in processes]


def _leave_nothing(driver: Driver) -> None:
    """End what Ray has started, and remove what it has written. A joined cluster stays."""
    if driver._task.address.own:  # noqa: SLF001
        end(driver.family, 2.0)
        end(left_in(driver._task.folder), 1.0)  # noqa: SLF001
    remove_folder(driver._task.folder)  # noqa: SLF001


def main() -> None:
    """Be the driver of the host that started this process; never returns."""
    task, connection = _arguments()
    cluster = Cluster(task.address, task.cpus)
    driver = Driver(task, cluster)
    loop = LoopThread()
    loop.spawn(driver.listen(connection))
    code = 0
    try:
        cluster.join()
    except BaseException as error:  # noqa: BLE001  (also the exits that Ray calls)
        with suppress(TimeoutError):
            loop.run(driver.failed(reason(error)), SAY_S)
        code = 1
    else:
        _outlive_signals()
        loop.spawn(driver.joined())
        driver.ended.wait()
    leaves = threading.Thread(target=_or_else, args=(driver,), daemon=True)
    leaves.start()
    with suppress(Exception):
        cluster.leave()
    _leave_nothing(driver)
    os._exit(code)


def _outlive_signals() -> None:
    """Leave it to the host when to end: whoever stops a job of Ray sends SIGTERM to us as well.

    Not before Ray is there, for what it starts would ignore them, too.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _or_else(driver: Driver) -> None:
    """End even where Ray does not."""
    time.sleep(LEAVE_S)
    _leave_nothing(driver)
    os._exit(1)


def _arguments() -> tuple[Task, socket.socket]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--connection", type=int, required=True)
    parser.add_argument("--host", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--replica", required=True)
    parser.add_argument("--address", default="local")
    parser.add_argument("--cpus", type=float, required=True)
    parser.add_argument("--patience", type=float, required=True)
    given = parser.parse_args()
    connection = socket.socket(fileno=given.connection)
    connection.set_inheritable(False)  # what Ray starts is not to hold it open
    connection.setblocking(False)
    address = address_of(given.address)
    task = Task(address, given.replica, given.folder, given.host, given.cpus, given.patience)
    return task, connection


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main()
