"""Dependencies that are no class or function of their own, but annotations made of one.

`Clock = ReplicaScoped(make_clock)` is an annotation: `def price(order: Order, clock: Clock)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from buildflow_nb.core.declaring.dependencies import Dependency, dependency
from buildflow_nb.core.declaring.scope import Scope

__all__ = (
    "Dependency",
    "GlobalScoped",
    "NoScoped",
    "ProcessScoped",
    "ReplicaScoped",
    "Scope",
    "dependency",
)


class ProcessScoped(Dependency):
    """What a call of a processor has for itself."""

    def __init__(self, dependency_fn: Callable[..., Any]) -> None:
        super().__init__(dependency_fn, Scope.PROCESS)


class ReplicaScoped(Dependency):
    """What lives as long as a replica."""

    def __init__(self, dependency_fn: Callable[..., Any]) -> None:
        super().__init__(dependency_fn, Scope.REPLICA)


class GlobalScoped(Dependency):
    """What lives as long as a run."""

    def __init__(self, dependency_fn: Callable[..., Any]) -> None:
        super().__init__(dependency_fn, Scope.GLOBAL)


class NoScoped(Dependency):
    """What is made anew for whoever asks."""

    def __init__(self, dependency_fn: Callable[..., Any]) -> None:
        super().__init__(dependency_fn, Scope.NO_SCOPE)
