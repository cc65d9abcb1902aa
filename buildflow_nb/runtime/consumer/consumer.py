"""A consumer at work: pull, inbox, workers, push, settle.

    source ──pull──► inbox ──chunk──► worker (thread or task) ──request──► pusher ──► sink
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
* Memory is bounded: `MAX_UNSETTLED` elements or two full pushes; a slow sink holds the source back.
* Code can be swapped between two chunks while everything else goes on (`swap`).
* Replicas can be added and removed meanwhile (`scale`), and swaps stay exact.
* It can be replaced as a whole (`take_over`) by one that takes its open source and what is undone.
* A source that cannot go on makes it FAILED, after what was read until then has been settled.

Everything here runs on the loop thread, but `Code.run`, which runs on the workers' threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec
from buildflow_nb.core.errors import PermanentError, RunError
from buildflow_nb.core.primitive import Source, label_of
from buildflow_nb.core.status.snapshot import ProcessorSnapshot, State
from buildflow_nb.runtime.autoscale.sample import Load
from buildflow_nb.runtime.autoscale.scaler import Scaler, scales
from buildflow_nb.runtime.concurrency.calls import contained
from buildflow_nb.runtime.consumer.connections import Connections
from buildflow_nb.runtime.consumer.failure_policy import FailurePolicy, Retries
from buildflow_nb.runtime.consumer.feeding import Feeding
from buildflow_nb.runtime.consumer.inbox import Chunk, Inbox, Pace, PulledBatch
from buildflow_nb.runtime.consumer.intake import Intake
from buildflow_nb.runtime.consumer.manual_retry import retry_through
from buildflow_nb.runtime.consumer.outcome import ChunkOutcome
from buildflow_nb.runtime.consumer.pulls import Pulls
from buildflow_nb.runtime.consumer.send import send_through
from buildflow_nb.runtime.consumer.settle import Settler
from buildflow_nb.runtime.consumer.threads import Threads
from buildflow_nb.runtime.consumer.tracing import ChunkTracing
from buildflow_nb.runtime.consumer.worker_pool import CLOSE_S, WorkerPool, quietly
from buildflow_nb.runtime.liveness import Liveness, Waits
from buildflow_nb.runtime.observability.failures import RetryInput, RetryResult
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.metrics import Counted
from buildflow_nb.runtime.observability.redaction import redaction_of
from buildflow_nb.runtime.observability.tracebacks import reason_of
from buildflow_nb.runtime.scopes import Supply
from buildflow_nb.runtime.sinks.push import Faults, pushing
from buildflow_nb.runtime.unit import Unit, not_ready

__all__ = ("Consumer",)

MAX_UNSETTLED = 10_000  # elements between pull and settle, if the sink's pushes are not larger


class Consumer:
    """The unit of a consumer."""

    def __init__(
        self,
        spec: ConsumerSpec,
        supply: Supply,
        ledger: Ledger,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.spec: ProcessorSpec = spec
        self._spec = spec
        self.ledger = ledger
        self._clock = ledger.clock
        self._now = ledger.clock.now
        self.live = Liveness(ledger)
        self._on_end = on_end
        self._inbox = Inbox()
        self._retries = Retries(self._inbox, ledger.clock)
        self._pool = WorkerPool(ledger.log, supply)
        self._pulls: Pulls | None = None
        self._pulling: asyncio.Task[None] | None = None
        self._broken: BaseException | None = None
        self._finished = False
        self._go = asyncio.Event()
        self._sink_known = asyncio.Event()
        self._ended = asyncio.Event()
        self._waits = Waits(self.live, ledger.clock)
        pace, pushes = Pace(), 2 * spec.sink.max_push if spec.sink is not None else 0
        most = max(MAX_UNSETTLED, pushes)
        self._intake = Intake(self._inbox, pace, ledger, self._waits, most)
        self._in_flight = self._intake.in_flight
        self._tracing = ChunkTracing.of(spec, ledger)
        self._feeding = Feeding(self._inbox, pace, self._pool, self._intake.count_in, self._tracing)
        self._threads = Threads(
            spec=lambda: self._spec,
            pool=self._pool,
            feeding=self._feeding,
            intake=self._intake,
            waits=self._waits,
            ledger=ledger,
            backlog=self._backlog,
        )
        self._scaler = Scaler(self._threads, ledger.log, ledger.clock)
        self._main: asyncio.Task[None] | None = None
        self._heir: Consumer | None = None
        self._open = Connections(spec, supply.env, ledger, self._waits, self._tracing)
        self._settler: Settler | None = None
        self._policy = FailurePolicy(
            self._retries, self._open.dead, ledger, spec.options.retries, self._dealt_with
        )

    # -- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Set the code up and begin; connections are opened in the background."""
        self._begin()
        await self._set_up()

    async def prepare(self, old: Unit | None) -> None:
        """Set the code up and open the sink, or find that it cannot be opened for now.

        From now on `old` leaves what it has to this one, also if it ends by itself meanwhile.
        """
        before = old if isinstance(old, Consumer) else None
        try:
            if before is not None:
                before.leave_to(self)
                self._threads.follow(before._threads)  # noqa: SLF001
            await self._set_up()
            await self._sink_known.wait()
            if self._broken is not None:
                raise RunError(reason_of(self._broken))  # noqa: TRY301  (as if opening it had)
        except BaseException:
            if before is not None:
                before.leave_to(None)
            raise

    async def take_over(self, old: Unit | None, timeout_s: float) -> None:
        """Let the unit that did this so far finish, and go on where it was."""
        if old is not None:
            await old.retire(timeout_s)
        self._begin()

    def leave_to(self, heir: Consumer | None) -> None:
        """Pass the open source on at the end, and what is undone, to one that reads the same."""
        alike = heir is not None and heir._spec.source == self._spec.source  # noqa: SLF001
        self._heir = heir if alike else None

    async def swap(self, spec: ProcessorSpec) -> bool:
        """Let new code take over between two chunks; False if more than the code differs."""
        if not isinstance(spec, ConsumerSpec) or not self._spec.pipes_like(spec):
            return False
        if not self._running():
            return False
        await self._pool.swap(spec)
        self.spec = self._spec = spec
        self.ledger.redaction = redaction_of(spec)
        self.ledger.version += 1
        return True

    async def stop(self, *, drain: bool, timeout_s: float) -> None:
        """Stop pulling, finish or give back what is in flight, close."""
        if self._main is None:
            return
        if not self.live.state.ended:
            self.live.enter(State.DRAINING)
        if self._pulling is not None:
            self._pulling.cancel()
        if drain and not self._main.done():
            await self._wait_settled(self._main, timeout_s)
        self._ended.set()
        if self._pulls is not None:
            await asyncio.wait([self._main], timeout=CLOSE_S)
        if not self._main.done():
            self._main.cancel()
            await asyncio.wait([self._main], timeout=CLOSE_S)
        if not self.live.state.ended:  # it is stuck in user code; its thread is left behind
            self.live.enter(State.STOPPED, "its code did not return in time")

    async def retire(self, timeout_s: float) -> None:
        """Stop for a successor, without a word: to everybody else the processor goes on.

        While it waits for its sink there is no telling how long; the successor takes what is left.
        """
        self.live.end()
        await self.stop(drain=self.ledger.state is not State.WAITING, timeout_s=timeout_s)

    async def send(self, element: object) -> list[object]:
        """Run one element through the code and give what it returned."""
        worker = self._pool.free()
        return await send_through(worker.code, worker.thread, element, self.ledger.log)

    async def retry(self, wanted: RetryInput) -> RetryResult:
        """Run a failed element through the code and into the sink; a drain waits for it."""
        main = self._main
        if self._settler is None or main is None or not self._running():
            raise not_ready(self._spec, self.ledger)
        self._in_flight.add(1)
        try:
            push = pushing(self._open.pusher, main)
            return await retry_through(self._pool.free(), wanted, push, self.ledger)
        finally:
            self._in_flight.settle(1)

    @property
    def read_to_end(self) -> object | None:
        """Its source, once that has ended and everything of it is settled."""
        return self._spec.source if self.ledger.state is State.DONE else None

    @property
    def drained(self) -> bool:
        """Whether nothing is under way, and nothing left that could be pulled."""
        return not self._in_flight.count and self._pulls is not None and self._pulls.empty

    def snapshot(self) -> ProcessorSnapshot:
        """The consumer at this moment."""
        self._intake.count_in()
        self.ledger.metrics.in_flight = self._in_flight.count
        shot = self.ledger.snapshot(self.spec, self._backlog())
        replicas, wanted = self._threads.replicas, self._threads.wanted
        ends = self._pulls is not None and self._pulls.ends
        return replace(shot, replicas=replicas, wanted=wanted, scaling=self._scaler.why, ends=ends)

    def counted(self) -> Counted:
        """What it has counted until now."""
        self._intake.count_in()
        metrics = self.ledger.metrics
        metrics.in_flight = self._in_flight.count
        return metrics.counted(self._backlog())

    def load(self) -> Load:
        """What its workers have done up to this moment."""
        return self._threads.load()

    async def scale(self, replicas: int) -> None:
        """Have that many replicas, at least one; nothing is lost, and nothing taken twice.

        Raises:
            Exception: the setup of one failed; those before it stay.
        """
        await self._threads.scale(replicas)

    # -- the pipeline --------------------------------------------------------------------------

    def _begin(self) -> None:
        """From now on this is the processor, for all to see."""
        self.live.begin()
        self._waits.show_again()
        self.ledger.redaction = redaction_of(self._spec)
        self._go.set()

    async def _set_up(self) -> None:
        await self._pool.open(self._spec, self._threads.wanted)
        self._intake.work_for(len(self._pool))
        self._main = asyncio.create_task(self._run(), name=f"consumer {self._spec.id}")

    async def _run(self) -> None:
        try:
            await contained(self._session())
        except Exception as error:  # noqa: BLE001  (the unit's boundary)
            self._broken = self._broken or error
        finally:
            await self._shut()
            self._sink_known.set()
            if self._broken is not None:
                self.live.enter(State.FAILED, reason_of(self._broken))
            else:
                self.live.enter(State.DONE if self._finished else State.STOPPED)
            self._on_end()

    async def _session(self) -> None:
        async with AsyncExitStack() as stack:
            self._waits.on_wait = self._sink_known.set
            await self._open.open_sinks(stack)
            self._sink_known.set()
            await self._go.wait()
            try:
                await self._work(await self._open.open_source())
            except Exception as error:  # a sink that swallows it on its way out changes nothing
                self._broken = self._broken or error
                raise

    async def _work(self, source: Source) -> None:
        self._settler = Settler(source, self._clock, self.ledger.log)
        self._open.keep_with(self._settler, source)
        label = label_of(self._spec.source)
        self._pulls = Pulls(source, label, self._intake, self.ledger.activity, self._clock)
        self.live.enter(State.RUNNING)
        self._waits.show_again()
        async with asyncio.TaskGroup() as group:
            self._feeding.start(group, self._hand_over)
            parts = (self._settler.run, self._retries.run, self._policy.run, self._pulls.watch)
            tasks = [group.create_task(run()) for run in parts]
            if scales(self._spec.options, threads=True):
                self._threads.begin()
                tasks.append(group.create_task(self._scaler.run()))
            if self._open.pusher is not None:
                tasks.append(group.create_task(self._open.pusher.run()))
            self._pulling = group.create_task(self._pull(self._pulls))
            await self._ended.wait()
            self._feeding.stop()
            for task in (*tasks, self._pulling):
                task.cancel()

    async def _pull(self, pulls: Pulls) -> None:
        """Pull until the source has ended or cannot go on; wait for the rest, then end."""
        try:
            await pulls.run(min(self._spec.options.num_replicas, self._spec.source.max_pullers))
        except PermanentError as error:
            self._broken = error
            self.ledger.log.add("ERROR", reason_of(error))
            if self._in_flight.count:
                self.live.remark(f"{reason_of(error)}; what was read until then is finished first")
        finally:
            self._open.hurry()
        await self._in_flight.wait_settled()
        self._finished = self._broken is None
        self._ended.set()

    async def _hand_over(self, chunk: Chunk, outcome: ChunkOutcome) -> None:
        if self._open.pusher is None or not outcome.items:
            self._settle(chunk, outcome, {})
            return
        await self._open.push(chunk, outcome, lambda faults: self._settle(chunk, outcome, faults))

    def _backlog(self) -> int | None:
        pulls = None if self.ledger.state.ended else self._pulls
        return None if pulls is None else pulls.backlog

    # -- what becomes of elements --------------------------------------------------------------

    def _settle(self, chunk: Chunk, outcome: ChunkOutcome, unpushed: Faults) -> None:
        """Everything that a chunk gave is in the sink, or known to be at fault."""
        del self._feeding.under_way[id(chunk)]
        metrics, now = self.ledger.metrics, self._clock.now()
        slots = outcome.slots
        final = {i if slots is None else slots[i]: error for i, error in unpushed.items()}
        faults = {**outcome.faults, **final}
        visits = self._tracing.settled(chunk, outcome, final, now)
        metrics.given.add(len(outcome.items) - len(unpushed), now)
        metrics.dropped += outcome.dropped
        outcome.count_times(metrics, chunk, now)
        good = len(chunk) - len(faults)
        self._dealt_with(good, chunk.receipts(frozenset(faults)), True)
        if faults:
            self._policy.decide(chunk, faults, frozenset(final), visits)

    def _dealt_with(self, count: int, receipts: list[object], ok: bool) -> None:
        if receipts and self._settler is not None:
            self._settler.add(receipts, ok=ok, then=lambda: self._in_flight.settle(count))
        else:
            self._in_flight.settle(count)

    async def _wait_settled(self, main: asyncio.Task[None], timeout_s: float) -> None:
        if not self._in_flight.count:
            return
        settled = asyncio.create_task(self._in_flight.wait_settled())
        await asyncio.wait([settled, main], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        settled.cancel()
        if self._in_flight.count and self._heir is None:
            text = f"{self._in_flight.count} elements were not finished in {timeout_s:g} s"
            self.ledger.log.add("WARNING", text)

    # -- the end ------------------------------------------------------------------------------

    def _running(self) -> bool:
        return self.ledger.state in (State.RUNNING, State.WAITING) and not self._ended.is_set()

    async def _shut(self) -> None:
        """Pass on or give back what is left, tear the code down, close the source."""
        log, heir = self.ledger.log, self._heir
        left = self._left()
        if self._open.source is not None:
            settler = self._settler or Settler(self._open.source, self._clock, log)
            if heir is None:
                settler.release([r for batch in left for r in batch.receipts or ()])
            await quietly(log, "giving back", settler.flush())
        for batch in left if heir is not None else ():
            heir._intake.take_over(batch)  # type: ignore[union-attr]  # noqa: SLF001
        await self._pool.close()
        if heir is not None and self._broken is None:
            self._open.pass_source_to(heir._open)  # noqa: SLF001
        await quietly(log, "closing the source", self._open.close_source())

    def _left(self) -> list[PulledBatch]:
        """What was taken and is not settled, oldest first, as far as anybody can tell."""
        chunks = [*self._feeding.under_way.values(), *self._inbox.clear()]
        return [
            *(batch.part(start, end) for chunk in chunks for batch, start, end in chunk.parts),
            *self._retries.clear(),
            *self._policy.left(),
        ]
