"""The workers of a consumer: replicas with their code, and those who take elements through it.

A worker is one element at a time: a thread for sync code and the task that feeds it. A replica has
`num_concurrency` workers that share one instance of its class. Code is swapped between two chunks:
each worker takes up the new code with its next chunk, and the old code is torn down when no worker
is in it any more. Replicas come and go alike: one that comes is set up before anything reaches it,
one that goes finishes the chunks that it is at.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.runtime.concurrency.calls import contained
from buildflow_nb.runtime.concurrency.worker_thread import WorkerThread
from buildflow_nb.runtime.consumer.code import Code, compile_code
from buildflow_nb.runtime.consumer.inbox import Chunk
from buildflow_nb.runtime.consumer.outcome import NOT_TRACED, ChunkOutcome
from buildflow_nb.runtime.injection import injector_for
from buildflow_nb.runtime.observability import logs
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.tracebacks import describe
from buildflow_nb.runtime.observability.visits import Visit
from buildflow_nb.runtime.scopes import Instances, Supply

__all__ = (
    "CLOSE_S",
    "PoolWorker",
    "Replica",
    "WorkerPool",
    "keep_passages",
    "lone_worker",
    "quietly",
)

CLOSE_S = 2.0  # seconds that teardown and closing connections may take


@dataclass(slots=True)
class PoolWorker:
    """A thread, the code that it runs, and whether it is in there."""

    thread: WorkerThread
    code: Code
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    _inside: int = 0

    def __post_init__(self) -> None:
        self.idle.set()

    async def run(
        self,
        items: Sequence[object],
        variant: Code | None = None,
        visits: Mapping[int, Visit] = NOT_TRACED,
    ) -> ChunkOutcome:
        """Take a chunk through the code of this moment, or through a variant of it."""
        code = variant or self.code
        self._inside += 1
        self.idle.clear()
        try:
            if code.is_async:
                outcome = await code.run_async(items, visits)
                outcome.visits = visits
                await asyncio.sleep(0)  # code that never waits must not starve the loop
                return outcome
            # A lambda's closure would live on in the traceback of an error, and the items with it.
            outcome = await self.thread.submit(partial(code.run, items, visits))
            outcome.visits = visits
            return outcome
        finally:
            self._inside -= 1
            if not self._inside:
                self.idle.set()


@dataclass(slots=True, eq=False)
class Replica:
    """Workers that share one instance of the code; `instances` outlive the code."""

    workers: list[PoolWorker]
    instances: Instances

    @property
    def thread(self) -> WorkerThread:
        """Where its code is set up and torn down."""
        return self.workers[0].thread

    @property
    def code(self) -> Code:
        """What its workers take up with their next chunk."""
        return self.workers[0].code

    def take_up(self, code: Code) -> Code:
        """Let all workers have new code with their next chunk; gives the old one."""
        old = self.code
        for worker in self.workers:
            worker.code = code
        return old


class WorkerPool:
    """All workers of a consumer, by replica; used on the loop only.

    Code may be swapped while replicas are added or removed. Each of these decides in one step, with
    all that was set up unseen before, so a replica never runs other code than its neighbours.
    """

    def __init__(self, log: logs.LogRing, supply: Supply) -> None:
        self._log = log
        self._supply = supply
        self._spec: ConsumerSpec | None = None  # of what the replicas run; None: closed
        self._replicas: list[Replica] = []
        self._retiring: set[asyncio.Task[None]] = set()
        self._numbers = count()

    def __iter__(self) -> Iterator[PoolWorker]:
        return (worker for replica in self._replicas for worker in replica.workers)

    def free(self) -> PoolWorker:
        """A worker that has nothing to do, or else the first one."""
        return next((worker for worker in self if worker.idle.is_set()), next(iter(self)))

    def __len__(self) -> int:
        return sum(len(replica.workers) for replica in self._replicas)

    @property
    def replicas(self) -> int:
        """How many there are; those that leave are not counted."""
        return len(self._replicas)

    async def open(self, spec: ConsumerSpec, replicas: int) -> None:
        """Make threads and set the code up in each replica.

        Raises:
            Exception: the user's setup failed; nothing stays open.
        """
        self._spec = spec
        try:
            for _ in range(replicas):
                self._replicas.append(await self._made(spec))
        except BaseException:
            await self.close()
            raise

    async def grow(self) -> Sequence[PoolWorker]:
        """Add a replica, once its code is set up; gives its workers, none if the pool was closed.

        Raises:
            Exception: the user's setup failed; nothing is added.
        """
        spec = self._spec
        if spec is None:
            return ()
        made = await self._made(spec)
        try:
            while self._spec is not None and self._spec is not spec:  # swapped meanwhile
                spec = self._spec
                code = await self._set_up(spec, made)
                await self._torn_down(made.take_up(code), made)
        except BaseException:
            await self._end(made)
            raise
        if self._spec is None:
            await self._end(made)
            return ()
        self._replicas.append(made)
        return made.workers

    def shrink(self) -> Replica:
        """Take the newest replica out; nothing new reaches it, and `leave` ends it."""
        return self._replicas.pop()

    async def leave(self, replica: Replica, done: Sequence[asyncio.Task[None]]) -> None:
        """End a replica that was taken out as soon as these tasks are over, and nobody is in it.

        Waits for it a while; what takes longer goes on.
        """

        async def end() -> None:
            try:
                if done:
                    await asyncio.wait(done)
                for worker in replica.workers:
                    await worker.idle.wait()
            finally:
                await self._end(replica)

        await self._wait_a_while(end())

    async def swap(self, spec: ConsumerSpec) -> None:
        """Let every replica take up new code.

        Raises:
            Exception: the new code's setup failed; the old code still runs.
        """
        fresh: dict[Replica, Code] = {}
        try:
            while missing := [r for r in self._replicas if r not in fresh]:  # some may be new
                for replica in missing:
                    fresh[replica] = await self._set_up(spec, replica)
        except BaseException:
            for replica, code in fresh.items():
                await self._torn_down(code, replica)
            raise
        self._spec = None if self._spec is None else spec
        old = [(r, r.take_up(fresh.pop(r))) for r in self._replicas]
        for replica, code in fresh.items():  # it has left meanwhile
            await self._torn_down(code, replica)
        for replica, code in old:
            await self._retire(code, replica)

    async def close(self) -> None:
        """Tear the code down and end the threads; one that is stuck is left behind."""
        self._spec = None
        for task in self._retiring:
            task.cancel()  # whatever is still in old code has had its time
        if self._retiring:
            await asyncio.wait(set(self._retiring), timeout=CLOSE_S)
        replicas, self._replicas = self._replicas, []
        for replica in replicas:
            await self._end(replica)

    async def _made(self, spec: ConsumerSpec) -> Replica:
        """A replica that nobody sees yet, with its code set up."""
        context = logs.context_of(self._log)
        number = next(self._numbers)
        names = [f"{spec.id}-{number}.{i}" for i in range(spec.options.num_concurrency)]
        threads = [WorkerThread(name, context.copy()) for name in names]
        instances = Instances(self._supply.shared)
        try:
            code = self._compiled(spec, instances, threads[0])
        except BaseException:
            for thread in threads:
                thread.close()
            raise
        replica = Replica([PoolWorker(thread, code) for thread in threads], instances)
        try:
            await code.set_up(threads[0])
        except BaseException:
            await self._end(replica)
            raise
        return replica

    async def _set_up(self, spec: ConsumerSpec, replica: Replica) -> Code:
        """New code for a replica; what its setup began is torn down where that fails."""
        code = self._compiled(spec, replica.instances, replica.thread)
        try:
            await code.set_up(replica.thread)
        except BaseException:
            await self._torn_down(code, replica)
            raise
        return code

    async def _end(self, replica: Replica) -> None:
        await self._torn_down(replica.code, replica)
        for worker in replica.workers:
            worker.thread.close()

    async def _torn_down(self, code: Code, replica: Replica) -> None:
        await quietly(self._log, "teardown", code.tear_down(replica.thread))

    def _compiled(self, spec: ConsumerSpec, instances: Instances, thread: WorkerThread) -> Code:
        injector = injector_for(spec.processor, instances, self._supply, thread.submit)
        return compile_code(spec, injector)

    async def _retire(self, old: Code, replica: Replica) -> None:
        """Tear old code down; what it is still at after a while goes on, with all that it uses."""
        if not old.spec.processor.is_class and old.injector is None:
            return

        async def retire() -> None:
            try:
                for worker in replica.workers:
                    await worker.idle.wait()
            finally:
                await self._torn_down(old, replica)

        await self._wait_a_while(retire())

    async def _wait_a_while(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        await asyncio.wait({task}, timeout=CLOSE_S)


@asynccontextmanager
async def lone_worker(
    spec: ConsumerSpec, purpose: str, ring: logs.LogRing | None, supply: Supply
) -> AsyncIterator[PoolWorker]:
    """A worker with an instance of its own, for as long as the context lasts.

    Raises:
        Exception: the user's setup or teardown failed; nothing stays open.
    """
    thread = WorkerThread(f"{purpose} {spec.id}", logs.context_of(ring))
    try:
        instances = Instances(supply.shared)
        injector = injector_for(spec.processor, instances, supply, thread.submit)
        code = compile_code(spec, injector)
        try:
            await code.set_up(thread)
            yield PoolWorker(thread, code)
        finally:
            await code.tear_down(thread)
    finally:
        thread.close()


async def quietly(log: logs.LogRing, what: str, waiting: Awaitable[object]) -> None:
    """Await what happens on the way out; trouble goes to the log."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await contained(waiting)
    except Exception as error:  # noqa: BLE001  (user code or a connection, on the way out)
        log.add("ERROR", f"{what}: {describe(error)}")


