"""A collector's way out: its sink and its dead-letter sink, opened once and kept open.

One task opens the sink, pushes (requests that come in meanwhile share the next push) and closes
it. A sink that cannot be opened for now is tried again, with back-off, for as long as the route
lives; `reason` says what it waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress

from buildflow_nb.core.errors import told
from buildflow_nb.core.flow_spec import CollectorSpec
from buildflow_nb.core.primitive import Env, Writable
from buildflow_nb.runtime.calls import contained
from buildflow_nb.runtime.clock import Clock, backoff_s
from buildflow_nb.runtime.dead_letter import DeadLetters
from buildflow_nb.runtime.http.fault import HttpFault
from buildflow_nb.runtime.kept import Fault
from buildflow_nb.runtime.ledger import Ledger
from buildflow_nb.runtime.push import TEMPORARY, Faults, Parcel, Pusher, PushPlan
from buildflow_nb.runtime.traces import describe

__all__ = ("PUSH_S", "Delivery")

PUSH_S = 30.0  # seconds that a request waits for its push: clients give up at about that time


class Delivery:
    """The sinks of one collector.

    `on_change` is called when `reason` or `broken` changed.
    """

    def __init__(
        self, spec: CollectorSpec, env: Env, ledger: Ledger, on_change: Callable[[], None]
    ) -> None:
        self._spec = spec
        self._env = env
        self._ledger = ledger
        self._clock: Clock = ledger.clock
        self._on_change = on_change
        self._pusher: Pusher | None = None
        self._letters: DeadLetters | None = None
        self._task: asyncio.Task[None] | None = None
        self._known: asyncio.Future[None] | None = None
        self._closing = asyncio.Event()
        self.reason = ""
        self.broken: BaseException | None = None

    async def start(self) -> None:
        """Open the sinks; returns once they are open or known to be unavailable for now.

        Raises:
            Exception: they can never be opened.
        """
        self._known = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name=f"delivery-{self._spec.id}")
        await self._known
        if self.broken is not None:
            raise self.broken

    async def push(self, items: Sequence[object]) -> asyncio.Future[Faults]:
        """Queue items in the sink's wire form; the future tells, by position, what failed.

        Raises:
            HttpFault: the sink is not open.
        """
        done: asyncio.Future[Faults] = asyncio.get_running_loop().create_future()
        if self._pusher is None or not items:
            self._refuse_unavailable()
            done.set_result({})
            return done

        def settle(faults: Faults) -> None:
            if not done.done():
                done.set_result(faults)

        await self._pusher.submit(Parcel(items, settle))
        return done

    async def bury(self, faults: list[Fault]) -> str:
        """Dead-letter elements, and say what became of them."""
        if self._letters is None:
            return "dropped"
        try:
            async with asyncio.timeout(PUSH_S):
                buried = await self._letters.bury(faults)
        except TimeoutError:
            buried = False
        return "dead-lettered" if buried else "dropped"

    async def close(self, timeout_s: float) -> None:
        """Push what is queued, until the time is up; close the sinks. Never raises."""
        task, pusher = self._task, self._pusher
        if task is None:
            return
        self._closing.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                if pusher is not None:
                    await pusher.close()
                if self._letters is not None:  # else it is waiting for a sink, and may end
                    await asyncio.wait({task})
        task.cancel()
        await asyncio.wait({task}, timeout=1.0)  # to close the sink
        self._abandon(pusher, HttpFault(503, "stopping"))

    def _refuse_unavailable(self) -> None:
        if self.broken is not None:
            raise HttpFault(503, f"the sink cannot be written: {describe(self.broken)}")
        if self.reason and self._pusher is None:
            raise HttpFault(503, f"waiting: {self.reason}", {"Retry-After": "1"})

    async def _run(self) -> None:
        tries = 0
        while not self._closing.is_set():
            try:
                await contained(self._open_and_push())
            except TEMPORARY as error:
                tries = 1 if self._pusher is not None else tries + 1
                self._forget(told(error))
                await self._clock.sleep(backoff_s(tries))
            except Exception as error:  # noqa: BLE001  (a sink may raise anything)
                self.broken = error
                self._forget(describe(error))
                return
            else:
                return

    async def _open_and_push(self) -> None:
        async with AsyncExitStack() as stack:
            pusher = None
            if self._spec.sink is not None:
                opening = self._spec.sink.sink(self._env, self._spec.output_type)
                sink = await contained(stack.enter_async_context(opening))
                pusher = Pusher(sink, self._plan(self._spec.sink), self._clock, self._wait)
            letters = DeadLetters(self._spec.options.dead_letter, self._ledger)
            stack.push_async_callback(letters.close)
            await contained(letters.open(self._env))
            self._pusher, self._letters = pusher, letters
            self._wait("")
            self._tell()
            if pusher is None:
                await self._closing.wait()
            else:
                await pusher.run()

    def _plan(self, sink: Writable) -> PushPlan:
        retries = self._spec.options.retries
        return PushPlan(sink.max_push, sink.linger_s, retries, patience=retries)

    def _wait(self, reason: str) -> None:
        if reason != self.reason:
            self.reason = reason
            self._on_change()

    def _forget(self, reason: str) -> None:
        """Note that the sink is not open any more."""
        pusher, self._pusher, self._letters = self._pusher, None, None
        self._abandon(pusher, self.broken or HttpFault(503, f"waiting: {reason}"))
        if not self._closing.is_set():
            self.reason = reason
            self._on_change()
            self._tell()
        else:
            self._ledger.log.add("WARNING", f"closing the sink of {self._spec.id}: {reason}")

    def _tell(self) -> None:
        if self._known is not None and not self._known.done():
            self._known.set_result(None)

    @staticmethod
    def _abandon(pusher: Pusher | None, error: BaseException) -> None:
        for parcel in pusher.left() if pusher is not None else ():
            parcel.done(dict.fromkeys(range(len(parcel.items)), error))
