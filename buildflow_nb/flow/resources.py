"""The resources that a flow knows, each of which can be looked into."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildflow_nb.core.env import Env
from buildflow_nb.core.interrupts import interrupts_held
from buildflow_nb.core.primitive import key_of
from buildflow_nb.core.status.stack_view import StackView
from buildflow_nb.flow.running import Running

if TYPE_CHECKING:  # loaded where somebody looks
    from buildflow_nb.core.resource_look import Figure
    from buildflow_nb.flow.resource import Resource
    from buildflow_nb.flow.resource_names import KnownResource

__all__ = ("ResourceState", "Resources")

RATES_S = 0.5  # for the run's answer; a look does not wait for a loop that is held


@dataclass(frozen=True, slots=True)
class ResourceState:
    """A resource that a flow knows.

    `key` is class and id, `name` what lines call it, `roles` what the flow does with it. `state` is
    "applied", "not applied" or "not declared" for what is managed, "" for what is not.
    """

    key: str
    name: str
    roles: tuple[str, ...]
    state: str


class Resources(Running):
    """A flow whose resources can be looked into."""

    def resource(self, named: object) -> Resource:
        """A resource: the primitive itself, its id, or class and id ("SQSQueue orders").

        Raises:
            UsageError: the flow has no such resource, or several of that name.
        """
        from buildflow_nb.flow.resource import Resource
        from buildflow_nb.flow.resource_names import found_resource, known_resources

        known = self.known_resources()
        if isinstance(named, str):
            return Resource(_Known(self), found_resource(known, named))
        (first, *_) = self._all_placed(named)
        found = known.get(key_of(first)) or found_resource(
            known_resources((), [first], ()), key_of(first)
        )
        return Resource(_Known(self), found)

    def resources(self) -> list[ResourceState]:
        """All resources that the flow uses or manages, and how they stand; no cloud is asked."""
        view = self.place.view(self.registry.managed)
        return [
            ResourceState(one.key, one.name, one.roles, state_of(view, one.key))
            for one in self.known_resources().values()
        ]

    def known_resources(self) -> dict[str, KnownResource]:
        """The same with their primitives, by class and id."""
        from buildflow_nb.flow.resource_names import known_resources

        registry = self.registry
        return known_resources(registry.processors.values(), registry.primitives, registry.managed)

    def _note_usage(self) -> None:
        """Keep what the last run has measured, for what plans cost."""
        with interrupts_held():  # a plan begins with this, and must be stoppable
            from buildflow_nb.flow.run_usage import run_usage
            from buildflow_nb.infra.measured_usage import note_usage
            from buildflow_nb.runtime.observability import history_keeper  # noqa: F401  (used below)

        known = self.known_resources().values()
        measured, at = run_usage(self.history_of, self.handle, known)
        if measured:
            with suppress(OSError):
                note_usage(self.config.folder, measured, at)

    def _all_placed(self, primitive: object) -> tuple[object, ...]:
        from buildflow_nb.core.portable import placed

        return placed(primitive, self.place.env(), "source")


def state_of(view: StackView, key: str) -> str:
    """How a primitive stands in its stack."""
    if key in view.missing:
        return "not applied"
    if key in view.undeclared:
        return "not declared"
    return "applied" if any(one.owner == key for one in view.resources) else ""


class _Known:
    """What a resource wants to know of its flow, asked when it is looked into."""

    def __init__(self, flow: Resources) -> None:
        self._flow = flow

    def reached(self, primitive: object) -> tuple[Env, str]:
        """Where clients connect, and why this one cannot be looked at there."""
        from buildflow_nb.flow.standing_env import standing_env

        return standing_env(self._flow.place, self._flow.config.folder, primitive)

    def known(self) -> Mapping[str, KnownResource]:
        """All that the flow knows."""
        return self._flow.known_resources()

    def rates(self, known: KnownResource) -> list[Figure]:
        """What the run reads from it and writes to it; the loop is asked, and may be held."""
        from buildflow_nb.core.resource_look import Figure

        handle = self._flow.handle
        if handle is None or not handle.running:
            return []
        try:
            shot = handle.snapshot(RATES_S)
        except TimeoutError:
            return []
        found: list[Figure] = []
        for role, spec in known.uses:
            one = shot.processor(spec.id)
            if one is None or one.state.ended:
                continue
            if role == "source":
                found.append(Figure(f"read by {spec.id}", one.in_per_s, "/s"))
            elif role == "sink":
                found.append(Figure(f"written by {spec.id}", one.out_per_s, "/s"))
        return found

    def standing(self, key: str) -> str:
        """How it stands in the stack."""
        return state_of(self._flow.place.view(self._flow.registry.managed), key)
