"""Replicas that are alike: as many as are wanted, each with the same processors in it.

A keeper looks at them, starts one in the place of one that has ended, and brings their number to
what is wanted, down by drain. It gives up when they have ended `DEATHS` times within
`DEATHS_WITHIN_S`, since code that kills its process would do so for ever. Those that end within
`AT_ONCE_S` count as one: they had a machine in common.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from buildflow_nb.core.errors import BuildFlowError, RunError
from buildflow_nb.runtime.concurrency.backoff import backoff_s
from buildflow_nb.runtime.observability.tracebacks import reason_of
from buildflow_nb.runtime.replicas.host import GoneError, Wants
from buildflow_nb.runtime.replicas.member import ASK_S, Member, why_of
from buildflow_nb.runtime.replicas.messages import Opening
from buildflow_nb.runtime.replicas.places import Held, Replicas
from buildflow_nb.runtime.replicas.turn import PATIENCE_S, Turn
from buildflow_nb.runtime.shipping import pack

__all__ = ("Group",)

DEATHS = 5
DEATHS_WITHIN_S = 300.0
AT_ONCE_S = 2.0
STARTS = 32  # at once
DRAIN_S = 30.0
SETUP_S = 1_800.0  # code of the user's may load a model, or a table


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
        self._turn = Turn(self._calm)
        self._shared = shared
        self._opening = opening
        self._number = 0
        self._listening = False
        self._ends: deque[float] = deque(maxlen=DEATHS)
        self._tries = 0
        self._starting: set[asyncio.Task[None]] = set()
        self._shrinking: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._closed = False
        self._first: asyncio.Future[None] | None = None

    # -- who is in it --------------------------------------------------------------------------

    async def add(self, held: Held) -> None:
        """Let a processor begin in every replica that is there, and in those that come.

        `came_up` tells of each.
        """
        async with self._turn.alone():
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

    @asynccontextmanager
    async def turn(self, patience_s: float = PATIENCE_S) -> AsyncIterator[None]:
        """Have no processor and no replica come or go meanwhile.

        A replica that is being set up or drained may take its time; it begins anew afterwards.
        """
        try:
            async with self._turn.alone(patience_s):
                yield
        finally:
            if self.held:
                self._keep()

    async def each(
        self, method: str, payload: bytes, timeout_s: float
    ) -> list[tuple[Member, object | BaseException]]:
        """Call every replica alike; gives what each answered or raised.

        One that ends meanwhile has raised a GoneError.
        """
        members = list(self.members)  # one that is lost leaves the list at any time
        calls = (member.ask_packed(method, payload, timeout_s) for member in members)
        found = await asyncio.gather(*calls, return_exceptions=True)
        for member, answer in zip(members, found, strict=True):
            if isinstance(answer, GoneError):
                member.gone = answer
        return list(zip(members, found, strict=True))

    async def replace(self, member: Member, why: str) -> None:
        """End a replica of which it is not known what it runs; another one is started."""
        if member in self.members and not member.gone:
            self._forget(member)
            self._moved()
            self._say(f"{self._described(member)} is ended, since {why}; another one is started")
            await member.hosted.kill()
        self._woken.set()

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
        async with self.turn():
            before = self._opening
            self._opening = replace(opening, port=before.port, first=before.first)
            payload = pack((opening.hooks,), folder=opening.env.folder)
            answers = await self.each("refresh", payload, ASK_S)
            wrong = [found for _, found in answers if isinstance(found, BuildFlowError)]
            if wrong:
                self._opening = before
                payload = pack((before.hooks,), folder=opening.env.folder)
                answers = await self.each("refresh", payload, ASK_S)
            for member, found in answers:
                if isinstance(found, Exception):
                    await self.replace(member, f"its middleware is not known: {reason_of(found)}")
            if wrong:
                raise wrong[0]

    async def listen(self) -> None:
        """Have all replicas serve the routes that they have, if they do not yet.

        Raises:
            ServeError: the port cannot be had.
        """
        async with self.turn():
            self._listening = True
            for member in list(self.members):
                try:
                    await self._listen(member)
                except GoneError as error:
                    member.gone = error

    async def unready(self) -> None:
        """Have all replicas say so to whoever asks whether to send requests."""
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
        self._cancel()
        members, self.members = self.members, []
        await asyncio.gather(*(member.hosted.kill() for member in members))

    def _cancel(self) -> list[asyncio.Task[None]]:
        """Have nobody come or go any more."""
        tasks = (*self._starting, self._shrinking, self._keeper)
        here = asyncio.current_task()
        others = [task for task in tasks if task is not None and task is not here]
        for task in others:
            task.cancel()
        return others

    async def _calm(self) -> None:
        tasks = self._cancel()
        self._keeper = None  # the next one begins where this one was
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE_S)

    def _keep(self) -> None:
        if self._keeper is None and not self._closed:
            self._keeper = asyncio.create_task(self._keep_on(), name=f"replicas of {self.name}")
        self._woken.set()

    async def _keep_on(self) -> None:
        while True:
            self._woken.clear()
            await self.look()
            missing = self.wanted - len(self.members) - len(self._starting)
            for _ in range(min(missing, STARTS - len(self._starting))):
                self._start_one()
            if missing < 0 and self._starting:
                for task in list(self._starting):
                    task.cancel()
            elif self._shrinking is None and (leaving := self._leaving(-missing)):
                self._shrinking = asyncio.create_task(self._shrink(leaving))
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
        wants = self.wants
        try:
            hosted = await self._shared.host.spawn(self.name, wants, self._waits)
        except GoneError as error:
            self._ended(why_of(error))
            self._tell_first(error)
            return
        finally:
            self._waits("")
        self._number += 1
        member = Member(self._number, hosted, wants, self._opening.env.folder)
        try:
            async with self._turn.beside():
                await member.ask("open", self._opening)
                begun = [await self._begin(member, held) for held in list(self.held.values())]
                if all(begun):
                    if self._listening:
                        await self._listen(member)
                    self.members.append(member)
                    self._tries = 0
                    self._tell_first(None)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is told)
            self._ended(why_of(error))
            self._tell_first(error)
        finally:
            if member not in self.members:
                await hosted.kill()

    async def _listen(self, member: Member) -> None:
        address = await member.ask("listen", self._opening.port)
        if isinstance(address, str) and self.address is None:
            self.address = address
            port = int(address.rpartition(":")[2])
            self._opening = replace(self._opening, port=port, first=False)

    async def _begin(self, member: Member, held: Held) -> bool:
        name = held.spec.id
        member.hold(name, held.ledger, self._called(member))
        try:
            await member.ask_packed("start", held.sent(), SETUP_S)
        except Exception as error:  # noqa: BLE001  (the user's setup, or the replica's end)
            member.let_go(name, held.ledger)
            if held.came_up(error):
                self._ended(why_of(error))
            return False
        await member.look(self._activity(), self._moved)
        held.came_up(None)
        return True

    def _leaving(self, surplus: int) -> list[Member]:
        """Those that are too many, or else one that has not what is wanted by now."""
        if surplus > 0:
            return self.members[self.wanted :]
        if self._opening.serves or self._starting:
            return []  # whoever sends requests is not to miss it, and one at a time is
        return [member for member in self.members if member.wants != self.wants][:1]

    async def _shrink(self, leaving: list[Member]) -> None:
        try:
            async with self._turn.alone():
                await asyncio.gather(*(self._drain(member) for member in leaving))
        finally:
            self._shrinking = None

    async def _drain(self, member: Member) -> None:
        with suppress(Exception):
            stop = (list(self.held), True, DRAIN_S)
            await member.ask("stop", *stop, timeout_s=DRAIN_S + 15.0)
            await member.look(self._activity(), self._moved)
        if member in self.members:
            self._forget(member)
        await member.hosted.kill()

    def _lost(self, member: Member) -> None:
        for name, held in self.held.items():
            held.lost(member.looks.get(name))
        self._forget(member)
        self._moved()  # what it had comes again
        why = why_of(member.gone) if member.gone else ""
        self._ended(f"{self._described(member)} has ended" + (f": {why}" if why else ""))

    @staticmethod
    def _described(member: Member) -> str:
        where = f" on {member.hosted.node}" if member.hosted.node else ""
        return f"replica {member.number} (process {member.hosted.pid}{where})"

    def _forget(self, member: Member) -> None:
        self.members.remove(member)
        for held in self.held.values():
            member.let_go(held.spec.id, held.ledger)

    def _ended(self, why: str) -> None:
        """Note that a replica has ended, or never came; give up where that is a habit."""
        now = self._shared.clock.now()
        self.last_end = why
        self._say(f"{why}; another one is started")
        if self._ends and now - self._ends[-1] < AT_ONCE_S:
            return
        self._tries += 1
        self._ends.append(now)
        if len(self._ends) == DEATHS and now - self._ends[0] < DEATHS_WITHIN_S:
            self._ends.clear()
            self.give_up(f"replicas have ended {DEATHS} times within 5 minutes, the last: {why}")

    def _say(self, text: str) -> None:
        for held in self.held.values():
            held.ledger.log.add("WARNING", text)

    def _called(self, member: Member) -> str:
        return f"replica {member.number}" if max(self.wanted, member.number) > 1 else ""

    def _waits(self, reason: str) -> None:
        self.waits_for = reason
        for held in self.held.values():
            held.looked()

    def _activity(self) -> int:
        return next((held.ledger.activity.count for held in self.held.values()), 0)

    def _moved(self) -> None:
        for held in list(self.held.values())[:1]:
            held.ledger.activity.stir()

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
            gone = isinstance(error, GoneError)
            self._first.set_exception(RunError(str(error)) if gone else error)
