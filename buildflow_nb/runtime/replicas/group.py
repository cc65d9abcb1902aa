"""Replicas that are alike: as many as are wanted, each with the same processors in it.

A keeper looks at them, starts one in the place of one that has ended, and brings their number to
what is wanted, down by drain. It gives up when `DEATHS` of them have ended within
`DEATHS_WITHIN_S`, since code that kills its process would do so for ever.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from buildflow_nb.core.declaring.flow_spec import ProcessorSpec
from buildflow_nb.core.errors import BuildFlowError
from buildflow_nb.runtime.concurrency.backoff import backoff_s
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.tracebacks import reason_of
from buildflow_nb.runtime.replicas.host import GoneError, Host, Wants
from buildflow_nb.runtime.replicas.member import ASK_S, Member
from buildflow_nb.runtime.replicas.messages import Opening
from buildflow_nb.runtime.shipping import pack

__all__ = ("Group", "Held", "Replicas")

DEATHS = 5
DEATHS_WITHIN_S = 300.0
DRAIN_S = 30.0


class Held(Protocol):
    """A processor that works in the replicas of a group."""

    ledger: Ledger
    wanted: int
    """How many replicas it asks for."""

    @property
    def spec(self) -> ProcessorSpec:
        """What it runs at this moment."""
        ...

    def sent(self) -> bytes:
        """Its spec, packed as the arguments of one call."""
        ...

    def came_up(self, error: Exception | None) -> bool:
        """A replica has begun with it, or could not; whether it is worth trying again."""
        ...

    def looked(self) -> None:
        """There are new looks, or another number of replicas."""
        ...

    def given_up(self, why: str) -> None:
        """No replica is started any more."""
        ...


class Replicas(Protocol):
    """What groups of one run share."""

    clock: Clock

    @property
    def host(self) -> Host:
        """Where replicas are made."""
        ...

    async def ready(self) -> None:
        """Wait until the host works."""
        ...

    @property
    def pause_s(self) -> float:
        """Seconds between two looks: longer, the more replicas there are."""
        ...


class Group:
    """Some replicas, and who is in them; used on the loop."""

    def __init__(
        self, name: str, shared: Replicas, opening: Opening, wants: Wants, wanted: int
    ) -> None:
        self.name = name
        self.wants = wants
        self.wanted = wanted
        self.address: str | None = None
        self.waits_for = ""  # why a replica that is to start cannot
        self.last_end = ""
        self.members: list[Member] = []
        self.held: dict[str, Held] = {}
        self.turn = asyncio.Lock()
        """Held while processors or replicas come and go."""
        self._shared = shared
        self._opening = opening
        self._number = 0
        self._ends: deque[float] = deque(maxlen=DEATHS)
        self._tries = 0
        self._starting: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._closed = False
        self._first: asyncio.Future[None] | None = None

    # -- who is in it --------------------------------------------------------------------------

    async def add(self, held: Held) -> None:
        """Let a processor begin in every replica that is there, and in those that come.

        `came_up` tells of each.
        """
        async with self.turn:
            self.held[held.spec.id] = held
            await asyncio.gather(*(self._begin(member, held) for member in self.members))
        self._keep()

    def put(self, held: Held) -> None:
        """Let one that every replica has already be the processor of its id."""
        self.held[held.spec.id] = held
        for member in self.members:
            member.hold(held.spec.id, held.ledger, self._called(member))
        self._keep()

    async def leave(self, held: Held) -> None:
        """Forget a processor; the last one takes the replicas with it."""
        name = held.spec.id
        if self.held.get(name) is not held:
            return
        del self.held[name]
        for member in self.members:
            member.let_go(name, held.ledger)
        if not self.held:
            await self.close()

    def looks(self, processor_id: str) -> Iterator[Member]:
        """The replicas that have been seen with a processor."""
        return (member for member in self.members if processor_id in member.looks)

    async def each(
        self, method: str, payload: bytes, timeout_s: float
    ) -> list[object | BaseException]:
        """Call every replica alike; gives what each answered or raised, in order."""
        calls = (member.ask_packed(method, payload, timeout_s) for member in self.members)
        found = await asyncio.gather(*calls, return_exceptions=True)
        for member, answer in zip(self.members, found, strict=True):
            if isinstance(answer, GoneError):
                member.gone = True
        return list(found)

    # -- how many ------------------------------------------------------------------------------

    def want(self, count: int) -> None:
        """Have so many from now on."""
        self.wanted = count
        self._woken.set()

    async def refresh(self, opening: Opening) -> None:
        """Open replicas that come from now on so, and put its hooks into those that are there.

        Raises:
            BuildFlowError: a replica cannot use them.
        """
        async with self.turn:
            before = self._opening
            self._opening = replace(opening, port=before.port, first=before.first)
            payload = pack((opening.hooks,), folder=opening.env.folder)
            for answer in await self.each("refresh", payload, ASK_S):
                if isinstance(answer, BuildFlowError):
                    self._opening = before
                    payload = pack((before.hooks,), folder=opening.env.folder)
                    await self.each("refresh", payload, ASK_S)
                    raise answer

    async def listen(self) -> None:
        """Have all replicas serve the routes that they have, if they do not yet.

        Raises:
            ServeError: the port cannot be had.
        """
        async with self.turn:
            for member in self.members:
                await self._listen(member)

    async def unready(self) -> None:
        """Have all replicas say that no more requests are to be sent to them."""
        await self.each("unready", pack(()), ASK_S)

    def give_up(self, why: str) -> None:
        """Start no replica any more."""
        for held in list(self.held.values()):
            held.given_up(why)

    @property
    def closed(self) -> bool:
        """Whether it is at its end: another one is needed."""
        return self._closed

    async def look(self) -> None:
        """Look at all replicas now."""
        waits = [member.begin_look(self._activity(), self._moved) for member in self.members]
        if waits:
            await asyncio.wait(waits, timeout=2 * self._shared.pause_s)
        for member in [member for member in self.members if member.gone]:
            self._lost(member)
        for held in list(self.held.values()):
            held.looked()

    async def close(self) -> None:
        """End all replicas."""
        self._closed = True
        tasks = [*self._starting, *([self._keeper] if self._keeper else [])]
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()
        members, self.members = self.members, []
        await asyncio.gather(*(member.hosted.kill() for member in members))

    def _keep(self) -> None:
        if self._keeper is None and not self._closed:
            self._keeper = asyncio.create_task(self._keep_on(), name=f"replicas of {self.name}")
        self._woken.set()

    async def _keep_on(self) -> None:
        while True:
            self._woken.clear()
            await self.look()
            missing = self.wanted - len(self.members) - len(self._starting)
            for _ in range(missing):
                self._start_one()
            if missing < 0:
                await self._shrink()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._shared.pause_s)

    def _start_one(self) -> None:
        task = asyncio.create_task(self._started(), name=f"a replica of {self.name}")
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _started(self) -> None:
        """Start one replica, with all processors in it, after a pause where the last one ended."""
        if self._tries:
            await self._shared.clock.sleep(backoff_s(self._tries))
        await self._shared.ready()
        try:
            hosted = await self._shared.host.spawn(self.name, self.wants, self._waits)
        except GoneError as error:
            self._ended(reason_of(error))
            self._tell_first(error)
            return
        finally:
            self._waits("")
        member = Member(self._number + 1, hosted, self._opening.env.folder)
        try:
            async with self.turn:
                self._number += 1
                await member.ask("open", self._opening)
                begun = [await self._begin(member, held) for held in list(self.held.values())]
                if all(begun):
                    if self._opening.serves and self.held:
                        await self._listen(member)
                    self.members.append(member)
                    self._tries = 0
                    self._tell_first(None)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is told)
            self._ended(reason_of(error))
            self._tell_first(error)
        finally:
            if member not in self.members:
                await hosted.kill()

    async def _listen(self, member: Member) -> None:
        address = await member.ask("listen")
        if isinstance(address, str) and self.address is None:
            self.address = address
            port = int(address.rpartition(":")[2])
            self._opening = replace(self._opening, port=port, first=False)

    async def _begin(self, member: Member, held: Held) -> bool:
        name = held.spec.id
        member.hold(name, held.ledger, self._called(member))
        try:
            await member.ask_packed("start", held.sent())
        except Exception as error:  # noqa: BLE001  (the user's setup, or the replica's end)
            member.let_go(name, held.ledger)
            if held.came_up(error):
                self._ended(reason_of(error))
            return False
        await member.look(self._activity(), self._moved)
        held.came_up(None)
        return True

    async def _shrink(self) -> None:
        async with self.turn:
            for member in self.members[self.wanted :]:
                await self._drain(member)

    async def _drain(self, member: Member) -> None:
        with suppress(Exception):
            stop = (list(self.held), True, DRAIN_S)
            await member.ask("stop", *stop, timeout_s=DRAIN_S + 15.0)
            await member.look(self._activity(), self._moved)
        self._forget(member)
        await member.hosted.kill()

    def _lost(self, member: Member) -> None:
        self._forget(member)
        self._moved()  # what it had comes again
        where = f" on {member.hosted.node}" if member.hosted.node else ""
        self._ended(f"replica {member.number} (process {member.hosted.pid}{where}) has ended")

    def _forget(self, member: Member) -> None:
        self.members.remove(member)
        for held in self.held.values():
            member.let_go(held.spec.id, held.ledger)

    def _ended(self, why: str) -> None:
        """Note that a replica has ended, or never came; give up where that is a habit."""
        now = self._shared.clock.now()
        self.last_end = why
        self._tries += 1
        self._ends.append(now)
        for held in self.held.values():
            held.ledger.log.add("WARNING", f"{why}; another one is started")
        if len(self._ends) == DEATHS and now - self._ends[0] < DEATHS_WITHIN_S:
            self._ends.clear()
            self.give_up(f"{DEATHS} replicas have ended within 5 minutes, the last: {why}")

    def _called(self, member: Member) -> str:
        return f"replica {member.number}" if self.wanted > 1 or member.number > 1 else ""

    def _waits(self, reason: str) -> None:
        self.waits_for = reason
        for held in self.held.values():
            held.looked()

    def _activity(self) -> int:
        return next((held.ledger.activity.count for held in self.held.values()), 0)

    def _moved(self) -> None:
        for held in self.held.values():
            held.ledger.activity.stir()
            return

    async def up(self) -> None:
        """Wait until a replica is there.

        Raises:
            Exception: why the first one could not be had.
        """
        self._first = asyncio.get_running_loop().create_future()
        self._keep()
        await self._first

    def _tell_first(self, error: Exception | None) -> None:
        if self._first is None or self._first.done():
            return
        if error is None:
            self._first.set_result(None)
        else:
            self._first.set_exception(error)
