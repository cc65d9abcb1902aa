"""What a check and the doctor say about Ray: whether it is here, which one, and how much is free.

A cluster is joined for it, which takes some seconds, and left again; a Ray of a run's own is not
started.
"""

from __future__ import annotations

import asyncio
import os

from buildflow_nb.core.errors import RunError, UsageError
from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.runtime.ray.addresses import Address, address_of, takes_jobs
from buildflow_nb.runtime.ray.host import RayHost
from buildflow_nb.runtime.ray.messages import Machine
from buildflow_nb.runtime.ray.versions import cannot, our_versions
from buildflow_nb.runtime.replicas.host import GoneError

__all__ = ("findings", "installed")

SUBJECT = "Ray"
CLUSTER = "Ray cluster"


async def findings(
    address: str | None, cpus: float = 0.0, timeout_s: float = 30.0
) -> list[Finding]:
    """How the Ray at an address is; `cpus` is how many the processors ask for.

    Takes no longer than `timeout_s` seconds and what leaving takes. Never raises.
    """
    if takes_jobs(address):
        said = f"jobs are submitted to {address}, and no replica is started from here"
        cure = "buildflow run in a terminal does so; to run it from here give auto, or host:port"
        return [Finding(CLUSTER, Health.WARNING, said, cure)]
    there = installed()
    if there.health is Health.ERROR:
        return [there]
    try:
        cluster = address_of(address)
    except UsageError as error:
        return [there, Finding.of_error(CLUSTER, error)]
    if cluster.own:
        return [there, _own(cpus)]
    return [there, await _joined(cluster, cpus, timeout_s)]


def installed() -> Finding:
    """Whether Ray is here, and which."""
    if why := cannot():
        said, _, cure = why.rpartition(": ") if ": " in why else why.rpartition("; ")
        return Finding(SUBJECT, Health.ERROR, said, cure)
    ours = our_versions()
    return Finding(SUBJECT, Health.OK, f"{ours.ray}, with Python {ours.python}")


def _own(cpus: float) -> Finding:
    there = os.cpu_count() or 1
    if cpus <= there:
        return Finding(CLUSTER, Health.OK, f"one of the run's own, on {_cpus(there)}")
    said = (
        f"one of the run's own, on {_cpus(there)}; the processors ask for {cpus:g}, and share them"
    )
    return Finding(
        CLUSTER, Health.WARNING, said, "lower num_cpus or num_replicas, or use a cluster"
    )


async def _joined(cluster: Address, cpus: float, timeout_s: float) -> Finding:
    host = RayHost(cluster.text)
    lost: list[str] = []
    try:
        async with asyncio.timeout(timeout_s):
            await host.open(lost.append)
            machines = await host.machines()
    except TimeoutError:
        said = f"{cluster} does not answer within {timeout_s:g} s"
        return Finding(CLUSTER, Health.ERROR, said, "see whether its head works: ray status")
    except (RunError, GoneError) as error:
        return Finding.of_error(CLUSTER, error)
    finally:
        await host.close()
    return _free(cluster, machines, cpus)


def _free(cluster: Address, machines: list[Machine], cpus: float) -> Finding:
    free = sum(machine.free.get("CPU", 0.0) for machine in machines)
    total = sum(machine.total.get("CPU", 0.0) for machine in machines)
    many = f"{len(machines)} machine{'s' if len(machines) != 1 else ''}"
    said = f"{cluster}: {many}, {free:g} of {_cpus(total)} free"
    if cpus <= free:
        return Finding(CLUSTER, Health.OK, said)
    cure = "replicas wait until there is room; lower num_cpus or num_replicas, or add machines"
    return Finding(CLUSTER, Health.WARNING, f"{said}; the processors ask for {cpus:g}", cure)


def _cpus(count: float) -> str:
    return f"{count:g} CPU{'s' if count != 1 else ''}"
