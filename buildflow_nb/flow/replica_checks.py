"""What a run in replicas needs: a Ray that can be had, and processors that can be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from buildflow_nb.core.declaring.flow_spec import ProcessorSpec
from buildflow_nb.core.engine_choice import RAY
from buildflow_nb.core.errors import CannotShipError, UsageError
from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.primitive import Env
from buildflow_nb.flow.running import Running

__all__ = ("look_at_replicas",)


def look_at_replicas(
    flow: Running, specs: Sequence[ProcessorSpec], timeout: float, *, cluster: bool
) -> Iterator[Finding]:
    """How a run in replicas would go; nothing, where processors work in this process.

    A `cluster` is joined for it, which takes seconds. Not to be called on a loop.
    """
    try:
        choice = flow.engine_choice()
    except UsageError as error:
        yield Finding.of_error("engine", error)
        return
    if choice.name != RAY:
        return
    from buildflow_nb.runtime.ray.findings import findings

    env = flow.place.env()
    yield from _sendable(specs, env)
    if cluster or not choice.address:
        yield from asyncio.run(findings(choice.address, _cpus(specs, env), timeout))


def _sendable(specs: Sequence[ProcessorSpec], env: Env) -> Iterator[Finding]:
    from buildflow_nb.runtime.replicas.sending import Sending
    from buildflow_nb.runtime.shipping import pack_spec

    for spec in specs:
        try:
            size = len(pack_spec(Sending.without_values(spec), folder=env.folder))
        except CannotShipError as error:
            yield Finding.of_error(spec.id, error)
        else:
            yield Finding(spec.id, Health.OK, f"goes to replicas in {size / 1024:,.1f} kB")


def _cpus(specs: Sequence[ProcessorSpec], env: Env) -> float:
    from buildflow_nb.runtime.replicas.placement import place

    return sum(
        spec.options.num_cpus
        * (spec.options.num_replicas if place(spec, env, loopback=True).spread else 1)
        for spec in specs
    )
