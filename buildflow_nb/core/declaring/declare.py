"""Makes specs of what users declare, and refuses what cannot run, in one line, there and then.

Everything that can be known before running is checked: the code is a processor, the types convert,
the abilities fit, the options are in range, the route is well formed and can be bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from buildflow_nb.core.conversion.annotations import type_name
from buildflow_nb.core.conversion.decode import compile_decoder
from buildflow_nb.core.conversion.encode import compile_encoder
from buildflow_nb.core.declaring.dependencies import Ambient
from buildflow_nb.core.declaring.flow_spec import (
    CollectorSpec,
    ConsumerSpec,
    EndpointSpec,
    ServiceSpec,
)
from buildflow_nb.core.declaring.http_binding import plan_binding
from buildflow_nb.core.declaring.processor import Processor, element_parameter, inspect_processor
from buildflow_nb.core.declaring.web_classes import is_starlette_class
from buildflow_nb.core.declaring.websocket_parameters import WEBSOCKET
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.exactly_once import replays, stores_once
from buildflow_nb.core.options import CollectorOptions, ConsumerOptions, nearest
from buildflow_nb.core.primitive import Readable, Wire, Writable, label_of

__all__ = (
    "METHODS",
    "Particular",
    "collector_spec",
    "consumer_spec",
    "endpoint_spec",
    "join_route",
)

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", WEBSOCKET)
_ROUTE = re.compile(r"^/[^\s?#]*$")
_FIELD = re.compile(r"{([^{}]*)}")


@runtime_checkable
class Particular(Protocol):
    """A source that knows of types which its elements can never become."""

    def check_input(self, hint: object) -> str:
        """What is wrong with a parameter annotated `hint`, and what to write; "" for nothing."""
        ...


def consumer_spec(
    target: Callable[..., Any], source: object, sink: object, words: Mapping[str, object]
) -> ConsumerSpec:
    """Check and freeze a consumer.

    Raises:
        DeclarationError: the code, the source, the sink, a type or an option does not fit.
    """
    processor = inspect_processor(target)
    owner = f"consumer {processor.name!r}"
    if isinstance(source, type) or not isinstance(source, Readable):
        msg = f"{owner}: source={_shown(source)} cannot be read{_hint(source, Writable, 'sink')}"
        raise DeclarationError(msg)
    options = ConsumerOptions.parse(words, owner)
    spec = ConsumerSpec(processor, source, _sink(owner, sink), options)
    why = "elements of a source come without one; use it in an endpoint or a collector"
    _refuse_lacking(owner, processor, (Ambient.REQUEST, Ambient.WEBSOCKET), why)
    parameter = element_parameter(processor)
    where = f"{owner}, parameter {parameter.name!r}"
    if isinstance(source, Particular) and (wrong := source.check_input(parameter.hint)):
        msg = f"{where}: {wrong}"
        raise DeclarationError(msg)
    compile_decoder(parameter.hint, source.source_wire, where)
    _check_output(owner, spec.output_type, spec.sink)
    _sink(owner, options.dead_letter, "dead_letter")
    _check_delivery(owner, spec)
    return spec


def collector_spec(
    target: Callable[..., Any],
    route: str,
    method: object,
    sink: object,
    words: Mapping[str, object],
) -> CollectorSpec:
    """Check and freeze a collector.

    Raises:
        DeclarationError: the code, the route, the sink, a type or an option does not fit.
    """
    processor = inspect_processor(target)
    owner = f"collector {processor.name!r}"
    options = CollectorOptions.parse(words, owner)
    if _method(owner, method) == WEBSOCKET:
        msg = f"{owner}: a collector answers once what came is stored; a WebSocket is an endpoint"
        raise DeclarationError(msg)
    spec = CollectorSpec(
        processor,
        _route(owner, processor, route),
        _method(owner, method),
        _sink(owner, sink),
        options,
    )
    _check_output(owner, spec.output_type, spec.sink)
    _sink(owner, options.dead_letter, "dead_letter")
    _refuse_lacking(owner, processor, (Ambient.WEBSOCKET,), "a collector has none")
    plan_binding(spec)
    return spec


def endpoint_spec(
    target: Callable[..., Any], route: str, method: object, service: ServiceSpec
) -> EndpointSpec:
    """Check and freeze an endpoint of a service.

    Raises:
        DeclarationError: the code or the route does not fit.
    """
    processor = inspect_processor(target)
    owner = f"endpoint {processor.name!r}"
    full = join_route(service.base_route, _route(owner, processor, route))
    spec = EndpointSpec(
        processor,
        full,
        _method(owner, method),
        service.id,
        service.options,
        base_route=join_route(service.base_route, "/"),
    )
    if spec.method != WEBSOCKET:
        why = 'its route has none; write method="WEBSOCKET"'
        _refuse_lacking(owner, processor, (Ambient.WEBSOCKET,), why)
    plan_binding(spec)
    return spec


def join_route(base: str, route: str) -> str:
    """Put a route under a base route; `/` adds nothing."""
    joined = f"{base.rstrip('/')}/{route.lstrip('/')}"
    return joined.rstrip("/") or "/"


def _refuse_lacking(
    owner: str, processor: Processor, lacking: tuple[Ambient, ...], why: str
) -> None:
    """Refuse dependencies that need what does not come along."""
    for provider in processor.providers:
        for argument in provider.arguments:
            needs = argument.source in lacking and provider.given is None
            if needs and provider.dependency.requires(argument.name):
                said = argument.source.value  # type: ignore[union-attr]  # it is among them
                msg = f"{owner}: its dependency {provider.name!r} takes {said}, and {why}"
                raise DeclarationError(msg)


def _sink(owner: str, sink: object, word: str = "sink") -> Writable | None:
    if sink is None or (isinstance(sink, Writable) and not isinstance(sink, type)):
        return sink
    msg = f"{owner}: {word}={_shown(sink)} cannot be written{_hint(sink, Readable, 'source')}"
    raise DeclarationError(msg)


def _shown(value: object) -> str:
    if isinstance(value, type):
        return f"{value.__name__} (the class; call it to make one)"
    return type(value).__name__


def _hint(value: object, ability: type, word: str) -> str:
    able = isinstance(value, ability) and not isinstance(value, type)
    return f"; it can be a {word}" if able else ""


def _check_output(owner: str, hint: object, sink: Writable | None) -> None:
    if sink is None:
        return
    compile_encoder(hint, sink.sink_wire, owner)
    if sink.sink_wire in (Wire.RECORD, Wire.ROW) and hint in (list, set, frozenset):
        msg = (
            f"{owner} returns {type_name(hint)} of unnamed values, which {_shown(sink)} cannot "
            "store; return a dataclass, another record type or dict"
        )
        raise DeclarationError(msg)


def _check_delivery(owner: str, spec: ConsumerSpec) -> None:
    """Refuse exactly once where it cannot be had."""
    options = spec.options
    if options.delivery != "exactly-once":
        return
    wrong = ""
    if spec.sink is None:
        wrong = "there is no sink; leave it out"
    elif not stores_once(spec.sink):
        wrong = f"{label_of(spec.sink)} cannot tell a push that it has stored from a new one"
    elif not replays(spec.source):
        wrong = f"{label_of(spec.source)} does not give the same again in the same order"
        wrong += "; add resume=True" if hasattr(spec.source, "resume") else ""
    elif options.num_replicas * options.num_concurrency > 1:
        wrong = "elements have to keep their order; leave num_replicas and num_concurrency at 1"
    elif options.enable_autoscaler:
        wrong = "elements have to keep their order; leave enable_autoscaler out"
    if wrong:
        msg = f'{owner}: delivery="exactly-once" cannot be had: {wrong}'
        raise DeclarationError(msg)


def _route(owner: str, processor: Processor, route: object) -> str:
    """The route, whose names must be parameters, unless the function takes the request itself."""
    if not isinstance(route, str) or not _ROUTE.match(route):
        msg = f"{owner}: route must be a path that starts with '/', got {route!r}"
        raise DeclarationError(msg)
    names = [p.name if p.mark is None else p.mark.name(p.name) for p in processor.parameters]
    if any(is_starlette_class(p.hint) for p in processor.parameters):
        return route  # it has them as `request.path_params`
    for found in _FIELD.findall(route):
        name = found.partition(":")[0]
        if name not in names:
            near = nearest(name, names)
            msg = f"{owner}: route {route!r} names {name!r}, which is no parameter of it{near}"
            raise DeclarationError(msg)
    return route


def _method(owner: str, method: object) -> str:
    word = str(getattr(method, "value", method)).upper()
    if word not in METHODS:
        msg = f"{owner}: method must be one of {', '.join(METHODS)}, got {method!r}"
        raise DeclarationError(msg)
    return word
