"""Reads a flow's state off what it declares."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from importlib import metadata
from typing import Any

from buildflow_nb.core.declaring.flow_spec import (
    CollectorSpec,
    ConsumerSpec,
    FlowSpec,
    ProcessorSpec,
    uses_of,
)
from buildflow_nb.core.portable import declared_as
from buildflow_nb.core.primitive import owned_by, parents_of
from buildflow_nb.core.status.flow_state import (
    FlowState,
    PrimitiveState,
    ProcessorGroupState,
    ProcessorState,
)
from buildflow_nb.infra.managed import in_order

__all__ = ("flow_state",)


def flow_state(spec: FlowSpec) -> FlowState:
    """Tell what a flow declares."""
    return FlowState(
        flow_id=spec.flow_id,
        stack=spec.stack,
        primitive_states=tuple(_primitives(spec)),
        processor_group_states=tuple(_groups(spec)),
        python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
        ray_version=_version_of("ray"),
        buildflow_version=_version_of("buildflow-nb") or "unknown",
    )


def _primitives(spec: FlowSpec) -> Iterator[PrimitiveState]:
    """Each primitive once, after those that it is made with."""
    managed = {_key(primitive) for primitive in (*spec.managed, *in_order(spec.managed))}
    seen: set[str] = set()
    open_ = [*spec.managed, *(p for one in spec.processors.values() for p in _used_by(one))]

    def told(primitive: Any) -> Iterator[PrimitiveState]:
        if _key(primitive) in seen:
            return
        seen.add(_key(primitive))
        needed = list(_needed_by(primitive))
        for other in needed:
            yield from told(other)
        url = getattr(primitive, "cloud_console_url", None)
        yield PrimitiveState(
            primitive_id=str(primitive.primitive_id),
            primitive_name=type(primitive).__name__,
            primitive_type=getattr(primitive, "cloud", "agnostic"),
            managed=_key(primitive) in managed,
            resource_url=url() if callable(url) else None,
            primitive_dependencies=tuple(_ids(needed)),
            declared_as=declared_as(primitive) or None,
        )

    for primitive in open_:
        yield from told(primitive)


def _groups(spec: FlowSpec) -> Iterator[ProcessorGroupState]:
    served: dict[str, list[ProcessorSpec]] = {}
    for one in spec.processors.values():
        if not isinstance(one, (ConsumerSpec, CollectorSpec)):
            served.setdefault(one.service_id, []).append(one)
    for one in spec.processors.values():
        if isinstance(one, ConsumerSpec):
            info = {"source_id": _id(one.source), "sink_id": _id(one.sink)}
            yield ProcessorGroupState(one.id, one.kind, (_processor(one, info),), {})
        elif isinstance(one, CollectorSpec):
            base = {"base_route": one.route}
            yield ProcessorGroupState(
                one.id, one.kind, (_processor(one, {"sink_id": _id(one.sink)}),), base
            )
        elif one.service_id in served:
            yield _service(spec, one.service_id, served.pop(one.service_id))


def _service(spec: FlowSpec, name: str, specs: Iterable[Any]) -> ProcessorGroupState:
    service = spec.services.get(name)
    base = "/" if service is None else service.base_route
    states = tuple(
        _processor(one, {"route": _below(base, one.route), "method": one.method}) for one in specs
    )
    return ProcessorGroupState(name, "service", states, {"base_route": base})


def _below(base: str, route: str) -> str:
    """A route as its service has it."""
    inner = route.removeprefix(base.rstrip("/"))
    return inner if inner.startswith("/") else f"/{inner}"


def _processor(spec: ProcessorSpec, info: dict[str, str | None]) -> ProcessorState:
    return ProcessorState(spec.id, spec.kind, info, tuple(_ids(_used_by(spec))))


def _used_by(spec: ProcessorSpec) -> Iterator[Any]:
    yield from (use.primitive for use in uses_of(spec))


def _needed_by(primitive: object) -> Iterator[Any]:
    """What a primitive holds, owns or stands on."""
    values: list[object] = []
    if is_dataclass(primitive):
        values = [getattr(primitive, field.name) for field in fields(primitive)]
    values += [*owned_by(primitive), *parents_of(primitive)]
    found: dict[str, object] = {}
    for value in values:
        if not isinstance(value, type) and isinstance(getattr(value, "primitive_id", None), str):
            found.setdefault(_key(value), value)
    yield from found.values()


def _ids(primitives: Iterable[Any]) -> dict[str, None]:
    return dict.fromkeys(str(primitive.primitive_id) for primitive in primitives)


def _id(primitive: Any) -> str | None:
    return None if primitive is None else str(primitive.primitive_id)


def _key(primitive: Any) -> str:
    """What tells primitives apart: a topic and a subscription may share their id."""
    return f"{type(primitive).__name__} {primitive.primitive_id}"


def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
