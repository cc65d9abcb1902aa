"""How much a run uses each resource: rates and sizes, as far as it has shown them."""

from __future__ import annotations

import time
from collections.abc import Iterable

from buildflow_nb.core.conversion.encode import json_bytes
from buildflow_nb.core.pricing import Usage
from buildflow_nb.core.status.snapshot import ProcessorSnapshot
from buildflow_nb.flow.resource_names import KnownResource
from buildflow_nb.runtime.handle import RunHandle

__all__ = ("run_usage",)

LEAST_S = 5.0  # of a run that tells a rate
SAMPLES = 20  # elements whose size is taken
LOOK_S = 1.0


def run_usage(handle: RunHandle, known: Iterable[KnownResource]) -> dict[str, Usage]:
    """Usage by class and id; empty where the run does not answer, or has just begun."""
    try:
        shot = handle.snapshot(LOOK_S)
    except TimeoutError:
        return {}
    found: dict[str, Usage] = {}
    for resource in known:
        for role, spec in resource.uses:
            one = shot.processor(spec.id)
            if one is None or role not in ("source", "sink"):
                continue
            usage = _usage(handle, one, role)
            before = found.get(resource.key)
            if usage is not None and (before is None or _rate(usage) > _rate(before)):
                found[resource.key] = usage  # a queue between two: the one that does more
    return found


def _rate(usage: Usage) -> float:
    return usage.elements_per_s or 0.0


def _usage(handle: RunHandle, one: ProcessorSnapshot, role: str) -> Usage | None:
    if one.started_at is None:
        return None
    seconds = (one.ended_at or time.time()) - one.started_at
    count = one.elements_in if role == "source" else one.elements_out
    if seconds < LEAST_S or not count:
        return None
    return Usage(count / seconds, _kb(handle, one.processor_id, role))


def _kb(handle: RunHandle, processor_id: str, role: str) -> float | None:
    """The mean size of the last elements, as JSON."""
    sizes: list[int] = []
    for passage in handle.peek(processor_id, SAMPLES):
        values = (passage.element,) if role == "source" else passage.results
        for value in values:
            size = _size(value)
            if size is not None:
                sizes.append(size)
    return sum(sizes) / len(sizes) / 1_000 if sizes else None


def _size(value: object) -> int | None:
    if isinstance(value, (bytes, str)):
        return len(value)
    try:
        return len(json_bytes(value))
    except Exception:  # noqa: BLE001  (a user's class, which may do anything)
        return None