def keep_passages(ledger: Ledger, chunk: Chunk, outcome: ChunkOutcome, retries: int) -> None:
    """Keep what a person may ask for; costs a few elements a chunk, however many there were.

    An element that will be tried again, `retries` times at most, is recorded when that is over.
    What cannot be shown is not worth a processor: trouble goes to its log.
    """
    try:
        _keep(ledger, chunk, outcome)
        if ledger.recorder is not None:
            _record(ledger, chunk, outcome, retries)
    except Exception as error:  # noqa: BLE001  (a user's classes, which may do anything)
        ledger.log.add("ERROR", f"elements cannot be shown: {describe(error)}")


def _keep(ledger: Ledger, chunk: Chunk, outcome: ChunkOutcome) -> None:
    most = ledger.passages.maxlen or 0
    last = range(max(0, len(outcome.values) - most), len(outcome.values))
    kept = [i for i in last if i not in outcome.faults]
    ledger.passed(
        [outcome.values[i] for i in kept],
        [outcome.given(i) for i in kept],
        outcome.seconds / len(chunk),
        {k: outcome.traced_as(i) for k, i in enumerate(kept) if outcome.traced_as(i)},
    )


def _record(ledger: Ledger, chunk: Chunk, outcome: ChunkOutcome, retries: int) -> None:
    for i, raw in enumerate(chunk.items()):
        if ledger.recorder is None or ledger.recorder.full.is_set():
            return
        if i in outcome.faults:
            error = outcome.faults[i]
            if isinstance(error, ConversionError) or chunk.find(i)[0].tries >= retries:
                ledger.record(raw, (), error)
        else:
            ledger.record(raw, outcome.given(i))
