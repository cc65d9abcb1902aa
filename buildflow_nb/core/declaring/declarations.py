"""Processors and services declared apart from a flow, to be added to one later.

`@consumer(...)`, `@collector(...)`, `@endpoint(...)` and `Service()` check nothing that needs the
flow; what they give stays callable as the function it wraps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from buildflow_nb.core.declaring.flow_spec import ServiceSpec
from buildflow_nb.core.declaring.hooks import MiddlewareHook, middleware_hook
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.options import (
    CollectorOptions,
    ConsumerOptions,
    ServiceOptions,
    takes_options,
)

__all__ = ("Collector", "Consumer", "Endpoint", "Service", "collector", "consumer", "endpoint")

Code = Callable[..., Any]


class _Wrapped:
    """Callable as the function or class that it declares a processor of."""

    target: Code

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the user's own code."""
        return self.target(*args, **kwargs)


@dataclass(eq=False)
class Consumer(_Wrapped):
    """A consumer for `Flow.add_consumer`."""

    target: Code
    source: object
    sink: object
    options: dict[str, Any]


@dataclass(eq=False)
class Collector(_Wrapped):
    """A collector for `Flow.add_collector`."""

    target: Code
    route: str
    method: object
    sink: object
    options: dict[str, Any]


@dataclass(eq=False)
class Endpoint(_Wrapped):
    """An endpoint for `Service.add_endpoint`."""

    target: Code
    route: str
    method: object


def _wrap(made: Any, target: Code) -> Any:
    functools.update_wrapper(made, target, updated=())
    return made


@takes_options(ConsumerOptions)
def consumer(source: object, sink: object = None, **options: Any) -> Callable[[Code], Consumer]:
    """Declare a consumer, to be added with `Flow.add_consumer`."""
    return lambda target: _wrap(Consumer(target, source, sink, options), target)


@takes_options(CollectorOptions)
def collector(
    route: str, method: object = "POST", sink: object = None, **options: Any
) -> Callable[[Code], Collector]:
    """Declare a collector, to be added with `Flow.add_collector`."""
    return lambda target: _wrap(Collector(target, route, method, sink, options), target)


def endpoint(route: str, method: object = "GET") -> Callable[[Code], Endpoint]:
    """Declare an endpoint, to be added with `Service.add_endpoint`."""
    return lambda target: _wrap(Endpoint(target, route, method), target)


def service_spec(base_route: str, service_id: str | None, options: dict[str, Any]) -> ServiceSpec:
    """Check and freeze a service; a first argument without a leading slash is its id.

    Raises:
        DeclarationError: an option is unknown or out of range.
    """
    if not base_route.startswith("/"):
        service_id, base_route = service_id or base_route, "/"
    name = service_id or f"service {base_route}"
    return ServiceSpec(name, base_route, ServiceOptions.parse(options, f"service {name!r}"))


@dataclass
class Service:
    """Endpoints under one base route.

    Endpoints may be added before or after the service is added to a flow.
    """

    base_route: str = "/"
    service_id: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    endpoints: list[Endpoint] = field(default_factory=list, init=False)
    spec: ServiceSpec = field(init=False, repr=False)
    listeners: list[Callable[[Endpoint], None]] = field(
        default_factory=list, init=False, repr=False
    )
    middleware: list[MiddlewareHook] = field(default_factory=list, init=False, repr=False)
    surrounded_by: list[Callable[[MiddlewareHook], None]] = field(
        default_factory=list, init=False, repr=False
    )

    def __init__(
        self, base_route: str = "/", service_id: str | None = None, **options: Any
    ) -> None:
        if not isinstance(base_route, str):
            msg = f"service: base_route must be a path, got {base_route!r}"
            raise DeclarationError(msg)
        self.spec = service_spec(base_route, service_id, options)
        self.base_route = self.spec.base_route
        self.service_id = self.spec.id
        self.options = options
        self.endpoints = []
        self.listeners = []
        self.middleware = []
        self.surrounded_by = []

    def endpoint(self, route: str, method: object = "GET") -> Callable[[Code], Code]:
        """Declare an endpoint of this service; gives the function itself."""

        def add(target: Code) -> Code:
            self.add_endpoint(Endpoint(target, route, method))
            return target

        return add

    def add_endpoint(self, endpoint: Endpoint) -> None:
        """Add an endpoint that was declared apart."""
        if not isinstance(endpoint, Endpoint):
            msg = f"add_endpoint takes what @endpoint(...) gives, got {type(endpoint).__name__}"
            raise DeclarationError(msg)
        for listener in self.listeners:
            listener(endpoint)
        self.endpoints.append(endpoint)

    def add_middleware(self, middleware_type: Code, **options: Any) -> None:
        """Put middleware around all endpoints of this service, inside that of the flow.

        It is a class of `buildflow_nb.middleware`, one of your own, or an async function, as
        `Flow.add_middleware` takes them.

        Raises:
            DeclarationError: it is none of these, or does not take these options.
        """
        hook = middleware_hook(middleware_type, options, self.spec.id, self.base_route)
        for listener in self.surrounded_by:
            listener(hook)
        self.middleware.append(hook)
