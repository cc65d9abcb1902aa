"""Where clients connect for a look: a local cloud that does not run is not started for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from buildflow_nb.core.env import Env, store_of
from buildflow_nb.core.primitive import Managed
from buildflow_nb.infra.flow_stack import FlowStack
from buildflow_nb.local_cloud.client import find_cloud

__all__ = ("standing_env",)


def standing_env(place: FlowStack, folder: Path, primitive: object) -> tuple[Env, str]:
    """The stack as it is, and why this primitive cannot be looked at there, "" where it can.

    A store of a local cloud that runs is woken by whoever looks into it.
    """
    env = place.env()
    if not place.local:
        return env, ""
    record = find_cloud(folder)
    needs = isinstance(primitive, Managed) or bool(store_of(primitive))
    if record is None:
        away = "not looked at: the local cloud does not run" if needs else ""
        return replace(env, endpoints={}), away
    return replace(env, endpoints=record.endpoints), ""
