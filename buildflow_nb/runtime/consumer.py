"""A consumer at work: pull, inbox, lanes, push, settle.

    source ──pull──► inbox ──haul──► lane (thread or task) ──parcel──► pusher ──► sink
       ▲                 ▲             │ fault                            │
       └────settle───────┼─────────────┼──────────────────────────────────┘
                         └──retries◄───┘──► dead letter

Guarantees:
* Delivery is at least once: an element is settled after everything it gave is in the sink.
* With one replica and `num_concurrency=1` elements reach the sink in the source's order, but for
  those that failed and are tried again. With more there is no order.
* An element that fails does not fail its neighbours. It is tried `retries` times more, with
  back-off, then written to `dead_letter`, or given back to the source; it stays in the ledger.
  An element that cannot be converted is not tried again.
* Memory is bounded: at most `MAX_UNSETTLED` elements, or two full pushes, are between pull and
  settle; a slow sink therefore holds the source back.
* Code can be swapped between two hauls while everything else goes on (`swap`).

Everything here runs on the loop thread, but `Code.run`, which runs on the lanes' threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from buildflow_nb.core.errors import BuildFlowError, PermanentError
from buildflow_nb.core.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.primitive import Batch, Env, Source
from buildflow_nb.core.snapshot import ProcessorSnapshot, State
from buildflow_nb.runtime import logs
from buildflow_nb.runtime.clock import Clock, backoff_s
from buildflow_nb.runtime.code import Outcome
from buildflow_nb.runtime.dead_letter import DeadLetters
from buildflow_nb.runtime.inbox import Haul, Inbox, Load, Pace
from buildflow_nb.runtime.kept import Again
from buildflow_nb.runtime.lanes import CLOSE_S, Lane, Lanes, quietly
from buildflow_nb.runtime.ledger import Ledger
from buildflow_nb.runtime.push import Faults, Parcel, Pusher, PushPlan
from buildflow_nb.runtime.redo import Redone, not_ready, pushing, redo_through
from buildflow_nb.runtime.remedy import Remedy
from buildflow_nb.runtime.remember import remember
from buildflow_nb.runtime.retry import Retries
from buildflow_nb.runtime.send import send_through
from buildflow_nb.runtime.settle import Settler
from buildflow_nb.runtime.traces import describe
from buildflow_nb.runtime.views import views_of
from buildflow_nb.runtime.waits import Waits

__all__ = ("Consumer",)

MAX_UNSETTLED = 10_000  # elements between pull and settle, if the sink's pushes are not larger
BACKLOG_EVERY_S = 1.0


class Consumer:
    """The unit of a consumer."""

    def __init__(self, spec: ConsumerSpec, env: Env, ledger: Ledger, clock: Clock) -> None:
        self.spec: ProcessorSpec = spec
        self._spec = spec
        self.ledger = ledger
        ledger.views = views_of(spec)
        self._env = env
        self._clock = clock
        self._inbox = Inbox()
        self._retries = Retries(self._inbox, clock)
        self._pace = Pace()
        self._lanes = Lanes(ledger.log)
        self._under_way: dict[int, Haul] = {}
        self._unsettled = 0
        self._uncounted = 0
        self._most = max(MAX_UNSETTLED, 2 * spec.sink.max_push if spec.sink is not None else 0)
        self._hands = 2 * spec.options.num_replicas * spec.options.num_concurrency
        self._all_settled = asyncio.Event()
        self._pulls: list[asyncio.Task[None]] = []
        self._pulling = 0
        self._finished = False
        self._ended = asyncio.Event()
        self._waits = Waits(ledger, clock)
        self._backlog: int | None = None
        self._main: asyncio.Task[None] | None = None
        self._source_stack = AsyncExitStack()
        self._source: Source | None = None
        self._keep_source = False
        self._pusher: Pusher | None = None
        self._settler: Settler | None = None
        self._dead = DeadLetters(spec.options.dead_letter, ledger)
        self._remedy = Remedy(
            self._retries, self._dead, ledger, spec.options.retries, self._dealt_with
        )
        self.on_end: Callable[[], None] = lambda: None

    # -- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Set the code up and begin; connections are opened in the background."""
        self.ledger.enter(State.STARTING)
        await self._lanes.open(self._spec)
        self._main = asyncio.create_task(self._run(), name=f"consumer {self._spec.id}")

    async def swap(self, spec: ProcessorSpec) -> bool:
        """Let new code take over between two hauls; False if more than the code differs."""
        if not isinstance(spec, ConsumerSpec) or not self._alike(spec) or not self._running():
            return False
        await self._lanes.swap(spec)
        self.spec = self._spec = spec
        self.ledger.views = views_of(spec)
        self.ledger.version += 1
        return True

    async def stop(self, *, drain: bool, timeout_s: float) -> None:
        """Stop pulling, finish or give back what is in flight, close."""
        if self._main is None:
            return
        if not self.ledger.state.ended:
            self.ledger.enter(State.DRAINING)
        for pull in self._pulls:
            pull.cancel()
        if drain and not self._main.done():
            await self._wait_settled(timeout_s)
        self._ended.set()
        await asyncio.wait([self._main], timeout=CLOSE_S)
        if not self._main.done():
            self._main.cancel()
            await asyncio.wait([self._main], timeout=CLOSE_S)
        if not self.ledger.state.ended:  # it is stuck in user code; its thread is left behind
            self.ledger.enter(State.STOPPED, "its code did not return in time")

    def keep_source(self) -> None:
        """Leave the source open on stop, for a successor."""
        self._keep_source = True

    def inherit(self, other: Consumer) -> None:
        """Take over the open source of a stopped consumer of an equal source."""
        self._source_stack, self._source = other._source_stack, other._source
        other._source_stack, other._source = AsyncExitStack(), None

    def reads_like(self, spec: ProcessorSpec) -> bool:
        """Whether another spec reads the same source."""
        return isinstance(spec, ConsumerSpec) and spec.source == self._spec.source

    async def send(self, element: object) -> list[object]:
        """Run one element through the code and give what it returned."""
        lane = self._lanes.free()
        return await send_through(lane.code, lane.worker, element)

    async def redo(self, again: Again) -> Redone:
        """Run a failed element through the code and into the sink; a drain waits for it."""
        main = self._main
        if self._settler is None or main is None or not self._running():
            raise not_ready(self._spec, self.ledger)
        self._unsettled += 1
        self._all_settled.clear()
        try:
            push = pushing(self._pusher, main)
            return await redo_through(self._lanes.free(), again, push, self.ledger)
        finally:
            self._count_off(1)

    def snapshot(self) -> ProcessorSnapshot:
        """The consumer at this moment."""
        self._count_in()
        self.ledger.metrics.in_flight = self._unsettled
        return self.ledger.snapshot(self.spec, None if self.ledger.state.ended else self._backlog)

    # -- the pipeline --------------------------------------------------------------------------

    async def _run(self) -> None:
        failure = ""
        try:
            async with AsyncExitStack() as stack:
                await self._open_all(stack)
                await self._work()
        except Exception as error:  # noqa: BLE001  (the unit's boundary)
            first = _first(error)
            failure = str(first) if isinstance(first, BuildFlowError) else describe(first)
        finally:
            await self._shut()
            if failure:
                self.ledger.enter(State.FAILED, failure)
            else:
                self.ledger.enter(State.DONE if self._finished else State.STOPPED)
            self.on_end()

    async def _open_all(self, stack: AsyncExitStack) -> None:
        spec, env, waits = self._spec, self._env, self._waits
        sink, source = spec.sink, spec.source
        if sink is not None:
            out = spec.output_type
            opened = await waits.out("sink", lambda: stack.enter_async_context(sink.sink(env, out)))
            plan = PushPlan(sink.max_push, sink.linger_s, spec.options.retries)
            self._pusher = Pusher(
                opened, plan, self._clock, lambda reason: waits.show("sink", reason)
            )
        stack.push_async_callback(self._dead.close)
        await waits.out("dead letter", lambda: self._dead.open(env))
        if self._source is None:
            kept = self._source_stack
            self._source = await waits.out(
                "source", lambda: kept.enter_async_context(source.source(env))
            )
        self._settler = Settler(self._source, self._clock, self.ledger.log)

    async def _work(self) -> None:
        assert self._source is not None  # noqa: S101  (opened right before)
        assert self._settler is not None  # noqa: S101
        self.ledger.enter(State.RUNNING)
        spec = self._spec
        pullers = min(spec.options.num_replicas, spec.source.max_pullers)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._lane(lane)) for lane in self._lanes]
            tasks.append(group.create_task(self._settler.run()))
            tasks.append(group.create_task(self._retries.run()))
            tasks.append(group.create_task(self._remedy.run()))
            tasks.append(group.create_task(self._watch_backlog(self._source)))
            if self._pusher is not None:
                tasks.append(group.create_task(self._pusher.run()))
            self._pulling = pullers
            self._pulls = [group.create_task(self._pull(self._source)) for _ in range(pullers)]
            await self._ended.wait()
            for task in (*tasks, *self._pulls):
                task.cancel()

    async def _pull(self, source: Source) -> None:
        tries = 0
        while True:
            if self._full():
                await self._room()
            try:
                batch = await source.pull()
            except PermanentError:
                raise
            except Exception as error:  # noqa: BLE001  (a source may raise anything)
                tries += 1
                self._waits.show("source", str(error) or describe(error))
                await self._clock.sleep(backoff_s(tries))
                continue
            if tries:
                tries = 0
                self._waits.show("source", "")
            if batch is None:
                break
            if batch.items:
                self._take_in(batch)
            else:
                await asyncio.sleep(0)  # a source that says "nothing yet" must not spin the loop
        self._pulling -= 1
        if self._pulling == 0:
            await self._finish()

    def _take_in(self, batch: Batch) -> None:
        now = self._clock.now()
        count = len(batch.items)
        self._uncounted += count
        self._unsettled += count
        self._all_settled.clear()
        self._inbox.put(Load.of(batch, now))

    def _count_in(self) -> None:
        """Count what was pulled since the last time; once a haul, since once a pull is dear."""
        if self._uncounted:
            self.ledger.metrics.taken.add(self._uncounted, self._clock.now())
            self._uncounted = 0

    def _full(self) -> bool:
        """Whether every lane has enough to do, or memory is at its bound."""
        return (
            self._inbox.elements >= self._hands * self._pace.haul or self._unsettled >= self._most
        )

    async def _room(self) -> None:
        while self._full():
            await self._inbox.wait_taken()

    async def _finish(self) -> None:
        """The source has ended: wait for the rest, then end."""
        if self._unsettled:
            await self._all_settled.wait()
        self._finished = True
        self._ended.set()

    async def _lane(self, lane: Lane) -> None:
        logs.current.set(self.ledger.log)
        while True:
            haul = await self._inbox.take(self._pace.haul)
            self._count_in()
            self._under_way[id(haul)] = haul
            outcome = await lane.run(haul.items())
            self._pace.learn(len(haul), outcome.seconds)
            remember(self.ledger, haul, outcome, self._spec.options.retries)
            await self._hand_over(haul, outcome)
            del haul, outcome  # else they stay in memory until there is more to do

    async def _hand_over(self, haul: Haul, outcome: Outcome) -> None:
        if self._pusher is None or not outcome.items:
            self._settle(haul, outcome, {})
            return
        parcel = Parcel(outcome.items, lambda faults: self._settle(haul, outcome, faults))
        await self._pusher.submit(parcel)

    # -- what becomes of elements --------------------------------------------------------------

    def _settle(self, haul: Haul, outcome: Outcome, unpushed: Faults) -> None:
        """Everything that a haul gave is in the sink, or known to be at fault."""
        del self._under_way[id(haul)]
        metrics, now = self.ledger.metrics, self._clock.now()
        slots = outcome.slots
        final = {i if slots is None else slots[i]: error for i, error in unpushed.items()}
        faults = {**outcome.faults, **final}
        metrics.given.add(len(outcome.items) - len(unpushed), now)
        metrics.dropped += outcome.dropped
        for load, start, end in haul.parts:
            metrics.latency.add(now - load.pulled_at, end - start, now)
        good = len(haul) - len(faults)
        self._dealt_with(good, haul.receipts(frozenset(faults)), True)
        if faults:
            self._remedy.sort_out(haul, faults, frozenset(final))

    def _dealt_with(self, count: int, receipts: list[object], ok: bool) -> None:
        if receipts and self._settler is not None:
            self._settler.add(receipts, ok=ok, then=lambda: self._count_off(count))
        else:
            self._count_off(count)

    def _count_off(self, count: int) -> None:
        self._unsettled -= count
        self._inbox.wake()
        if self._unsettled == 0:
            self._all_settled.set()

    # -- waiting -------------------------------------------------------------------------------

    async def _watch_backlog(self, source: Source) -> None:
        while True:
            try:
                self._backlog = await source.backlog()
            except Exception as error:  # noqa: BLE001  (a source may raise anything)
                self._backlog = None
                self.ledger.log.add("DEBUG", f"backlog: {describe(error)}")
            await self._clock.sleep(BACKLOG_EVERY_S)

    async def _wait_settled(self, timeout_s: float) -> None:
        assert self._main is not None  # noqa: S101
        if not self._unsettled:
            return
        settled = asyncio.create_task(self._all_settled.wait())
        await asyncio.wait(
            [settled, self._main], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        settled.cancel()
        if self._unsettled:
            text = f"{self._unsettled} elements were not finished in {timeout_s:g} s"
            self.ledger.log.add("WARNING", text)

    # -- the end ------------------------------------------------------------------------------

    def _alike(self, spec: ConsumerSpec) -> bool:
        mine, yours = self._spec, spec
        return (
            mine.source == yours.source
            and mine.sink == yours.sink
            and mine.output_type == yours.output_type
            and mine.options == yours.options
        )

    def _running(self) -> bool:
        return self.ledger.state in (State.RUNNING, State.WAITING) and not self._ended.is_set()

    async def _shut(self) -> None:
        """Give back what is left, tear the code down, close the source."""
        if self._settler is not None:
            left = self._inbox.clear() + list(self._under_way.values())
            receipts = [receipt for haul in left for receipt in haul.receipts(frozenset())]
            for load in self._retries.clear():
                receipts += load.receipts or []
            receipts += self._remedy.left()
            if receipts:
                self._settler.add(receipts, ok=False, then=lambda: None)
            await quietly(self.ledger.log, "giving back", self._settler.flush())
        await self._lanes.close()
        if not self._keep_source or self._finished:
            await quietly(self.ledger.log, "closing the source", self._source_stack.aclose())
            self._source = None


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
