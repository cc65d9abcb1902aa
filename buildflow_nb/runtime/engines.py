"""The engine of a run, by its name; what another engine needs is loaded with it, and not before."""

from __future__ import annotations

from buildflow_nb.core.engine_choice import RAY
from buildflow_nb.runtime.concurrency.clock import Clock
from buildflow_nb.runtime.engine import Engine
from buildflow_nb.runtime.in_process import InProcess
from buildflow_nb.runtime.plan import RunPlan

__all__ = ("engine_of",)


def engine_of(plan: RunPlan, clock: Clock) -> Engine:
    """Where the processors of a run are to work.

    Raises:
        UsageError: the engine is not installed, or its address is none that it can use.
    """
    if plan.engine.name != RAY:
        return InProcess(plan)
    from buildflow_nb.runtime.ray.host import RayHost, refuse
    from buildflow_nb.runtime.replicas.engine import Replicated

    address = plan.engine.address
    refuse(address, local=plan.env.cloud == "local")
    return Replicated(plan, lambda cpus: RayHost(address, cpus=cpus), clock)
