"""What a flow declares: decorators freeze specs into a registry, and the verbs read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from buildflow_nb.core.declaring.declarations import Collector, Consumer, Endpoint, Service
from buildflow_nb.core.declaring.dependencies import dependency_of, stand_in
from buildflow_nb.core.declaring.flow_spec import FlowSpec, ProcessorSpec
from buildflow_nb.core.errors import DeclarationError, UsageError
from buildflow_nb.core.nearest import nearest, unknown_processor
from buildflow_nb.core.options import (
    CollectorOptions,
    ConsumerOptions,
    ServiceOptions,
    takes_options,
)
from buildflow_nb.core.portable import Role, placed
from buildflow_nb.core.primitive import Managed, key_of
from buildflow_nb.core.status.flow_state import FlowState
from buildflow_nb.core.surroundings import kernel
from buildflow_nb.flow.hooks import DeclaringHooks
from buildflow_nb.infra.flow_stack import FlowStack

__all__ = ("Declaring",)

Code = TypeVar("Code", bound=Callable[..., Any])


class Declaring(DeclaringHooks):
    """The declaring half of a flow."""

    flow_id: str
    stack: str
    place: FlowStack

    @takes_options(ConsumerOptions)
    def consumer(
        self, source: object, sink: object = None, **options: Any
    ) -> Callable[[Code], Code]:
        """Read a source, call the function on each element, write its results to the sink.

        Raises:
            DeclarationError: something does not fit; says what.
            RunError: it is declared, but its code could not be set up in place of the running one.
        """

        def register(target: Code) -> Code:
            from buildflow_nb.core.declaring.declare import consumer_spec

            read, write = self._placed(source, "source"), self._placed(sink, "sink")
            self.registry.put(consumer_spec(target, read, write, self._words(options)))
            return target

        return register

    @takes_options(CollectorOptions)
    def collector(
        self, route: str, method: object = "POST", sink: object = None, **options: Any
    ) -> Callable[[Code], Code]:
        """Take requests, call the function on each, write its results to the sink, then answer.

        Raises:
            DeclarationError: something does not fit; says what.
            RunError: it is declared, but its code could not be set up in place of the running one.
        """

        def register(target: Code) -> Code:
            from buildflow_nb.core.declaring.declare import collector_spec

            write = self._placed(sink, "sink")
            self.registry.put(collector_spec(target, route, method, write, self._words(options)))
            return target

        return register

    @takes_options(ServiceOptions)
    def endpoint(
        self, route: str, method: object = "GET", **options: Any
    ) -> Callable[[Code], Code]:
        """Take requests and answer with what the function returns; a service of its own.

        Raises:
            DeclarationError: something does not fit; says what.
            RunError: it is declared, but its code could not be set up in place of the running one.
        """

        def register(target: Code) -> Code:
            from buildflow_nb.core.declaring.declare import endpoint_spec

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
            from buildflow_nb.core.declaring.declare import endpoint_spec

            spec = endpoint_spec(endpoint.target, endpoint.route, endpoint.method, service.spec)
            self.registry.put(spec)

        for endpoint in service.endpoints:
            add(endpoint)
        service.listeners.append(add)
        for hook in service.middleware:
            self.registry.put_hook(hook)
        service.surrounded_by.append(self.registry.put_hook)

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
        env = self.place.env()
        found = [one for primitive in primitives for one in placed(primitive, env, "managed")]
        for primitive in found:
            self.registry.manage(primitive)
        if kernel() is not None and any(isinstance(p, Managed) for p in found):
            self.place.expect_operations()

    def _placed(self, primitive: object, role: Role) -> object:
        """What a primitive is on this flow's stack."""
        return placed(primitive, self.place.env(), role)[0]

    def _words(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Options, with what they hold of primitives."""
        if "dead_letter" not in options:
            return options
        return {**options, "dead_letter": self._placed(options["dead_letter"], "dead letter")}

    def unmanage(self, *primitives: object) -> tuple[str, ...]:
        """Manage these no longer: the next `apply` deletes their cloud resources.

        A primitive is told by itself, by its id ("orders") or by class and id ("SQSQueue orders").
        Gives class and id of each.

        Raises:
            UsageError: one of them is not managed, or an id is that of several.
        """
        known = {key_of(primitive): primitive for primitive in self.registry.managed}
        keys = tuple(_managed_key(one, known) for one in primitives)
        for key in keys:
            self.registry.unmanage(key)
        return keys

    def override(self, dependency: object, instead: object) -> Override:
        """Let something stand in for a dependency, in tests say, until that is undone.

        `instead` is injected as it is. A class, a function or another dependency is not injected
        itself, but made and closed as the dependency would be. Running processors take it up.

            with app.override(DB, FakeDB()):
                app.send("price", order)

        Raises:
            UsageError: it is no dependency.
            DeclarationError: what is to stand in for it cannot be made.
        """
        made = dependency_of(dependency)
        if made is None:
            name = getattr(dependency, "__name__", type(dependency).__name__)
            msg = f"override: {name!r} is no dependency; mark it with @dependency(...)"
            raise UsageError(msg)
        before = self.registry.override(made, stand_in(made, instead))
        return Override(lambda: self.registry.override(made, before))

    def remove(self, processor_id: str) -> None:
        """Take a processor out of the flow; a running one finishes what is in flight and stops.

        Raises:
            UsageError: there is no such processor.
        """
        self.processor(processor_id)
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

    def flowstate(self) -> FlowState:
        """What is declared, as BuildFlow tells it; `to_dict()` makes it plain data."""
        from buildflow_nb.flow.state import flow_state

        return flow_state(self.spec())

    def processor(self, processor_id: str) -> ProcessorSpec:
        """The processor of that id.

        Raises:
            UsageError: there is no such processor.
        """
        known = self.registry.processors
        if processor_id not in known:
            raise unknown_processor(processor_id, list(known))
        return known[processor_id]


class Override:
    """Something that stands in for a dependency: until `undo`, or the end of a `with`."""

    def __init__(self, undo: Callable[[], object]) -> None:
        self.undo = undo

    def __enter__(self) -> Override:
        return self

    def __exit__(self, *_error: object) -> None:
        self.undo()


def _expect(value: object, kind: type, method: str, maker: str) -> None:
    if not isinstance(value, kind):
        msg = f"{method} takes what {maker} gives, got {type(value).__name__}"
        raise DeclarationError(msg)


def _managed_key(named: object, known: Mapping[str, object]) -> str:
    """Class and id of what is managed, however it is named."""
    if not isinstance(named, str):
        named = key_of(named)
    found = [key for key in known if named in (key, key.partition(" ")[2])]
    if len(found) > 1:
        msg = f"{named!r} is the id of several: {', '.join(map(repr, found))}; say which"
        raise UsageError(msg)
    if not found:
        near = nearest(named, [*known, *(key.partition(" ")[2] for key in known)])
        msg = f"{named!r} is not managed (managed: {', '.join(known) or 'nothing'}){near}"
        raise UsageError(msg)
    return found[0]
