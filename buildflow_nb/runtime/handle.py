"""A run, held from any thread: what `app.run()` gives.

Every method may be called from a notebook cell, a script or a callback; those that wait have
deadlines and never hold the kernel's loop. Interrupting a wait leaves the run going.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from buildflow_nb.core.declaring.registry import Changes, Registry
from buildflow_nb.core.errors import RunError, UsageError
from buildflow_nb.core.events import Event, Listener, StateChanged
from buildflow_nb.core.nearest import unknown_processor
from buildflow_nb.core.status.snapshot import LOOK_TIMEOUT_S, FlowSnapshot, State, run_text
from buildflow_nb.runtime.concurrency.clock import SYSTEM
from buildflow_nb.runtime.concurrency.loop import AT_EXIT, LoopThread, loop_thread
from buildflow_nb.runtime.engines import engine_of
from buildflow_nb.runtime.listening import LOOK_EVERY_S, record, tap
from buildflow_nb.runtime.observability.failures import FailureRecord, RetryInput, RetryResult
from buildflow_nb.runtime.observability.history_keeper import HistoryKeeper
from buildflow_nb.runtime.observability.ledger import Ledger
from buildflow_nb.runtime.observability.otel import Telemetry, wanted
from buildflow_nb.runtime.observability.recording import Recorder
from buildflow_nb.runtime.plan import RunPlan
from buildflow_nb.runtime.remembered import Remembered
from buildflow_nb.runtime.supervisor import Supervisor

if TYPE_CHECKING:
    from buildflow_nb.runtime.http.runtime_server import RuntimeServer

__all__ = ("RunHandle",)

_LOGGER = logging.getLogger(__name__)
START_TIMEOUT_S = 60.0
SEND_TIMEOUT_S = 60.0
LEAVE_S = 20.0  # for what has begun, where a run could not


class RunHandle(Remembered):
    """A running flow, or one that has ended."""

    def __init__(self, plan: RunPlan, registry: Registry, earlier: RunHandle | None = None) -> None:
        self.flow_id = plan.flow_id
        self._plan = plan
        self._registry = registry
        self._thread: LoopThread = loop_thread()
        self._listeners: list[Listener] = []
        self._ended = threading.Event()
        self.successor: RunHandle | None = None
        self._supervisor = self._thread.call(
            lambda: Supervisor(plan, engine_of(plan, SYSTEM), SYSTEM, self._tell, self)
        )
        self.history = HistoryKeeper(
            lambda: self._supervisor.units, plan.history, SYSTEM, self._thread.call
        )
        if earlier is not None:
            self.history.go_on(earlier.history)
        self._telemetry = Telemetry(
            {"flow": plan.flow_id, "stack": plan.env.stack, "run": plan.run_id},
            wanted(os.environ, plan.telemetry),
            lambda: self._supervisor.units,
            self._thread.call,
        )
        self._server: RuntimeServer | None = None
        self._closing: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start every processor; called once, by `Flow.run`.

        Raises:
            ServeError: the port cannot be had.
            RunError: what comes before the run failed.
        """
        AT_EXIT.add(self._drain_at_exit)
        try:
            self._thread.run(self._begin(), START_TIMEOUT_S + self._supervisor.startup_s)
        except BaseException:  # also when interrupted: nothing of it may go on unseen
            # A process that ended meanwhile would leave what its engine has started.
            self._thread.spawn(self._supervisor.stop_all(drain=False, timeout_s=1.0)).wait(LEAVE_S)
            raise

    @property
    def address(self) -> str | None:
        """Where routes are served, as `http://host:port`."""
        return self._supervisor.address

    @property
    def runtime_address(self) -> str | None:
        """Where the run can be asked and ended, `http://host:port`, if it has such a server."""
        return None if self._server is None else self._server.address

    @property
    def running(self) -> bool:
        """Whether the run has not ended."""
        return not self._ended.is_set()

    def status(self) -> State:
        """The state of the run."""
        return self.snapshot().state

    def snapshot(self, timeout: float = LOOK_TIMEOUT_S) -> FlowSnapshot:
        """The run at this moment.

        Raises:
            TimeoutError: the loop does not answer, since an async processor blocks it.
        """
        return self._thread.call(self._supervisor.snapshot, timeout)

    def has(self, processor_id: str | None) -> bool:
        """Whether a processor is, or was, part of this run; None means any."""
        return processor_id is None or processor_id in self._supervisor.ledgers

    def read_to_end(self) -> dict[str, object]:
        """What was read to its end, by processor."""
        return self._supervisor.read_to_end()

    def notes(self) -> list[str]:
        """What a person has to know of what was started last, once."""
        return self._supervisor.notes()

    def tap(self, processor_id: str, count: int, enough: Callable[[int], bool]) -> None:
        """Keep the last `count` passages of a processor from now on.

        `enough` is asked again and again, with how many there are, until it says so or the
        processor has ended.
        """
        tap(self._ledger(processor_id), count, enough, self._thread, self._ended)

    def record(self, processor_id: str, recorder: Recorder, timeout_s: float) -> None:
        """Let a recorder hear of the next inputs, until it is full or the time is up.

        An interrupt ends it, too; what came until then is kept by the recorder.

        Raises:
            UsageError: the processor does not run, or is being recorded.
        """
        record(self._ledger(processor_id), recorder, timeout_s, self._thread, self._ended)

    def recorder(self, processor_id: str) -> Recorder | None:
        """Who listens to a processor at this moment, if it is being recorded."""
        return self._ledger(processor_id).recorder

    def end_recording(self, processor_id: str) -> bool:
        """Let a recording end with what came; whether there was one."""
        recorder = self.recorder(processor_id)
        if recorder is not None:
            recorder.full.set()
        return recorder is not None

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have events sent to a function, on the loop thread; gives what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def send(self, processor_id: str, element: object) -> list[object]:
        """Run one element through the live code and give what it returned; nothing is written.

        Raises:
            UsageError: there is no such processor.
            Exception: whatever the code raised.
        """
        return self._thread.run(self._send(processor_id, element), SEND_TIMEOUT_S)

    def retry(self, ledger: Ledger, record: FailureRecord, wanted: RetryInput) -> RetryResult:
        """Run a failed element through the live pipeline, or that of the run that came after.

        Raises:
            UsageError: the processor does not work, or the failure is dealt with already.
            TimeoutError: code or sink did not answer in time.
        """
        if self.successor is not None:
            return self.successor.retry(ledger, record, wanted)
        return self._thread.run(self._retry(ledger, record, wanted), SEND_TIMEOUT_S)

    def discard(self, ledger: Ledger, record: FailureRecord) -> None:
        """Forget a failure.

        Raises:
            UsageError: it is dealt with already.
        """

        def forget() -> None:
            with record.claimed():
                ledger.settle(record, "discarded")

        self._thread.call(forget, LOOK_TIMEOUT_S)

    def stop(
        self,
        processor_ids: Sequence[str] | str | None = None,
        *,
        drain: bool = True,
        timeout: float = 30.0,
    ) -> None:
        """Stop the run, or some of its processors.

        With `drain`, what is in flight is finished and settled within `timeout` seconds; the rest
        is given back to its source.
        """
        if not self.running:
            return
        ids = [processor_ids] if isinstance(processor_ids, str) else processor_ids
        if ids is None:
            work = self._supervisor.stop_all(drain=drain, timeout_s=timeout)
        else:
            for processor_id in ids:
                self._ledger(processor_id)
            work = self._supervisor.stop(ids, drain=drain, timeout_s=timeout)
        self._thread.run(work, timeout + 30.0)

    def start(self, processor_ids: Sequence[str] | str | None = None) -> None:
        """Start processors of this run that were stopped, that failed or are done.

        Raises:
            UsageError: there is no such processor, or the run has ended.
        """
        if not self.running:
            msg = f"the run of flow {self.flow_id!r} has ended; app.run() starts it again"
            raise UsageError(msg)
        known = self._registry.processors
        ids = [processor_ids] if isinstance(processor_ids, str) else processor_ids
        wanted = list(known) if ids is None else list(ids)
        for processor_id in wanted:
            if processor_id not in known:
                raise unknown_processor(processor_id, list(known))
        restart = self._supervisor.restart([known[processor_id] for processor_id in wanted])
        self._thread.run(restart, START_TIMEOUT_S)

    def apply(self, changes: Changes) -> None:
        """Bring the run in line with the registry; called by the flow.

        Raises:
            RunError: new code could not be set up; the old one keeps running.
        """
        if self.running:
            self._thread.run(self._supervisor.apply(changes, self._registry.processors))

    def wait(self, timeout: float | None = None) -> State:
        """Wait until the run ends and give its last state.

        Raises:
            TimeoutError: it did not end within `timeout` seconds; it goes on.
            RunError: a processor failed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._ended.wait(0.2):  # in steps, so that an interrupt is heard
            if deadline is not None and time.monotonic() >= deadline:
                msg = f"flow {self.flow_id!r} did not end within {timeout:g} s; it goes on"
                raise TimeoutError(msg)
        return self._result()

    def raise_if_nothing_worked(self) -> None:
        """Raise a RunError where elements came to its consumers, and every one of them failed."""
        said = self.snapshot().nothing_worked
        if said:
            raise RunError(said)

    def wait_a_moment(self, seconds: float) -> None:
        """Wait for the end of the run, for `seconds` at most."""
        self._ended.wait(seconds)

    def wait_until(
        self,
        *,
        drained: bool = False,
        duration: float | None = None,
        count: int | None = None,
        timeout: float | None = None,
    ) -> FlowSnapshot:
        """Wait until the first of what is asked for is so, or the run ends; it goes on.

        `drained`: see `FlowSnapshot`; a source that cannot tell that it is empty, as a `Pulse`,
        never is. `duration`: seconds. `count`: elements finished, over all processors.

        Raises:
            TimeoutError: nothing of that happened within `timeout` seconds.
            RunError: a processor failed.
        """
        began, pause_s = time.monotonic(), LOOK_EVERY_S
        while not self._ended.wait(pause_s):
            spent = time.monotonic() - began
            snapshot = self.snapshot()
            pause_s = max(LOOK_EVERY_S, 4 * (time.monotonic() - began - spent))
            self._raise_failed(snapshot)
            if drained and snapshot.drained:
                return snapshot
            if duration is not None and spent >= duration:
                return snapshot
            if count is not None and snapshot.finished >= count:
                return snapshot
            if timeout is not None and spent >= timeout:
                msg = f"flow {self.flow_id!r} did not get there within {timeout:g} s; it goes on"
                raise TimeoutError(msg)
        snapshot = self.snapshot()
        self._raise_failed(snapshot)
        return snapshot

    def __await__(self) -> Generator[Any, None, State]:
        return self._until_ended().__await__()

    def __repr__(self) -> str:
        return run_text(self.snapshot())

    def _tell(self, event: Event) -> None:
        self.history.hear(event)
        if isinstance(event, StateChanged) and event.processor_id is None:
            AT_EXIT.discard(self._drain_at_exit)
            self.history.end()
            self._telemetry.end()
            if self._server is not None:
                self._closing = asyncio.create_task(self._server.stop())
            self._ended.set()
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception:  # a listener must not hurt the run
                _LOGGER.exception("a listener of flow %r failed", self.flow_id)

    async def _begin(self) -> None:
        if self._plan.runtime_server is not None:
            from buildflow_nb.runtime.http.runtime_server import RuntimeServer

            server = RuntimeServer(self._plan.runtime_server, self._supervisor)
            await server.start()
            self._server = server
        self.history.begin()
        self._telemetry.begin()
        await self._supervisor.start(list(self._registry.processors.values()))

    async def _send(self, processor_id: str, element: object) -> list[object]:
        if processor_id not in self._supervisor.units:
            raise unknown_processor(processor_id, list(self._supervisor.units))
        return await self._supervisor.send(processor_id, element)

    async def _retry(
        self, ledger: Ledger, record: FailureRecord, wanted: RetryInput
    ) -> RetryResult:
        processor_id = record.processor_id
        with record.claimed():
            spec = self._registry.processors.get(processor_id)
            result = await self._supervisor.retry(processor_id, wanted, spec)
            return ledger.retried(record, result)

    async def _drain_at_exit(self, timeout_s: float) -> None:
        await self._supervisor.stop_all(drain=True, timeout_s=timeout_s / 2)

    async def _until_ended(self) -> State:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def look(event: Event) -> None:
            if isinstance(event, StateChanged) and event.processor_id is None:
                loop.call_soon_threadsafe(ended.set)

        unsubscribe = self.subscribe(look)
        try:
            if self.running:
                await ended.wait()
        finally:
            unsubscribe()
        return await asyncio.to_thread(self._result)

    def _result(self) -> State:
        snapshot = self.snapshot()
        self._raise_failed(snapshot)
        return snapshot.state

    def _raise_failed(self, snapshot: FlowSnapshot) -> None:
        if failed := [p for p in snapshot.processors if p.state is State.FAILED]:
            said = (f"{p.kind} {p.processor_id!r} failed: {p.reason}" for p in failed)
            raise RunError("; ".join(said))
