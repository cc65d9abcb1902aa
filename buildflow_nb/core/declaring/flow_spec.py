"""What a flow declares, as frozen data: the one thing that runtime, infrastructure and faces read.

A spec holds configuration and the user's code, never a client, a loop or a widget, so it can be
sent to another machine. `declare.py` makes specs, and checks what it puts into them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from buildflow_nb.core.conversion.annotations import element_of
from buildflow_nb.core.declaring.dependencies import Overrides, plan
from buildflow_nb.core.declaring.processor import Processor, element_parameter
from buildflow_nb.core.options import (
    CollectorOptions,
    ConsumerOptions,
    EndpointOptions,
    ServiceOptions,
)
from buildflow_nb.core.primitive import Readable, Writable

__all__ = (
    "CollectorSpec",
    "ConsumerSpec",
    "EndpointSpec",
    "FlowSpec",
    "ProcessorSpec",
    "ServiceSpec",
    "Use",
    "moved",
    "replanned",
    "uses_of",
)


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """Reads a source, calls the processor on each element, writes what it returns to a sink."""

    processor: Processor
    source: Readable
    sink: Writable | None
    options: ConsumerOptions
    kind: str = "consumer"

    @property
    def id(self) -> str:
        """The name of the function or class."""
        return self.processor.name

    @property
    def input_type(self) -> Any:
        """The annotated type of the element, `None` where there is none."""
        return element_parameter(self.processor).hint

    @property
    def output_type(self) -> Any:
        """The type of one element that goes to the sink, `None` where none is declared."""
        return element_of(self.processor.returns)

    def pipes_like(self, other: ConsumerSpec) -> bool:
        """Whether only the code differs: the same source, sink, elements and options."""
        return (
            self.source == other.source
            and self.sink == other.sink
            and self.output_type == other.output_type
            and self.options == other.options
        )


@dataclass(frozen=True, slots=True)
class CollectorSpec:
    """Takes a request, calls the processor, and answers once the result is in the sink."""

    processor: Processor
    route: str
    method: str
    sink: Writable | None
    options: CollectorOptions
    kind: str = "collector"

    @property
    def id(self) -> str:
        """The name of the function or class."""
        return self.processor.name

    @property
    def output_type(self) -> Any:
        """The type of one element that goes to the sink, `None` where none is declared."""
        return element_of(self.processor.returns)


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """Takes a request, calls the processor, and answers with what it returns.

    `route` is complete: it holds the base route of its service.
    """

    processor: Processor
    route: str
    method: str
    service_id: str
    options: EndpointOptions | ServiceOptions
    kind: str = "endpoint"
    base_route: str = "/"

    @property
    def id(self) -> str:
        """The name of the function or class."""
        return self.processor.name


ProcessorSpec = ConsumerSpec | CollectorSpec | EndpointSpec


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a primitive by a processor.

    `role` is "source", "sink", "dead letter" or "dependency", and `by` the dependency that holds
    it, where one does.
    """

    role: str
    primitive: object
    by: str = ""


def uses_of(spec: ProcessorSpec) -> Iterator[Use]:
    """Every primitive that a processor uses."""
    found = (
        ("source", getattr(spec, "source", None)),
        ("sink", getattr(spec, "sink", None)),
        ("dead letter", getattr(spec.options, "dead_letter", None)),
    )
    for role, primitive in found:
        if primitive is not None:
            yield Use(role, primitive)
    for provider in spec.processor.providers:
        if provider.dependency.primitive is not None and provider.given is None:
            yield Use("dependency", provider.dependency.primitive, provider.name)


def moved(spec: ProcessorSpec, change: Callable[[object], object]) -> ProcessorSpec:
    """The spec with the primitives of its pipeline changed; itself where none is."""
    words: dict[str, Any] = {}
    for name in ("source", "sink"):
        before = getattr(spec, name, None)
        if before is not None and (after := change(before)) is not before:
            words[name] = after
    before = getattr(spec.options, "dead_letter", None)
    if before is not None and (after := change(before)) is not before:
        options: Any = spec.options
        words["options"] = replace(options, dead_letter=after)
    return replace(spec, **words) if words else spec


def replanned(spec: ProcessorSpec, overrides: Overrides) -> ProcessorSpec:
    """The spec with its dependencies as they are now; itself where nothing about them differs.

    Raises:
        DeclarationError: one of them cannot be made as it is now.
    """
    processor = spec.processor
    if not processor.asks:
        return spec
    arguments = plan(processor.asks, overrides)
    if arguments == processor.arguments:
        return spec
    return replace(spec, processor=replace(processor, arguments=arguments))


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A group of endpoints under one base route."""

    id: str
    base_route: str
    options: ServiceOptions


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """Everything that a flow declares, by id, in the order of declaration."""

    flow_id: str
    stack: str
    processors: Mapping[str, ProcessorSpec] = field(default_factory=dict)
    services: Mapping[str, ServiceSpec] = field(default_factory=dict)
    managed: tuple[object, ...] = ()
