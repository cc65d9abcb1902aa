"""The hands of a consumer: replicas with their code, and lanes that take elements through it.

A lane is one element at a time: a thread for sync code and the task that feeds it. A replica has
`num_concurrency` lanes that share one instance of its class. Code is swapped between two hauls:
each lane takes up the new code with its next haul, and the old code is torn down when no lane is
in it any more.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from buildflow_nb.core.flow_spec import ConsumerSpec
from buildflow_nb.runtime import logs
from buildflow_nb.runtime.calls import contained
from buildflow_nb.runtime.code import Code, Outcome, compile_code
from buildflow_nb.runtime.traces import describe
from buildflow_nb.runtime.worker import Worker

__all__ = ("CLOSE_S", "Lane", "Lanes", "quietly")

CLOSE_S = 2.0  # seconds that teardown and closing connections may take


@dataclass(slots=True)
class Lane:
    """A thread, the code that it runs, and whether it is in there."""

    worker: Worker
    code: Code
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    _inside: int = 0

    def __post_init__(self) -> None:
        self.idle.set()

    async def run(self, items: Sequence[object], variant: Code | None = None) -> Outcome:
        """Take a haul through the code of this moment, or through a variant of it."""
        code = variant or self.code
        self._inside += 1
        self.idle.clear()
        try:
            if code.is_async:
                outcome = await code.run_async(items)
                await asyncio.sleep(0)  # code that never waits must not starve the loop
                return outcome
            # A lambda's closure would live on in the traceback of an error, and the items with it.
            return await self.worker.submit(partial(code.run, items))
        finally:
            self._inside -= 1
            if not self._inside:
                self.idle.set()


class Lanes:
    """All lanes of a consumer, by replica."""

    def __init__(self, log: logs.LogRing) -> None:
        self._log = log
        self._replicas: list[list[Lane]] = []

    def __iter__(self) -> Iterator[Lane]:
        return (lane for replica in self._replicas for lane in replica)

    def free(self) -> Lane:
        """A lane that has nothing to do, or else the first one."""
        return next((lane for lane in self if lane.idle.is_set()), self._replicas[0][0])

    def __len__(self) -> int:
        return sum(len(replica) for replica in self._replicas)

    async def open(self, spec: ConsumerSpec) -> None:
        """Make threads and set the code up.

        Raises:
            Exception: the user's setup failed; nothing stays open.
        """
        context = contextvars.copy_context()
        context.run(logs.current.set, self._log)
        options = spec.options
        try:
            for replica in range(options.num_replicas):
                names = [f"{spec.id}-{replica}.{i}" for i in range(options.num_concurrency)]
                code = compile_code(spec)
                lanes = [Lane(Worker(name, context.copy()), code) for name in names]
                self._replicas.append(lanes)
                await code.set_up(lanes[0].worker)
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
            for lanes in self._replicas:
                fresh.append(compile_code(spec))
                await fresh[-1].set_up(lanes[0].worker)
        except BaseException:
            for code, lanes in zip(fresh, self._replicas, strict=False):
                await quietly(self._log, "teardown", code.tear_down(lanes[0].worker))
            raise
        for code, lanes in zip(fresh, self._replicas, strict=True):
            old = lanes[0].code
            for lane in lanes:
                lane.code = code
            await self._retire(old, lanes)

    async def close(self) -> None:
        """Tear the code down and end the threads; one that is stuck is left behind."""
        for lanes in self._replicas:
            await quietly(self._log, "teardown", lanes[0].code.tear_down(lanes[0].worker))
            for lane in lanes:
                lane.worker.close()
        self._replicas = []

    async def _retire(self, old: Code, lanes: list[Lane]) -> None:
        if not old.spec.processor.is_class:
            return
        for lane in lanes:
            await quietly(self._log, "swap", lane.idle.wait())
        await quietly(self._log, "teardown", old.tear_down(lanes[0].worker))


async def quietly(log: logs.LogRing, what: str, waiting: Awaitable[object]) -> None:
    """Await what happens on the way out; trouble goes to the log."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await contained(waiting)
    except Exception as error:  # noqa: BLE001  (user code or a connection, on the way out)
        log.add("ERROR", f"{what}: {describe(error)}")
