"""A processor whose work is done by replicas, as the supervisor sees it.

To whoever looks it is a unit like any other: its state, its numbers, what it printed and what
failed are in the run's ledger (`mirror.py`). New code takes over in all replicas or in none: where
one of them cannot set it up, the others are set back.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.errors import RunError, ServeError
from buildflow_nb.core.primitive import Env
from buildflow_nb.core.status.snapshot import ProcessorSnapshot, State
from buildflow_nb.runtime.autoscale.sample import Load
from buildflow_nb.runtime.liveness import Liveness
from buildflow_nb.runtime.observability.failures import RetryInput, RetryResult
from buildflow_nb.runtime.observability.ledger import Ledger, source_label
from buildflow_nb.runtime.observability.metrics import Counted
from buildflow_nb.runtime.observability.redaction import redaction_of
from buildflow_nb.runtime.observability.tracebacks import describe, reason_of
from buildflow_nb.runtime.replicas.group import Group
from buildflow_nb.runtime.replicas.host import GoneError
from buildflow_nb.runtime.replicas.member import ASK_S, Member, raise_first, wrong
from buildflow_nb.runtime.replicas.merge import ENDS, counted, merged, state_of
from buildflow_nb.runtime.replicas.messages import UnitLook
from buildflow_nb.runtime.replicas.places import Places
from buildflow_nb.runtime.replicas.scaling import Scaling
from buildflow_nb.runtime.shipping import pack
from buildflow_nb.runtime.unit import Unit, not_ready

__all__ = ("ReplicatedUnit",)

RETURNS_S = 60.0  # for what a replica that is gone had leased, where a source cannot tell of it
LATE_S = 15.0  # beyond its own deadline, for a replica to answer
CALM_S = 1.0  # for replicas that come or go, when all of them are to end


class ReplicatedUnit:
    """The unit of a consumer or a route."""

    def __init__(
        self,
        spec: ProcessorSpec,
        places: Places,
        ledger: Ledger,
        on_end: Callable[[], None],
        env: Env,
    ) -> None:
        self.spec = spec
        self.wanted = 1
        self.ledger = ledger
        ledger.traces.source = source_label(spec)
        self.live = Liveness(ledger)
        self._places = places
        self._on_end = on_end
        self._group: Group | None = None
        self._arguments = b""
        self._first: asyncio.Future[None] | None = None
        self._stopping = False
        self._ended = False
        self._returns_at = -math.inf  # until then, what was in flight elsewhere may come again
        self._next = 0  # which replica is asked next
        self._leaving: asyncio.Task[None] | None = None
        self._scaling = Scaling(self, env)

    # -- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin in a first replica; the others follow.

        Raises:
            Exception: it cannot be sent, its setup failed, or no replica can be had.
        """
        self._begin()
        try:
            self._arguments = await self._places.packed(self.spec)
            group = self._group = self._places.group_for(self.spec, self._places.placed(self.spec))
            self.wanted = self._places.declared(self.spec)
            self._first = asyncio.get_running_loop().create_future()
            await group.add(self)
            group.want(self._places.wanted(group))
            self.looked()
            await self._first
            await self._places.begun(self.spec)
            self._scale()
        except BaseException:
            await self._leave()
            with suppress(ServeError):  # the others say it
                await self._places.begun(self.spec)
            raise

    async def prepare(self, old: Unit | None) -> None:
        """Set the code up in all replicas, unseen; where that fails in one, in none."""
        spec = self.spec
        self._arguments = await self._places.packed(spec)
        before = old._group if isinstance(old, ReplicatedUnit) else None  # noqa: SLF001
        placement = self._places.placed(spec)
        group = self._group = self._places.group_for(spec, placement)
        self.wanted = self._places.declared(spec)
        if isinstance(old, ReplicatedUnit) and self._scales_on(old):
            self.wanted = old.wanted
        if group is not before:
            group.want(max(self.wanted, self._places.wanted(group)))
            await group.up()
        async with group.turn():
            try:
                raise_first(await group.each("prepare", self._arguments, ASK_S))
            except BaseException:
                self._group = None
                await asyncio.shield(self._dropped(group, before, old))
                raise

    async def _dropped(self, group: Group, before: Group | None, old: Unit | None) -> None:
        """Leave nothing of what was prepared in vain."""
        for member, answer in await group.each("drop", pack((self.spec.id,)), ASK_S):
            if isinstance(answer, Exception):
                await group.replace(member, f"a successor is left in it: {reason_of(answer)}")
        if group is not before and not group.held:
            await group.close()
        if isinstance(old, ReplicatedUnit):
            self._places.stays(old.spec, before)

    async def take_over(self, old: Unit | None, timeout_s: float) -> None:
        """Be the processor in all replicas at once."""
        group = self._group
        assert group is not None  # noqa: S101  (prepare came before)
        before = old._group if isinstance(old, ReplicatedUnit) else None  # noqa: SLF001
        if old is not None and before is not group:
            await old.retire(timeout_s)
        self._begin()
        async with group.turn():
            payload = pack((self.spec.id, timeout_s))
            answers = await group.each("take_over", payload, timeout_s + LATE_S)
            group.put(self)
            for member, answer in answers:
                # One that has come up since `prepare` has the old code still.
                if isinstance(answer, Exception):
                    await group.replace(member, f"it did not take over: {reason_of(answer)}")
        self._places.works(self.spec, group)
        await self._places.begun(self.spec)
        group.want(self._places.wanted(group))
        self._scale()
        await group.look()

    async def swap(self, spec: ProcessorSpec) -> bool:
        """Let new code take over in every replica, or in none."""
        group = self._group
        if group is None or self._ended or not self._only_code_differs(spec):
            return False
        arguments = await self._places.packed(spec)
        async with group.turn():
            answers = await group.each("swap", arguments, ASK_S)
            found = [answer for _, answer in answers]
            if wrong(answers) or False in found:
                await asyncio.gather(*(self._set_back(group, *answer) for answer in answers))
                raise_first(answers)
                return False
            self.spec, self._arguments = spec, arguments
        self.ledger.redaction = redaction_of(spec)
        self.ledger.version += 1
        return True

    async def _set_back(self, group: Group, member: Member, answer: object) -> None:
        """Have a replica run the code from before, whether new code has taken over or not."""
        if isinstance(answer, TimeoutError):
            await group.replace(member, "new code may take over in it yet")
        elif answer is True:
            try:
                await member.ask_packed("swap", self._arguments)
            except Exception as error:  # noqa: BLE001  (whatever it is, the new code is there)
                await group.replace(member, f"new code is left in it: {reason_of(error)}")

    async def stop(self, *, drain: bool, timeout_s: float) -> None:
        """End in all replicas, at once."""
        group = self._group
        if group is None or self._ended:
            return
        self._stopping = True
        self._scaling.end()
        self.live.enter(State.DRAINING)
        payload = pack(([self.spec.id], drain, timeout_s))
        async with group.turn(CALM_S):
            await group.each("stop", payload, timeout_s + LATE_S)
            await group.look()
            await self._leave()  # before another replica could begin with it
        self._ended = True
        self.live.enter(State.STOPPED)

    async def retire(self, timeout_s: float) -> None:
        """Stop for a successor elsewhere."""
        self.live.end()
        waits = self.ledger.state is State.WAITING
        await self.stop(drain=not waits, timeout_s=timeout_s)

    async def send(self, element: object) -> list[object]:
        """Run one element through the code of one replica."""
        found = await self._asked("send", element)
        assert isinstance(found, list)  # noqa: S101  (what Work.send gives)
        return found

    async def retry(self, wanted: RetryInput) -> RetryResult:
        """Run one failed element through the code of one replica, whichever it failed in."""
        found = await self._asked("retry", wanted)
        assert isinstance(found, RetryResult)  # noqa: S101  (what Work.retry gives)
        return found

    @property
    def read_to_end(self) -> object | None:
        """Its source, once that has ended and everything of it is settled."""
        done = isinstance(self.spec, ConsumerSpec) and self.ledger.state is State.DONE
        return self.spec.source if done else None  # type: ignore[union-attr]

    @property
    def drained(self) -> bool:
        """Whether every replica says so, knowing of everything that has happened in the run."""
        if self._group is None or self._ended:
            return self._ended
        if self.ledger.clock.now() < self._returns_at:
            return False
        name, now = self.spec.id, self.ledger.activity.count
        members = list(self._group.looks(name))
        if not members and not self.wanted:
            return self._scaling.asleep_backlog == 0
        return bool(members) and all(
            member.activity == now and member.looks[name].drained for member in members
        )

    def snapshot(self) -> ProcessorSnapshot:
        """All replicas as one."""
        looks = self.looks
        shot = merged(self.ledger.snapshot(self.spec, self._scaling.asleep_backlog), looks)
        return replace(shot, replicas=len(looks), wanted=self.wanted, scaling=self._scaling.why)

    def counted(self) -> Counted:
        """What all replicas have counted until they were looked at last."""
        asleep = None if self._ended else self._scaling.asleep_backlog
        return counted(self.ledger.metrics.counted(asleep), self.looks)

    def load(self) -> Load:
        """Its workers alone: it scales itself."""
        return Load(workers=max(sum(look.load.workers for look in self.looks), 1))

    # -- for its scaling -----------------------------------------------------------------------

    @property
    def looks(self) -> list[UnitLook]:
        """What its replicas looked like last."""
        if self._group is None:
            return []
        return [member.looks[self.spec.id] for member in self._group.looks(self.spec.id)]

    @property
    def waits_for(self) -> str:
        """Why a replica that is to start cannot."""
        return "" if self._group is None else self._group.waits_for

    def want(self, replicas: int) -> None:
        """Have so many replicas, unless others in them want more."""
        self.wanted = replicas
        if self._group is not None:
            self._group.want(self._places.wanted(self._group))

    # -- for its group -------------------------------------------------------------------------

    def sent(self) -> bytes:
        """Its spec, packed."""
        return self._arguments

    def came_up(self, error: Exception | None) -> bool:
        """Note how it went; a setup that fails at first is the end of it."""
        first = self._first
        if first is not None and not first.done():
            if error is None:
                first.set_result(None)
            elif not isinstance(error, GoneError):
                first.set_exception(error)
                return False
        elif error is not None:
            self.ledger.log.add("ERROR", f"a replica could not be set up: {describe(error)}")
        return True

    def lost(self, look: UnitLook | None) -> None:
        """What it had in flight comes again, also where the source cannot tell that it will."""
        if isinstance(self.spec, ConsumerSpec) and (look is None or look.shot.backlog is None):
            self._returns_at = self.ledger.clock.now() + RETURNS_S

    def looked(self) -> None:
        """Show the state that its replicas have."""
        group = self._group
        if group is None or self._stopping or self._ended:
            return
        looks = self.looks
        if not looks:
            reason = group.waits_for or group.last_end
            if not group.wanted:
                self.live.enter(State.RUNNING)
                self.live.remark("no replica, as nothing is to be done; one comes when there is")
            elif reason:
                self.live.enter(State.WAITING, reason)
            else:
                self.live.remark(self._said(group, looks))
            return
        standing = state_of(looks)
        if standing.state not in ENDS:
            self.live.enter(standing.state, standing.reason)
            self.live.remark(self._said(group, looks))
        elif self._leaving is None:
            self._end(standing.state, standing.reason)

    def given_up(self, why: str) -> None:
        """Fail."""
        first = self._first
        if first is not None and not first.done():
            first.set_exception(RunError(why))
        elif self._leaving is None:
            self._end(State.FAILED, why)

    # -- inside --------------------------------------------------------------------------------

    def _said(self, group: Group, looks: list[UnitLook]) -> str:
        late = [member.late for member in group.members if member.late]
        if late:
            what = "does" if len(late) == 1 else "do"
            return f"{len(late)} of {len(group.members)} replicas {what} not answer; {late[0]}"
        missing = group.wanted - len(looks)
        failed = [look.shot.reason for look in looks if look.shot.state is State.FAILED]
        if failed:
            return f"{len(failed)} of {len(looks)} replicas failed: {failed[0]}"
        if missing > 0 and group.waits_for:
            return f"{len(looks)} of {group.wanted} replicas, the next {group.waits_for}"
        return ""

    def _begin(self) -> None:
        self.live.begin()
        self.ledger.redaction = redaction_of(self.spec)
        why = self._places.placed(self.spec).why
        if why:
            count = self.spec.options.num_replicas
            text = f"num_replicas={count} are threads of one replica: {why}"
            self.ledger.log.add("WARNING", text)

    def _end(self, state: State, reason: str) -> None:
        """It has ended by itself."""

        async def end() -> None:
            await self._leave()
            self._ended = True
            self.live.enter(state, reason)
            self._on_end()

        self._leaving = asyncio.create_task(end())

    def _scale(self) -> None:
        if self._places.placed(self.spec).spread:
            self._scaling.begin()

    def _scales_on(self, old: ReplicatedUnit) -> bool:
        """Whether as many replicas are wanted as were before, since that was not declared anew."""
        return self.spec.options.num_replicas == old.spec.options.num_replicas

    async def _leave(self) -> None:
        self._scaling.end()
        if self._group is not None:
            await self._group.leave(self)
        self._places.left(self.spec)

    async def _asked(self, method: str, argument: object) -> object:
        """Ask one replica, and see what that has printed."""
        member = self._any()
        try:
            return await member.ask(method, self.spec.id, argument)
        finally:
            await member.look(self.ledger.activity.count)

    def _any(self) -> Member:
        """A replica that has the processor, each in turn."""
        members = [] if self._group is None else list(self._group.looks(self.spec.id))
        if not members:
            raise not_ready(self.spec, self.ledger)
        self._next += 1
        return members[self._next % len(members)]

    def _only_code_differs(self, spec: ProcessorSpec) -> bool:
        if self._places.placed(spec) != self._places.placed(self.spec):
            return False
        if isinstance(spec, ConsumerSpec):
            return isinstance(self.spec, ConsumerSpec) and self.spec.pipes_like(spec)
        return not isinstance(self.spec, ConsumerSpec)
