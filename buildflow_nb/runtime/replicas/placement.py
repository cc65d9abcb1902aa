"""Where a processor works: in which replicas, how many of them at most, and on which machine.

What only one process may open at a time (a file, a database in one) keeps all processors that use
it in one replica, where they share it as they do in the run's own process. A source that several
processes cannot read at once has one replica, in which `num_replicas` are threads. What stands on
the run's machine, and what keeps there how far it is, stays on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from buildflow_nb.core.declaring.flow_spec import ConsumerSpec, ProcessorSpec, uses_of
from buildflow_nb.core.primitive import Env, label_of
from buildflow_nb.core.sharing import exclusive_of, is_shared
from buildflow_nb.runtime.replicas.host import Wants

__all__ = ("Placement", "place", "together")


@dataclass(frozen=True, slots=True)
class Placement:
    """What one processor asks for.

    `exclusive` names what only one process may open. `spread` says that it may have more than one
    replica; where it may not and more were asked for, `why` tells the reason, for people.
    """

    wants: Wants
    routes: bool
    exclusive: frozenset[str]
    spread: bool
    why: str = ""


def place(spec: ProcessorSpec, env: Env, *, loopback: bool) -> Placement:
    """What a processor asks for; `loopback` says that routes are served to this machine only."""
    used = [use.primitive for use in uses_of(spec)]
    exclusive = frozenset(filter(None, map(exclusive_of, used)))
    consumes = isinstance(spec, ConsumerSpec)
    alone = _reason(spec, used)
    options = spec.options
    here = env.cloud == "local" or bool(alone) or (not consumes and loopback)
    wants = Wants(options.num_cpus, options.num_gpus, options.memory, here)
    why = alone if options.num_replicas > 1 else ""
    return Placement(wants, not consumes, exclusive, not alone, why)


def together(placements: Iterable[Placement]) -> Placement:
    """What processors that work in the same replicas ask for."""
    first, *others = placements
    for other in others:
        a, b = first.wants, other.wants
        wants = Wants(
            max(a.num_cpus, b.num_cpus),
            max(a.num_gpus, b.num_gpus),
            max(a.memory, b.memory),
            a.here or b.here,
        )
        exclusive = first.exclusive | other.exclusive
        first = replace(
            first, wants=wants, exclusive=exclusive, spread=first.spread and other.spread
        )
    return first


def _reason(spec: ProcessorSpec, used: Iterable[Any]) -> str:
    """Why a processor has one replica only; "" if it may have more."""
    for primitive in used:
        if exclusive_of(primitive):
            return f"one process only can have {label_of(primitive)} open"
    if isinstance(spec, ConsumerSpec) and not is_shared(spec.source):
        return f"one process only can read {label_of(spec.source)}"
    if getattr(spec.options, "delivery", "") == "exactly-once":
        return "exactly once holds for one process"
    return ""
