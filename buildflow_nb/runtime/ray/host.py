"""The host whose replicas are actors of Ray: what a kernel or a script uses, without importing Ray.

Everything of Ray is in a process of its own, the driver. If that one is lost, by itself or with its
cluster, the run hears it in one line and nothing of it is left here; if this process is killed, the
driver notices, has the replicas drain, and leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from buildflow_nb.core.errors import RunError, UsageError
from buildflow_nb.runtime.ray.addresses import address_of
from buildflow_nb.runtime.ray.conversation import Conversation
from buildflow_nb.runtime.ray.driver_process import DriverProcess
from buildflow_nb.runtime.ray.knocking import knock
from buildflow_nb.runtime.ray.messages import (
    GONE,
    LATE,
    RAISED,
    Answer,
    Call,
    Close,
    Failed,
    Fault,
    Kill,
    Look,
    Machine,
    Processes,
    Ready,
    Seen,
    Spawn,
    Spawned,
)
from buildflow_nb.runtime.ray.settings import temporary
from buildflow_nb.runtime.ray.turn import turn_to_start
from buildflow_nb.runtime.ray.versions import cannot
from buildflow_nb.runtime.replicas.host import GoneError, Wants

__all__ = ("RayHost", "RayHosted", "refuse")

REPLICA = "buildflow_nb.runtime.replicas.replica:Replica"
START_S = 75.0  # a Ray of its own: 16 s on an idle machine, 30 on a busy one
JOIN_S = 30.0
TRIES = 3
KNOCK_S = 3.0
CLOSE_S = 40.0
DRAIN_S = 45.0
KILL_S = 30.0
LOOK_S = 25.0
PATIENCE_S = 45.0  # Ray itself ends a process whose head is gone for 60 s
CALLS_AT_ONCE = 16  # of one replica; the next ones wait here
NOT_OPEN = "the host is closed"


def refuse(address: str | None, *, local: bool) -> None:
    """Say at once what would only come out when a run has started; asks nobody, and starts nothing.

    `local` says that the flow's stack is the local cloud, whose servers only this machine reaches.

    Raises:
        UsageError: Ray is not installed, or the address is none that can be used.
    """
    if why := cannot():
        raise UsageError(why)
    cluster = address_of(address)
    if local and not cluster.here:
        msg = (
            f"the local cloud is on this machine, and cannot be reached from {cluster}; choose a "
            "stack with cloud: real, or no address for a Ray of this machine"
        )
        raise UsageError(msg)


class RayHost:
    """Makes actors on the cluster at `address`: nothing (a Ray of its own), `auto`, `host:port`.

    `cpus` is what the processors ask for: a Ray of its own takes this machine for as many if it has
    fewer, since they can share what there is. `replica` names the class that stands in each actor.
    `patience_s` is how long the head of a cluster may be unreachable.

    Raises:
        UsageError: the address is none, or one that cannot be used.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        cpus: float = 0.0,
        replica: str = REPLICA,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._address = address_of(address)
        self._cpus = cpus
        self._replica = replica
        self._patience_s = patience_s
        self._driver: DriverProcess | None = None
        self._talk: Conversation | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The driver's process; 0 if there is none."""
        return self._driver.pid if self._driver is not None else 0

    async def open(self, on_lost: Callable[[str], None]) -> None:
        """Start the driver, and with it a Ray of its own, or join the cluster.

        Raises:
            RunError: Ray is not installed, cannot be reached, or does not start.
        """
        if why := cannot():
            raise RunError(why)
        await self._knock()
        why = await self._tried()
        if self._driver is None:
            raise RunError(self._not_there(why))
        self._talk = Conversation(self._driver.channel, self._driver.told)
        watch = self._listen(self._driver, self._talk, on_lost)
        self._watch = asyncio.create_task(watch, name="listen to Ray's driver")

    async def _knock(self) -> None:
        """See whether a head listens there, before a minute is spent on it."""
        if not self._address.host:
            return
        try:
            async with asyncio.timeout(KNOCK_S):
                what = await knock(self._address.host, self._address.port)
        except TimeoutError:
            what = "it does not answer"
        except OSError:
            what = "nothing listens there"
        if what:
            msg = (
                f"there is no Ray at {self._address.text}: {what}; give the address of the "
                "cluster's head (host:6379), auto, or none for a Ray of its own"
            )
            raise RunError(msg)

    async def _tried(self) -> str:
        """Have a driver; why it did not work, if it did not."""
        if not self._address.own:
            return await self._try()
        why = ""
        async with turn_to_start(temporary()):
            for _ in range(TRIES):
                why = await self._try()
                if not why:
                    break
        return why

    async def _try(self) -> str:
        """Start a driver; why it did not work, if it did not."""
        try:
            driver = await DriverProcess.start(
                self._address, self._replica, self._cpus, self._patience_s
            )
        except OSError as error:
            return f"its process cannot be started: {error}"
        patience = START_S if self._address.own else JOIN_S
        try:
            async with asyncio.timeout(patience):
                why = await self._ready(driver)
        except TimeoutError:
            why = f"it was not ready within {patience:g} s{await driver.log_end()}"
        except BaseException:
            await asyncio.shield(driver.clear())
            raise
        if why:
            await driver.clear()
        else:
            self._driver = driver
        return why

    async def _ready(self, driver: DriverProcess) -> str:
        try:
            while True:
                message, _ = await driver.channel.receive()
                if isinstance(message, Processes):
                    driver.told(message.living)
                elif isinstance(message, Failed):
                    return f"{message.why}{await driver.log_end()}"
                elif isinstance(message, Ready):
                    return ""
        except ConnectionError:
            await driver.ended(KNOCK_S)
            return await driver.last_words()

    def _not_there(self, why: str) -> str:
        if self._address.own:
            return (
                f"Ray did not start on this machine, tried {TRIES} times: {why}; the machine is "
                "too slow or too busy: try again, or leave out the engine"
            )
        return (
            f"{self._address} cannot be joined: {why}; this machine has to be one of the "
            "cluster's, with the same Ray and the same Python"
        )

    async def _listen(
        self, driver: DriverProcess, talk: Conversation, on_lost: Callable[[str], None]
    ) -> None:
        """Hear the driver out; if it ends by itself, tell it once and leave nothing of it."""
        why = await talk.listen()
        if self._driver is None:
            return  # it was told to
        ended = not why
        if ended:
            await driver.ended(KNOCK_S)
            why = await driver.last_words()
        talk.end(why)
        on_lost(why)
        await driver.clear(0.0 if ended else DRAIN_S)

    async def spawn(self, name: str, wants: Wants, on_wait: Callable[[str], None]) -> RayHosted:
        """Make an actor with a replica in it, and wait until it answers.

        Raises:
            GoneError: it ended before, its machine cannot run it, or the driver ended; says which.
        """
        talk = self._talking()
        number = talk.number()
        spawn = Spawn(number, name, wants.num_cpus, wants.num_gpus, wants.memory, wants.here)
        said, _ = await talk.ask(spawn, on_wait=on_wait)
        if not isinstance(said, Spawned):
            raise GoneError(str(_error(said, name)))
        return RayHosted(talk, number, name, said.pid, said.node)

    async def machines(self) -> list[Machine]:
        """The machines of the cluster.

        Raises:
            GoneError: the driver has ended, or the cluster does not tell.
        """
        talk = self._talking()
        try:
            async with asyncio.timeout(LOOK_S):
                said, _ = await talk.ask(Look(talk.number()))
        except TimeoutError as error:
            msg = f"{self._address} does not tell its machines"
            raise GoneError(msg) from error
        if not isinstance(said, Seen):
            raise _error(said, "the cluster")
        return said.machines

    def _talking(self) -> Conversation:
        if self._talk is None:
            raise GoneError(NOT_OPEN)
        return self._talk

    async def close(self) -> None:
        """End the actors, the driver, and a Ray of its own. Never raises."""
        driver, self._driver = self._driver, None
        if driver is None or self._talk is None:
            return
        lost = bool(self._talk.over)
        self._talk.end(NOT_OPEN)
        if not lost:
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await driver.channel.send(Close())
                    await driver.ended(CLOSE_S)
            await driver.clear()
        if self._watch is not None:
            await asyncio.wait({self._watch}, timeout=CLOSE_S)
            self._watch.cancel()


