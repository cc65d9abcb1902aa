"""How much the last run used each resource: rates as its history has them, sizes as it shows them.

The history outlives the run, so the rates are known after a restart of the kernel and in a terminal
too; the size of elements is known while the run can be asked. Only what a cloud bills is looked at,
for a bounded time: what was measured before stays known for the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from buildflow_nb.core.conversion.encode import json_bytes
from buildflow_nb.core.pricing import Priced, Usage
from buildflow_nb.core.status.history import History
from buildflow_nb.flow.resource_names import KnownResource
from buildflow_nb.runtime.handle import RunHandle

__all__ = ("run_usage",)

LEAST_S = 5.0  # of a run that tells a rate
MOST_S = 1.5  # for histories, which are read from the disk; a plan waits for it
SAMPLES = 20  # elements whose size is taken


def run_usage(
    history_of: Callable[[str], History],
    handle: RunHandle | None,
    known: Iterable[KnownResource],
) -> tuple[dict[str, Usage], float]:
    """Usage by class and id, and when it was measured last; empty where nothing was."""
    found: dict[str, Usage] = {}
    histories: dict[str, History] = {}
    latest, ends = 0.0, time.monotonic() + MOST_S
    for resource in known:
        if not isinstance(resource.primitive, Priced):
            continue
        for role, spec in resource.uses:
            if role not in ("source", "sink") or time.monotonic() > ends:
                continue
            with suppress(TimeoutError):
                if spec.id not in histories:
                    histories[spec.id] = history_of(spec.id)
                history = histories[spec.id]
                rate = _rate(history, role)
                if rate is None:
                    continue
                usage = Usage(rate, None if handle is None else _kb(handle, spec.id, role))
                before = found.get(resource.key)
                if before is None or rate > (before.elements_per_s or 0.0):
                    found[resource.key] = usage  # a queue between two: the one that does more
                latest = max(latest, history.ends_at or 0.0)
    return found, latest


def _rate(history: History, role: str) -> float | None:
    """Elements a second of the run that began last, None where it was too short to tell."""
    begun = max((mark.at for mark in history.marks if mark.kind == "started"), default=0.0)
    rows = list(history.rows(begun))
    seconds = sum(row.seconds for row in rows)
    count = sum(row.taken if role == "source" else row.given for row in rows)
    return count / seconds if seconds >= LEAST_S and count else None


def _kb(handle: RunHandle, processor_id: str, role: str) -> float | None:
    """The mean size of the last elements, as JSON."""
    sizes: list[int] = []
    with suppress(TimeoutError):
        for passage in handle.peek(processor_id, SAMPLES):
            values = (passage.element,) if role == "source" else passage.results
            sizes += [size for size in map(_size, values) if size is not None]
    return sum(sizes) / len(sizes) / 1_000 if sizes else None


def _size(value: object) -> int | None:
    if isinstance(value, (bytes, str)):
        return len(value)
    try:
        return len(json_bytes(value))
    except Exception:  # noqa: BLE001  (a user's class, which may do anything)
        return None
