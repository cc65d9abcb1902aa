"""Ray, as the driver uses it: joined or started, asked for its machines, and left.

All of it blocks. `join` and `leave` belong on the process' main thread: what Ray starts ends with
the thread that started it. The rest is called on threads that may wait, since Ray waits long for a
head that is gone.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from buildflow_nb.runtime.ray.actor import Actor
from buildflow_nb.runtime.ray.addresses import Address
from buildflow_nb.runtime.ray.messages import Machine
from buildflow_nb.runtime.ray.settings import init_options
from buildflow_nb.runtime.ray.versions import told_by_ray
from buildflow_nb.runtime.replicas.host import Wants

__all__ = ("Cluster", "arrived", "blocking", "reason")

T = TypeVar("T")
CALLS_AT_ONCE = 8  # in one actor
KEEP = "keep"  # what may never wait behind calls has threads of its own
HEAD = ("gcs_server", "raylet")  # without these processes a cluster is none
LOW_MEMORY = (
    "Ray ended its process since the memory of its machine was nearly full; ask for what it needs "
    "by memory=, or run fewer replicas"
)
SUDDEN = "its process has ended by itself: it crashed, called os._exit, or was killed"
LONGEST = 300  # letters of a reason


class Cluster:
    """The cluster of this process."""

    def __init__(self, address: Address, cpus: float) -> None:
        self._address = address
        self._cpus = cpus
        self._here = ""
        self._kind: Any = None
        self.head: tuple[str, int] = ("", 0)

    def join(self) -> None:
        """Start or join it.

        Raises:
            Exception: whatever Ray raises; `reason` tells it.
        """
        import ray
        from ray import cloudpickle

        from buildflow_nb.runtime.ray import actor

        cloudpickle.register_pickle_by_value(actor)
        ray.init(**init_options(self._address, _taken_for(self._cpus)))
        context = ray.get_runtime_context()
        self._here = context.get_node_id()
        host, _, port = str(context.gcs_address).rpartition(":")
        self.head = (host.strip("[]"), int(port))
        self._kind = ray.remote(concurrency_groups={KEEP: 2})(Actor)

    def leave(self) -> None:
        """Leave it, and end it if it was started here."""
        import ray

        ray.shutdown()

    def is_here(self, node: str) -> bool:
        """Whether a machine is this one, as the cluster sees it."""
        return node == self._here

    def machines(self) -> list[Machine]:
        """The machines that are there."""
        import ray
        from ray._private import state

        free = state.available_resources_per_node()
        return [
            Machine(
                _name(node),
                _numbers(node["Resources"]),
                _numbers(free.get(node["NodeID"], {})),
                here=node["NodeID"] == self._here,
            )
            for node in ray.nodes()
            if node["Alive"]
        ]

    def name_of(self, node: str) -> str:
        """What a machine is called; "" for this one."""
        import ray

        if self.is_here(node):
            return ""
        return next((_name(one) for one in ray.nodes() if one["NodeID"] == node), node)

    def actor(self, name: str, number: int, wants: Wants) -> Any:
        """A new actor, which has not answered yet, and may not have a place yet."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(node_id=self._here, soft=False)
        options = {
            "name": f"{name} {number}",  # as Ray's own tools show it; no two may have one
            "num_cpus": wants.num_cpus,
            "num_gpus": wants.num_gpus,
            "memory": wants.memory or None,
            "max_restarts": 0,
            "max_concurrency": CALLS_AT_ONCE,
            "scheduling_strategy": here if wants.here else "SPREAD",
        }
        return self._kind.options(**options).remote(name)

    def kill(self, actor: Any) -> None:
        """End an actor, or ask for it no more."""
        import ray

        ray.kill(actor, no_restart=True)

    def is_gone(self, error: BaseException) -> bool:
        """Whether an error means that an actor will never answer again."""
        from ray import exceptions

        gone = (
            exceptions.RayActorError,
            exceptions.ActorPlacementGroupRemoved,
            exceptions.ActorUnschedulableError,
            exceptions.LocalRayletDiedError,
            exceptions.NodeDiedError,
            exceptions.OutOfMemoryError,  # Ray ended its process, and repeats this from then on
            exceptions.RuntimeEnvSetupError,
            exceptions.WorkerCrashedError,
        )
        return isinstance(error, gone) and not isinstance(error, exceptions.ActorUnavailableError)


def _taken_for(cpus: float) -> int:
    """How many CPUs this machine is taken for: as many as it has, or as are asked for."""
    from ray._private.utils import get_num_cpus

    # Ray's own way to count sees what a container may use.
    return max(int(get_num_cpus()), math.ceil(cpus))


def _name(node: dict[str, Any]) -> str:
    return str(node.get("NodeName") or node.get("NodeManagerAddress") or node["NodeID"])


def _numbers(resources: dict[str, Any]) -> dict[str, float]:
    return {n: float(resources[n]) for n in ("CPU", "GPU", "memory") if n in resources}


async def arrived(reference: Any, timeout_s: float | None) -> Any:
    """What a call of an actor gives.

    Raises:
        TimeoutError: it did not come in time; it may still be done.
        Exception: whatever Ray raises.
    """
    future: Future[Any] = reference.future()
    waiting = asyncio.wrap_future(future)
    # Cancelled it may not be: Ray would fail at it when the answer comes.
    waiting.add_done_callback(_seen)
    return await asyncio.wait_for(asyncio.shield(waiting), timeout_s)


def _seen(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


async def blocking(work: Callable[[], T], timeout_s: float) -> T:
    """Do what may wait for the cluster, on another thread.

    Raises:
        TimeoutError: it has not come back in time; it goes on, and nobody waits for it.
    """
    return await asyncio.wait_for(asyncio.shield(_on_thread(work)), timeout_s)


def _on_thread(work: Callable[[], T]) -> Awaitable[T]:
    task = asyncio.ensure_future(asyncio.to_thread(work))
    task.add_done_callback(_seen)
    return task


def reason(error: BaseException) -> str:
    """What Ray says, in one line: its last paragraph, which is the one that tells."""
    if why := told_by_ray(str(error), "the cluster"):
        return why
    if "running low on memory" in str(error):
        return LOW_MEMORY
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(_FIELDS)]
    said = told[-1] if told else type(error).__name__
    if detail := _EXIT.search(said):
        said = (
            SUDDEN if "unexpectedly" in detail[1] else f"its process has ended: {detail[1].strip()}"
        )
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}…"


_EXIT = re.compile(r"Worker exit detail: (.+?)(?:Some common causes|$)")
_FIELDS = ("class_name:", "actor_id:", "pid:", "namespace:", "ip:", "name:", "repr:")