class RayHosted:
    """An actor, with a replica in it."""

    def __init__(self, talk: Conversation, number: int, name: str, pid: int, node: str) -> None:
        self._talk = talk
        self._number = number
        self._name = name
        self._pid = pid
        self._node = node
        self._turns = asyncio.Semaphore(CALLS_AT_ONCE)

    @property
    def pid(self) -> int:
        """The process, on its machine."""
        return self._pid

    @property
    def node(self) -> str:
        """The machine, as its cluster calls it; "" for this one."""
        return self._node

    async def call(self, method: str, payload: bytes, timeout_s: float) -> bytes:
        """Call the replica.

        Raises:
            GoneError: its process has ended, or the driver.
            TimeoutError: no answer in time; it may still be done.
            RunError: the replica raised; says what.
            ValueError: the payload is too long.
        """
        call = Call(self._talk.number(), self._number, method, timeout_s)
        try:
            async with asyncio.timeout(timeout_s), self._turns:
                said, answer = await self._talk.ask(call, payload)
        except TimeoutError as error:
            msg = f"{self._name} has not answered {method!r} within {timeout_s:g} s"
            raise TimeoutError(msg) from error
        if not isinstance(said, Answer):
            raise _error(said, self._name)
        return answer

    async def kill(self) -> None:
        """End its process at once. Never raises."""
        with suppress(GoneError, TimeoutError):
            async with asyncio.timeout(KILL_S):
                await self._talk.ask(Kill(self._talk.number(), self._number))


def _error(said: object, name: str) -> Exception:
    if not isinstance(said, Fault):
        return GoneError(f"{name} was answered with {type(said).__name__}")
    if said.kind == GONE:
        return GoneError(f"{name} is gone: {said.why}")
    if said.kind == LATE:
        return TimeoutError(f"{name} does not answer for now: {said.why}")
    return RunError(f"{name}: {said.why}" if said.kind == RAISED else said.why)
