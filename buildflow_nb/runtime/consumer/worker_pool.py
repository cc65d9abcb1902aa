"""The workers of a consumer: replicas with their code, and those who take elements through it.

A worker is one element at a time: a thread for sync code and the task that feeds it. A replica has
`num_concurrency` workers that share one instance of its class. Code is swapped between two chunks:
each worker takes up the new code with its next chunk, and the old code is torn down when no worker
is in it any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec
from buildflow_nb.core.errors import ConversionError
from buildflow_nb.runtime.concurrency.calls import contained
from buildflow_nb.runtime.concurrency.worker_thread import WorkerThread
from buildflow_nb.runtime.consumer.code import ChunkOutcome, Code, compile_code
from buildflow_nb.runtime.consumer.inbox import Chunk
from buildflow_nb.runtime.injection import injector_for
from buildflow_nb.runtime.observability import logs
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.tracebacks import describe
from buildflow_nb.runtime.scopes import Instances, Supply

__all__ = ("CLOSE_S", "PoolWorker", "WorkerPool", "keep_passages", "lone_worker", "quietly")

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

    async def run(self, items: Sequence[object], variant: Code | None = None) -> ChunkOutcome:
        """Take a chunk through the code of this moment, or through a variant of it."""
        code = variant or self.code
        self._inside += 1
        self.idle.clear()
        try:
            if code.is_async:
                outcome = await code.run_async(items)
                await asyncio.sleep(0)  # code that never waits must not starve the loop
                return outcome
            # A lambda's closure would live on in the traceback of an error, and the items with it.
            return await self.thread.submit(partial(code.run, items))
        finally:
            self._inside -= 1
            if not self._inside:
                self.idle.set()


class WorkerPool:
    """All workers of a consumer, by replica."""

    def __init__(self, log: logs.LogRing, supply: Supply) -> None:
        self._log = log
        self._supply = supply
        self._replicas: list[list[PoolWorker]] = []
        self._instances: list[Instances] = []  # of each replica: they outlive its code
        self._retiring: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[PoolWorker]:
        return (worker for replica in self._replicas for worker in replica)

    def free(self) -> PoolWorker:
        """A worker that has nothing to do, or else the first one."""
        return next((worker for worker in self if worker.idle.is_set()), self._replicas[0][0])

    def __len__(self) -> int:
        return sum(len(replica) for replica in self._replicas)

    async def open(self, spec: ConsumerSpec) -> None:
        """Make threads and set the code up.

        Raises:
            Exception: the user's setup failed; nothing stays open.
        """
        context = logs.context_of(self._log)
        options = spec.options
        try:
            for replica in range(options.num_replicas):
                names = [f"{spec.id}-{replica}.{i}" for i in range(options.num_concurrency)]
                threads = [WorkerThread(name, context.copy()) for name in names]
                self._instances.append(Instances(self._supply.shared))
                code = self._compiled(spec, self._instances[-1], threads[0])
                self._replicas.append([PoolWorker(thread, code) for thread in threads])
                await code.set_up(threads[0])
        except BaseException:
            await self.close()
            raise

    async def swap(self, spec: ConsumerSpec) -> None:
        """Let every replica take up new code.

        Raises:
            Exception: the new code's setup failed; the old code still runs.
        """
        fresh: list[Code] = []
        try:
            for workers, instances in zip(self._replicas, self._instances, strict=True):
                fresh.append(self._compiled(spec, instances, workers[0].thread))
                await fresh[-1].set_up(workers[0].thread)
        except BaseException:
            for code, workers in zip(fresh, self._replicas, strict=False):
                await quietly(self._log, "teardown", code.tear_down(workers[0].thread))
            raise
        for code, workers in zip(fresh, self._replicas, strict=True):
            old = workers[0].code
            for worker in workers:
                worker.code = code
            await self._retire(old, workers)

    async def close(self) -> None:
        """Tear the code down and end the threads; one that is stuck is left behind."""
        for task in self._retiring:
            task.cancel()  # whatever is still in old code has had its time
        if self._retiring:
            await asyncio.wait(set(self._retiring), timeout=CLOSE_S)
        for workers in self._replicas:
            await quietly(self._log, "teardown", workers[0].code.tear_down(workers[0].thread))
            for worker in workers:
                worker.thread.close()
        self._replicas, self._instances = [], []

    def _compiled(self, spec: ConsumerSpec, instances: Instances, thread: WorkerThread) -> Code:
        injector = injector_for(spec.processor, instances, self._supply, thread.submit)
        return compile_code(spec, injector)

    async def _retire(self, old: Code, workers: list[PoolWorker]) -> None:
        """Tear old code down; what it is still at after a while goes on, with all that it uses."""
        if not old.spec.processor.is_class and old.injector is None:
            return

        async def retire() -> None:
            try:
                for worker in workers:
                    await worker.idle.wait()
            finally:
                await quietly(self._log, "teardown", old.tear_down(workers[0].thread))

        task = asyncio.create_task(retire())
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
