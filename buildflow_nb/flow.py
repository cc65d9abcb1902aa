"""`Flow`: collects what a program or a notebook declares, and delegates the verbs.

Declaring is apart from doing: decorators freeze specs into a registry, and `run` reads it. While
the flow runs, every change of the registry is applied to the run at once, so a cell that is run
again swaps its processor live.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from buildflow_nb.core.config import Config, find_config
from buildflow_nb.core.declarations import Collector, Consumer, Endpoint, Service
from buildflow_nb.core.declare import collector_spec, consumer_spec, endpoint_spec
from buildflow_nb.core.errors import ConfigError, DeclarationError, UsageError
from buildflow_nb.core.events import Listener
from buildflow_nb.core.flow_spec import FlowSpec, ProcessorSpec
from buildflow_nb.core.operations import Operation, OperationListener, Outcome
from buildflow_nb.core.options import (
    CollectorOptions,
    ConsumerOptions,
    FlowOptions,
    ServiceOptions,
    takes_options,
)
from buildflow_nb.core.primitive import Managed
from buildflow_nb.core.registry import Changes, Registry
from buildflow_nb.core.snapshot import Failure, FlowSnapshot, Passage
from buildflow_nb.core.surroundings import kernel, must_not_block
from buildflow_nb.infra.ask import ask
from buildflow_nb.infra.place import Confirm, Place, finished
from buildflow_nb.runtime.handle import RunHandle, unknown_processor
from buildflow_nb.runtime.logs import LogLine
from buildflow_nb.runtime.signals import serve_until_ended
from buildflow_nb.runtime.supervisor import RunPlan
from buildflow_nb.runtime.trial import pending, send_once

__all__ = ("Flow",)

_LATEST: weakref.WeakValueDictionary[str, RunHandle] = weakref.WeakValueDictionary()

Code = TypeVar("Code", bound=Callable[..., Any])


class Flow:
    """A streaming backend: processors, services and the resources that it owns.

    Works anywhere: in a script, a REPL or a kernel, with or without a `buildflow.yaml`.

    Raises:
        ConfigError: the file, an option or the name of the stack is wrong.
    """

    def __init__(
        self,
        flow_id: str = "buildflow-app",
        flow_options: FlowOptions | None = None,
        *,
        options: FlowOptions | None = None,
    ) -> None:
        if not isinstance(flow_id, str) or not flow_id.strip():
            msg = f"Flow: flow_id must be a name, got {flow_id!r}"
            raise ConfigError(msg)
        chosen = flow_options if flow_options is not None else options
        if chosen is not None and not isinstance(chosen, FlowOptions):
            msg = f"Flow: flow_options must be FlowOptions(...), got {type(chosen).__name__}"
            raise ConfigError(msg)
        self.flow_id = flow_id
        self.options = chosen if chosen is not None else FlowOptions()
        self.config: Config = find_config(Path.cwd())
        self.place = Place(self.config, self.config.stack(self.options.stack), self.options)
        self.stack = self.place.stack.name
        self.registry = Registry(self._changed)
        self.handle: RunHandle | None = None
        self._running = threading.Lock()

    # -- declaring -----------------------------------------------------------------------------

    @takes_options(ConsumerOptions)
    def consumer(
        self, source: object, sink: object = None, **options: Any
    ) -> Callable[[Code], Code]:
        """Read a source, call the function on each element, write its results to the sink.

        Raises:
            DeclarationError: something does not fit; says what.
        """

        def register(target: Code) -> Code:
            self.registry.put(consumer_spec(target, source, sink, options))
            return target

        return register

    @takes_options(CollectorOptions)
    def collector(
        self, route: str, method: object = "POST", sink: object = None, **options: Any
    ) -> Callable[[Code], Code]:
        """Take requests, call the function on each, write its results to the sink, then answer.

        Raises:
            DeclarationError: something does not fit; says what.
        """

        def register(target: Code) -> Code:
            self.registry.put(collector_spec(target, route, method, sink, options))
            return target

        return register

    @takes_options(ServiceOptions)
    def endpoint(
        self, route: str, method: object = "GET", **options: Any
    ) -> Callable[[Code], Code]:
        """Take requests and answer with what the function returns; a service of its own."""

        def register(target: Code) -> Code:
            service = Service(service_id=f"endpoint {target.__name__}", **options)
            self.registry.put(endpoint_spec(target, route, method, service.spec))
            return target

        return register

    @takes_options(ServiceOptions)
    def service(
        self, base_route: str = "/", *, service_id: str | None = None, **options: Any
    ) -> Service:
        """Make a service of this flow; a `base_route` without a leading slash is its id."""
        made = Service(base_route, service_id, **options)
        self.add_service(made)
        return made

    def add_consumer(self, consumer: Consumer) -> None:
        """Add what `@consumer(...)` declared."""
        _expect(consumer, Consumer, "add_consumer", "@consumer(...)")
        self.consumer(consumer.source, consumer.sink, **consumer.options)(consumer.target)

    def add_collector(self, collector: Collector) -> None:
        """Add what `@collector(...)` declared."""
        _expect(collector, Collector, "add_collector", "@collector(...)")
        self.collector(collector.route, collector.method, collector.sink, **collector.options)(
            collector.target
        )

    def add_service(self, service: Service) -> None:
        """Add a service with its endpoints, those of now and those to come."""
        _expect(service, Service, "add_service", "Service(...)")
        self.registry.put_service(service.spec)

        def add(endpoint: Endpoint) -> None:
            spec = endpoint_spec(endpoint.target, endpoint.route, endpoint.method, service.spec)
            self.registry.put(spec)

        for endpoint in service.endpoints:
            add(endpoint)
        service.listeners.append(add)

    def manage(self, *primitives: object) -> None:
        """Own these primitives' cloud resources: `apply` creates them, `destroy` removes them.

        Raises:
            DeclarationError: one of them is no primitive.
        """
        for primitive in primitives:
            primitive_id = getattr(primitive, "primitive_id", None)
            if isinstance(primitive, type) or not isinstance(primitive_id, str):
                msg = f"manage takes primitives (a queue, a bucket), got {primitive!r}"
                raise DeclarationError(msg)
        for primitive in primitives:
            self.registry.manage(primitive.primitive_id, primitive)  # type: ignore[attr-defined]
        if kernel() is not None and any(isinstance(p, Managed) for p in primitives):
            self.place.expect_operations()

    def remove(self, processor_id: str) -> None:
        """Take a processor out of the flow; a running one finishes what is in flight and stops.

        Raises:
            UsageError: there is no such processor.
        """
        self._known(processor_id)
        self.registry.remove(processor_id)

    @property
    def processors(self) -> Mapping[str, ProcessorSpec]:
        """The processors by id, in order of declaration."""
        return self.registry.processors

    def spec(self) -> FlowSpec:
        """Everything that is declared, as frozen data."""
        return FlowSpec(
            self.flow_id,
            self.stack,
            self.registry.processors,
            self.registry.services,
            self.registry.managed,
        )

    # -- running -------------------------------------------------------------------------------

    def run(
        self,
        *,
        block: bool | None = None,
        serve_host: str = "127.0.0.1",
        serve_port: int = 8000,
        event_subscriber: Listener | None = None,
    ) -> RunHandle:
        """Run every processor; gives the handle of the run.

        In a kernel, and inside a running event loop, it returns at once; elsewhere it blocks until
        the work ends or SIGINT or SIGTERM asks it to, and then drains. `block` overrules that. A
        flow that runs already gives the handle that it has.

        Raises:
            ServeError: the port cannot be had.
            UsageError: the flow has no processor, or the port is no port.
            RunError: when it blocked, and a processor failed.
        """
        if self.registry.held:
            self.registry.release()
        if not 0 <= serve_port <= 65535:  # noqa: PLR2004  (the range of TCP ports)
            msg = f"serve_port must be from 0 (any free one) to 65535, got {serve_port}"
            raise UsageError(msg)

        def begin() -> RunHandle:
            with self._running:
                if self.handle is None or not self.handle.running:
                    self.handle = self._begin(serve_host, serve_port, event_subscriber)
                return self.handle

        blocks = block if block is not None else not must_not_block()
        return serve_until_ended(begin) if blocks else begin()

    def _begin(self, host: str, port: int, listener: Listener | None) -> RunHandle:
        if not self.registry.processors:
            msg = f"flow {self.flow_id!r} has no processor; declare one with @app.consumer(...)"
            raise UsageError(msg)
        if kernel() is not None:
            _drain_older(self.flow_id)
        self.place.need(_primitives(self.registry.processors.values()))
        handle = RunHandle(RunPlan(self.flow_id, self.place.env(), host, port), self.registry)
        if listener is not None:
            handle.subscribe(listener)
        handle.begin()
        _LATEST[self.flow_id] = handle
        return handle

    def snapshot(self) -> FlowSnapshot:
        """The flow at this moment, also when it does not run."""
        waiting = pending(self.flow_id, self.stack, self.processors)
        if self.handle is None:
            return waiting
        found = self.handle.snapshot()
        new = tuple(p for p in waiting.processors if found.processor(p.processor_id) is None)
        return replace(found, processors=found.processors + new)

    def send(self, processor_id: str, element: object) -> list[object]:
        """Run one element through a processor and give what it returned; nothing is written.

        Raises:
            UsageError: there is no such processor.
            Exception: whatever the processor raised.
        """
        spec = self._known(processor_id)
        run = self._run_of(processor_id)
        if run is not None:
            return run.send(processor_id, element)
        return send_once(spec, element)

    def peek(self, processor_id: str, count: int = 20) -> list[Passage]:
        """The last elements that passed a processor, newest last."""
        run = self._run_of(processor_id)
        return [] if run is None else run.peek(processor_id, count)

    def failures(self, processor_id: str | None = None) -> list[Failure]:
        """Elements that failed for good, oldest first."""
        run = self._run_of(processor_id)
        return [] if run is None else run.failures(processor_id)

    def logs(self, processor_id: str | None = None, after: int = 0) -> list[LogLine]:
        """What processors printed and logged, oldest first."""
        run = self._run_of(processor_id)
        return [] if run is None else run.logs(processor_id, after)

    # -- cloud resources -----------------------------------------------------------------------

    def preview(self, listener: OperationListener = lambda _: None) -> Outcome:
        """What `apply` would create, change and delete.

        Raises:
            InfraError: the engine cannot work, or the program or a provider failed.
        """
        return finished(self.place.operate(Operation.PREVIEW, self.registry.managed, listener))

    def apply(
        self,
        *,
        yes: bool = False,
        confirm: Confirm = ask,
        listener: OperationListener = lambda _: None,
    ) -> Outcome:
        """Make the cloud resources as declared; `confirm` is asked unless `yes` or the options say.

        Raises:
            RejectedError: the answer was no.
            InfraError: it failed or was interrupted; what was done is kept.
            UsageError: nobody can be asked.
        """
        return self._change(Operation.APPLY, confirm=None if yes else confirm, listener=listener)

    def refresh(self, listener: OperationListener = lambda _: None) -> Outcome:
        """Look at the cloud and note what was changed there behind the flow's back.

        Raises:
            InfraError: it failed or was interrupted.
        """
        return finished(self.place.operate(Operation.REFRESH, self.registry.managed, listener))

    def destroy(
        self,
        *,
        yes: bool = False,
        confirm: Confirm = ask,
        listener: OperationListener = lambda _: None,
    ) -> Outcome:
        """Delete every cloud resource of the stack; `confirm` is asked as for `apply`.

        Raises:
            RejectedError: the answer was no.
            InfraError: it failed or was interrupted; what was done is kept.
            UsageError: nobody can be asked.
        """
        return self._change(Operation.DESTROY, confirm=None if yes else confirm, listener=listener)

    def _change(
        self, operation: Operation, *, confirm: Confirm | None, listener: OperationListener
    ) -> Outcome:
        wanted = confirm if self.options.require_confirmation else None
        return self.place.change(operation, self.registry.managed, wanted, listener)

    def __repr__(self) -> str:
        snapshot = self.snapshot()
        head = f"Flow {self.flow_id!r} on stack {self.stack!r}: {snapshot.state.value}"
        if not snapshot.processors:
            return f"{head}, no processor yet"
        rows = [
            f"  {p.kind} {p.processor_id}: {p.source} -> {p.sink or '-'}"
            for p in snapshot.processors
        ]
        return "\n".join([head, *rows])

    def _changed(self, changes: Changes) -> None:
        if self.handle is not None and self.handle.running:
            self.place.need(_primitives(self.registry.processors.values()))
            self.handle.apply(changes)

    def _run_of(self, processor_id: str | None) -> RunHandle | None:
        """The run, or the last one, if it has met a declared processor (None: any)."""
        if processor_id is not None:
            self._known(processor_id)
        handle = self.handle
        return handle if handle is not None and handle.has(processor_id) else None

    def _known(self, processor_id: str) -> ProcessorSpec:
        known = self.registry.processors
        if processor_id not in known:
            raise unknown_processor(processor_id, list(known))
        return known[processor_id]


def _primitives(specs: Iterable[ProcessorSpec]) -> Iterator[object]:
    """Everything that these processors read and write."""
    for spec in specs:
        for name in ("source", "sink"):
            yield getattr(spec, name, None)
        yield getattr(spec.options, "dead_letter", None)


def _expect(value: object, kind: type, method: str, maker: str) -> None:
    if not isinstance(value, kind):
        msg = f"{method} takes what {maker} gives, got {type(value).__name__}"
        raise DeclarationError(msg)


def _drain_older(flow_id: str) -> None:
    """In a kernel a flow that is declared again takes the place, and the port, of the older one."""
    older = _LATEST.get(flow_id)
    if older is not None and older.running:
        older.stop()
