"""A flow's run: started, looked at, and asked for what it remembers.

While it runs, every change of the registry is applied to the run at once, so a cell that is run
again swaps its processor live.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from secrets import token_hex
from typing import TYPE_CHECKING

from buildflow_nb.core.config import Config
from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.declaring.flow_spec import ProcessorSpec, uses_of
from buildflow_nb.core.declaring.registry import Changes
from buildflow_nb.core.engine_choice import RAY, EngineChoice, chosen_engine
from buildflow_nb.core.errors import UsageError
from buildflow_nb.core.events import Listener
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.core.status.snapshot import LOOK_TIMEOUT_S, FlowSnapshot, Passage
from buildflow_nb.core.surroundings import BEING_LOADED, kernel, must_not_block
from buildflow_nb.flow.declaring import Declaring

if TYPE_CHECKING:  # what runs is loaded when something is to run
    from buildflow_nb.core.status.history import History
    from buildflow_nb.core.status.profile import Profile
    from buildflow_nb.core.status.traces import Trace
    from buildflow_nb.runtime.handle import RunHandle
    from buildflow_nb.runtime.observability.failures import FailureRecord
    from buildflow_nb.runtime.observability.history_keeper import HistoryPlace
    from buildflow_nb.runtime.observability.logs import LogLine
    from buildflow_nb.runtime.plan import RunPlan

__all__ = ("Running",)

_LATEST: weakref.WeakValueDictionary[str, RunHandle] = weakref.WeakValueDictionary()


class Running(Declaring):
    """A flow that can be run."""

    config: Config
    options: FlowOptions
    handle: RunHandle | None
    _running: threading.Lock

    def run(  # noqa: PLR0913  (as in BuildFlow)
        self,
        *,
        block: bool | None = None,
        serve_host: str = "127.0.0.1",
        serve_port: int = 8000,
        serve_body_bytes: int | None = None,
        start_runtime_server: bool = False,
        runtime_server_host: str = "127.0.0.1",
        runtime_server_port: int = 9653,
        runtime_server_token: Secret | str | None = None,
        event_subscriber: Listener | None = None,
        run_id: str | None = None,
        engine: str | None = None,
        address: str | None = None,
        debug_run: bool = False,  # noqa: ARG002
        flow_state: object = None,  # noqa: ARG002
    ) -> RunHandle:
        """Run every processor; gives the handle of the run.

        In a kernel, and inside a running event loop, it returns at once; elsewhere it blocks until
        the work ends or SIGINT or SIGTERM asks it to, and then drains; what happens meanwhile
        is logged (to stderr where logging is not set up). `block` overrules that. Either way it
        waits for what `on_startup` calls, ten minutes at most, so that an error of that is raised
        here. A flow that runs already gives the handle that it has.

        `serve_body_bytes` is how many bytes of bodies all requests may hold together, 256 MiB by
        default; a request that would need more is answered with 503 and `Retry-After`.

        `start_runtime_server` serves what the run is and a way to end it on a port of its own; on
        an address that others can reach, `runtime_server_token` must be given, or the environment
        variable `BUILDFLOW_RUNTIME_TOKEN`. `run_id` is what snapshots call the run, something
        random by default. `debug_run` and `flow_state` are BuildFlow's and change nothing.

        `engine` is "process", or "ray" for replicas on a Ray cluster at `address` ("auto",
        "host:6379"); without an address, on a Ray of its own on this machine, which takes 20 s to
        start. What is not said here, the flow's options or the stack say.

        Raises:
            ServeError: a port cannot be had.
            UsageError: the flow has no processor, a port or a bound is none, a token is missing,
                or the engine cannot be used.
            RunError: the engine cannot be started; code of `on_startup` failed or took too long;
                or it blocked, and a processor failed or every element did.
        """
        from buildflow_nb.runtime.plan import TOKEN_VARIABLE, RunPlan, RuntimeServerPlan
        from buildflow_nb.runtime.script_log import ScriptLog
        from buildflow_nb.runtime.signals import serve_until_ended

        if BEING_LOADED.get():
            cure = 'guard that by if __name__ == "__main__":'
            msg = f"the file runs its flow when it is imported; {cure}"
            raise UsageError(msg)
        if self.registry.held:
            self.registry.release()
        if not 0 <= serve_port <= 65535:  # noqa: PLR2004  (the range of TCP ports)
            msg = f"serve_port must be from 0 (any free one) to 65535, got {serve_port}"
            raise UsageError(msg)
        if serve_body_bytes is not None and serve_body_bytes < 1:
            msg = f"serve_body_bytes must be at least 1, got {serve_body_bytes}"
            raise UsageError(msg)
        chosen = self.engine_choice(engine, address)
        runtime_server = None
        if start_runtime_server:
            token = runtime_server_token or os.environ.get(TOKEN_VARIABLE) or None
            secret = Secret(token) if isinstance(token, str) else token
            runtime_server = RuntimeServerPlan(
                lambda: self.flowstate().to_dict(),
                runtime_server_host,
                runtime_server_port,
                secret,
                self.options.health or self.config.health,
            )

        blocks = block if block is not None else not must_not_block()
        # Blocking outside of a kernel is a script's way; every other one has a face that shows it.
        script = (
            ScriptLog(self.caution(), self.engine_said(engine, address))
            if blocks and kernel() is None
            else None
        )
        listeners: list[Listener] = [script] if script is not None else []
        listeners += [event_subscriber] if event_subscriber is not None else []

        def begin() -> RunHandle:
            with self._running:
                if self.handle is None or not self.handle.running:
                    env, name = self.place.env(), run_id or token_hex(4)
                    read = {} if self.handle is None else self.handle.read_to_end()
                    plan = RunPlan(
                        self.flow_id,
                        env,
                        serve_host,
                        serve_port,
                        runtime_server,
                        name,
                        read,
                        serve_body_bytes,
                        lambda: self.registry.hooks_in_force,
                        engine=chosen,
                        telemetry=self.options.telemetry,
                        history=self.history_place(),
                        trace_sampling=self.options.trace_sampling,
                    )
                    self.handle = self._begin(plan, listeners)
                return self.handle

        if script is not None:
            return script.serve(begin)
        return serve_until_ended(begin) if blocks else begin()

    def engine_choice(self, engine: str | None = None, address: str | None = None) -> EngineChoice:
        """Where the flow's processors work, if a run says this.

        Raises:
            UsageError: there is no such engine.
        """
        options, stack = self.options, self.place.stack
        said = (options.engine, options.ray_address)
        return chosen_engine([(engine, address), said, (stack.engine, stack.address)], os.environ)

    def engine_said(self, engine: str | None = None, address: str | None = None) -> str:
        """What is waited for when a run begins; "" if that is nothing.

        Raises:
            UsageError: there is no such engine, or it cannot be had at that address.
        """
        chosen = self.engine_choice(engine, address)
        if chosen.name == RAY:
            from buildflow_nb.runtime.ray.host import refuse

            refuse(chosen.address, local=self.place.env().cloud == "local")
        return chosen.said

    def caution(self) -> str:
        """What to know before the flow runs: that it is on the real cloud by default; "" if not."""
        return self.place.caution(_primitives(self.registry.processors.values()))

    def _begin(self, plan: RunPlan, listeners: Sequence[Listener]) -> RunHandle:
        from buildflow_nb.runtime.handle import RunHandle

        if not self.registry.processors:
            msg = f"flow {self.flow_id!r} has no processor; declare one with @app.consumer(...)"
            raise UsageError(msg)
        if kernel() is not None:
            _drain_older(self.flow_id)
        self.place.need(_primitives(self.registry.processors.values()))
        handle = RunHandle(plan, self.registry, self.handle)
        for listener in listeners:
            handle.subscribe(listener)
        handle.begin()
        if self.handle is not None:
            self.handle.successor = (
                handle  # a failure of the earlier run can be retried in this one
            )
        _LATEST[self.flow_id] = handle
        return handle

    def start(self, processor_ids: Sequence[str] | str | None = None) -> None:
        """Start processors of the run that were stopped, that failed or are done; None means all.

        Raises:
            UsageError: the flow does not run, or there is no such processor.
        """
        if self.handle is None or not self.handle.running:
            msg = f"flow {self.flow_id!r} does not run; app.run() starts it"
            raise UsageError(msg)
        self.handle.start(processor_ids)

    def snapshot(self, timeout: float = LOOK_TIMEOUT_S) -> FlowSnapshot:
        """The flow at this moment, also when it does not run.

        Raises:
            TimeoutError: its loop does not answer, since an async processor blocks it.
        """
        from buildflow_nb.runtime.trial import pending

        if self.handle is None:
            return pending(self.flow_id, self.stack, self.processors, self.place.stack.cloud)
        found = self.handle.snapshot(timeout)
        known = {shot.processor_id for shot in found.processors}
        new = {name: spec for name, spec in self.processors.items() if name not in known}
        if not new:
            return found
        waiting = pending(self.flow_id, self.stack, new)
        return replace(found, processors=found.processors + waiting.processors)

    def send(self, processor_id: str, element: object = None) -> list[object]:
        """Run one element through a processor and give what it returned; nothing is written.

        That of a route is a dict of its parameters, or the one that has no default; none is needed
        where all have one.

        Raises:
            UsageError: there is no such processor.
            Exception: whatever the processor raised.
        """
        from buildflow_nb.runtime.trial import send_once

        spec = self.processor(processor_id)
        run = self._run_of(processor_id)
        if run is not None:
            return run.send(processor_id, element)
        return send_once(spec, element, self.place.env)

    def peek(self, processor_id: str, count: int = 20) -> list[Passage]:
        """The last elements that passed a processor, newest last."""
        run = self._run_of(processor_id)
        return [] if run is None else run.peek(processor_id, count)

    def failures(self, processor_id: str | None = None) -> list[FailureRecord]:
        """Elements that failed for good, oldest first: live objects, to be edited and retried."""
        run = self._run_of(processor_id)
        return [] if run is None else run.failures(processor_id)

    def logs(self, processor_id: str | None = None, after: int = 0) -> list[LogLine]:
        """What processors printed and logged, oldest first."""
        run = self._run_of(processor_id)
        return [] if run is None else run.logs(processor_id, after)

    def history_of(self, processor_id: str) -> History:
        """What a processor has done in the last day, in this and in earlier runs and kernels.

        Raises:
            UsageError: there is no such processor.
            TimeoutError: the run's loop does not answer.
        """
        run = self._run_of(processor_id)
        place = self.history_place()
        return place.kept(processor_id) if run is None else run.history.of(processor_id)

    def history_place(self) -> HistoryPlace:
        """Where the histories of its processors are kept."""
        from buildflow_nb.runtime.observability.history_keeper import HistoryPlace

        return HistoryPlace(self.config.folder, self.flow_id, self.stack)

    def trace(self, which: str | int | FailureRecord) -> Trace:
        """The way of one element through the flow, as far as it is known.

        `which` is an id (its first 6 digits will do), a failure or its number, or a processor,
        whose last element it is.

        Raises:
            UsageError: nothing is kept of it, or nothing is traced.
        """
        run = self.handle
        if run is None:
            msg = f"flow {self.flow_id!r} has not run, so nothing was traced; app.run() starts it"
            raise UsageError(msg)
        return run.trace(which)

    def profile(self, processor_id: str) -> Profile:
        """Where the time of a processor's elements went in the last minute, part by part.

        Raises:
            UsageError: there is no such processor, or it has not run.
        """
        run = self._run_of(processor_id)
        if run is None:
            msg = f"{processor_id!r} has not run, so there is nothing to tell; app.run() starts it"
            raise UsageError(msg)
        return run.profile(processor_id)

    def traces(
        self, processor_id: str | None = None, count: int = 20, *, failed: bool = False
    ) -> list[Trace]:
        """The last traces that met a processor, or any, newest last; with `failed`, its failures.

        Raises:
            UsageError: there is no such processor.
        """
        run = self._run_of(processor_id)
        return [] if run is None else run.traces(processor_id, count, failed=failed)

    def _changed(self, changes: Changes) -> None:
        if self.handle is not None and self.handle.running:
            self.place.need(_primitives(self.registry.processors.values()))
            self.handle.apply(changes)

    def _run_of(self, processor_id: str | None) -> RunHandle | None:
        """The run, or the last one, if it has met a declared processor (None: any)."""
        if processor_id is not None:
            self.processor(processor_id)
        handle = self.handle
        return handle if handle is not None and handle.has(processor_id) else None


def _primitives(specs: Iterable[ProcessorSpec]) -> Iterator[object]:
    """Everything that these processors read and write."""
    return (use.primitive for spec in specs for use in uses_of(spec))


def _drain_older(flow_id: str) -> None:
    """In a kernel a flow that is declared again takes the place, and the port, of the older one."""
    older = _LATEST.get(flow_id)
    if older is not None and older.running:
        older.stop()
