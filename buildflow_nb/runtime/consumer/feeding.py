"""Feeds a consumer's workers: each has a feeder that takes chunks to it, and on what they gave.

Feeders come and go with their workers while everything else goes on. One that goes finishes the
chunk that it is at, and takes no other; so nothing is lost, and no element is taken twice.

Counted once a chunk is how long workers are in code and how long they wait for the sink. What is
under way counts, too, when somebody asks, or slow elements would look like idleness.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from buildflow_nb.runtime.consumer.inbox import Chunk, Inbox, Pace
from buildflow_nb.runtime.consumer.outcome import ChunkOutcome
from buildflow_nb.runtime.consumer.tracing import ChunkTracing
from buildflow_nb.runtime.consumer.worker_pool import PoolWorker, WorkerPool, keep_passages
from buildflow_nb.runtime.observability import logs
from buildflow_nb.runtime.observability.tracebacks import describe

__all__ = ("Feeding",)

HandOver = Callable[[Chunk, ChunkOutcome], Awaitable[None]]

_TAKING, _IN_CODE, _AT_SINK = range(3)


@dataclass(slots=True, eq=False)
class _Feeder:
    worker: PoolWorker
    at: int = _TAKING
    since: float = 0.0  # monotonic seconds, where it is not taking
    leaves: bool = False
    task: asyncio.Task[None] | None = None


class Feeding:
    """The feeders of one consumer; used on the loop only.

    `taken` is called once a chunk, before it is processed; `hand_over` takes what it gave.
    """

    def __init__(
        self,
        inbox: Inbox,
        pace: Pace,
        pool: WorkerPool,
        taken: Callable[[], None],
        tracing: ChunkTracing,
    ) -> None:
        self.under_way: dict[int, Chunk] = {}
        self._inbox = inbox
        self._pace = pace
        self._pool = pool
        self._ledger = ledger = tracing.ledger
        self._now = ledger.clock.now
        self._taken = taken
        self._tracing = tracing
        self._hand_over: HandOver | None = None
        self._group: asyncio.TaskGroup | None = None
        self._feeders: list[_Feeder] = []
        self._turn = asyncio.Lock()

    def start(self, group: asyncio.TaskGroup, hand_over: HandOver) -> None:
        """Feed all workers, as tasks of a group, until `stop`."""
        self._group, self._hand_over = group, hand_over
        self._begin(list(self._pool))

    def stop(self) -> None:
        """Cancel all; what is under way stays so."""
        self._group = None
        for feeder in self._feeders:
            if feeder.task is not None:
                feeder.task.cancel()

    async def scale(self, replicas: int) -> None:
        """Have that many replicas, at least one; each that comes works at once.

        Raises:
            Exception: the setup of a replica failed; those before it stay.
        """
        async with self._turn:
            while self._group is not None and self._pool.replicas < replicas:
                self._begin(await self._pool.grow())
            while self._group is not None and self._pool.replicas > max(replicas, 1):
                replica = self._pool.shrink()
                await self._pool.leave(replica, self._end(replica.workers))

    def totals(self) -> tuple[float, float]:
        """Seconds that workers were in code, and waited for the sink, up to this moment."""
        metrics, now = self._ledger.metrics, self._now()
        spent = [metrics.busy_s, metrics.push_s]
        for feeder in self._feeders:
            if feeder.at != _TAKING:
                spent[feeder.at == _AT_SINK] += max(now - feeder.since, 0.0)
        return spent[0], spent[1]

    def _begin(self, workers: Sequence[PoolWorker]) -> None:
        group = self._group
        if group is None:  # it has ended meanwhile; the pool ends its workers
            return
        for worker in workers:
            feeder = _Feeder(worker)
            work = self._feed(feeder)
            try:
                feeder.task = group.create_task(work)
            except RuntimeError:  # it is ending at this moment
                work.close()
                return
            self._feeders.append(feeder)
            feeder.task.add_done_callback(partial(self._gone, feeder))

    def _end(self, workers: Sequence[PoolWorker]) -> list[asyncio.Task[None]]:
        """Let the feeders of these take no more; gives what is to be waited for."""
        leaving = [feeder for feeder in self._feeders if feeder.worker in workers]
        for feeder in leaving:
            feeder.leaves = True
            if feeder.at == _TAKING and feeder.task is not None:
                feeder.task.cancel()  # it has nothing in hand
        return [feeder.task for feeder in leaving if feeder.task is not None]

    async def _feed(self, feeder: _Feeder) -> None:
        logs.current.set(self._ledger.log)
        while not feeder.leaves:
            await self._feed_one(feeder)

    def _gone(self, feeder: _Feeder, _: asyncio.Task[None]) -> None:
        self._feeders.remove(feeder)

    async def _feed_one(self, feeder: _Feeder) -> None:
        chunk = await self._inbox.take(self._pace.chunk)
        self._taken()
        self.under_way[id(chunk)] = chunk
        now, metrics = self._now, self._ledger.metrics
        feeder.at, feeder.since = _IN_CODE, now()
        taken = feeder.since
        visits = self._tracing.begin(chunk, taken, slow=self._pace.slow)
        outcome = await feeder.worker.run(chunk.items(), None, visits)
        metrics.busy_s += outcome.seconds
        self._pace.learn(len(chunk), outcome.seconds)
        keep_passages(self._ledger, chunk, outcome, feeder.worker.code.spec.options.retries)
        feeder.at, feeder.since = _AT_SINK, now()
        self._traced(chunk, outcome, taken, feeder.since)
        assert self._hand_over is not None  # noqa: S101  (set before any feeder begins)
        await self._hand_over(chunk, outcome)
        metrics.push_s += now() - feeder.since
        feeder.at = _TAKING

    def _traced(self, chunk: Chunk, outcome: ChunkOutcome, taken: float, now: float) -> None:
        """Keep what a trace is made of; trouble goes to the log, as with passages."""
        # Where the two clocks are not the same, it lies between these two at least.
        outcome.began = min(max(outcome.began, taken), max(now - outcome.seconds, taken))
        outcome.handed = now
        try:
            self._tracing.worked(chunk, outcome)
        except Exception as error:  # noqa: BLE001  (a user's classes, which may do anything)
            self._ledger.log.add("ERROR", f"elements cannot be traced: {describe(error)}")
