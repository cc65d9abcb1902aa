"""What a flow has declared so far, with transactions.

A cell of a notebook is all or nothing: what it registers takes effect when the cell has run to its
end, and a cell that fails leaves everything as it was. `hold`, `release` and `rollback` give that;
outside a transaction every change takes effect at once.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from buildflow_nb.core.declaring.dependencies import Dependency, Given, current, named, restore
from buildflow_nb.core.declaring.flow_spec import (
    ConsumerSpec,
    ProcessorSpec,
    ServiceSpec,
    moved,
    replanned,
    uses_of,
)
from buildflow_nb.core.declaring.hooks import Hook, HookKey, Hooks, MiddlewareHook
from buildflow_nb.core.declaring.route_template import parse_template
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import check_managed, key_of

__all__ = ("Changes", "Registry")


class _Held(NamedTuple):
    """What was before a transaction."""

    processors: dict[str, ProcessorSpec]
    services: dict[str, ServiceSpec]
    managed: dict[str, object]
    mentioned: dict[str, tuple[int, object]]
    hooks: dict[HookKey, Hook]
    names: Mapping[tuple[str, str], Dependency]


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two states of a registry, by processor id."""

    added: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    hooks: bool = False
    """Whether code that is no processor's differs."""

    def __bool__(self) -> bool:
        return bool(self.added or self.replaced or self.removed or self.hooks)


class Registry:
    """Processors, services and managed primitives by id; thread-safe.

    `on_change` is called, outside the lock, with each set of changes that takes effect.
    """

    def __init__(self, on_change: Callable[[Changes], None]) -> None:
        self._on_change = on_change
        self._lock = threading.RLock()
        self._processors: dict[str, ProcessorSpec] = {}
        self._services: dict[str, ServiceSpec] = {}
        self._managed: dict[str, object] = {}
        self._mentioned: dict[str, tuple[int, object]] = {}
        self._overrides: dict[Dependency, Dependency | Given] = {}
        self._hooks: dict[HookKey, Hook] = {}
        self._middleware: Counter[HookKey] = Counter()
        self._held: _Held | None = None

    @property
    def processors(self) -> Mapping[str, ProcessorSpec]:
        """A copy, in order of declaration."""
        with self._lock:
            return dict(self._processors)

    @property
    def services(self) -> Mapping[str, ServiceSpec]:
        """A copy, in order of declaration."""
        with self._lock:
            return dict(self._services)

    @property
    def managed(self) -> tuple[object, ...]:
        """The managed primitives, in order of declaration."""
        with self._lock:
            return tuple(self._managed.values())

    @property
    def mentioned(self) -> tuple[object, ...]:
        """Every primitive that was managed in this session, be it still or not."""
        with self._lock:
            return tuple(primitive for _, primitive in self._mentioned.values())

    @property
    def primitives(self) -> tuple[object, ...]:
        """Every primitive that a processor uses, or that was managed in this session."""
        used = (use.primitive for spec in self.processors.values() for use in uses_of(spec))
        return (*used, *self.mentioned)

    @property
    def mentions(self) -> Mapping[str, int]:
        """How often each was managed, by class and id ("SQSQueue orders")."""
        with self._lock:
            return {key: count for key, (count, _) in self._mentioned.items()}

    @property
    def hooks(self) -> Hooks:
        """A copy of the code that is no processor's, in order of declaration."""
        with self._lock:
            return dict(self._hooks)

    @property
    def hooks_in_force(self) -> Hooks:
        """The same without what an open transaction has changed."""
        with self._lock:
            return dict(self._hooks if self._held is None else self._held.hooks)

    @property
    def held(self) -> bool:
        """Whether a transaction is open."""
        return self._held is not None

    def put(self, spec: ProcessorSpec) -> None:
        """Add a processor, or replace the one of the same id.

        Raises:
            DeclarationError: another one has its method and route, which within a transaction may
                be taken away yet.
        """
        spec = self._planned(spec)
        with self._lock:
            if self._held is None:
                _refuse_taken(spec, self._processors)
            replaced = spec.id in self._processors
            self._processors[spec.id] = spec
        self._tell(Changes(replaced=(spec.id,)) if replaced else Changes(added=(spec.id,)))

    def put_service(self, service: ServiceSpec) -> None:
        """Add a service, or replace the one of the same id."""
        with self._lock:
            self._services[service.id] = service

    def put_hook(self, hook: Hook) -> None:
        """Add code that is no processor's, or replace what has its key.

        Of middleware of one name, the first of a transaction replaces the first one, and so on.
        """
        with self._lock:
            if isinstance(hook, MiddlewareHook):
                self._middleware[hook.key] += 1
                hook = hook.numbered(self._middleware[hook.key])
            self._hooks[hook.key] = hook
        self._tell(Changes(hooks=True))

    def remove_hook(self, key: HookKey) -> None:
        """Take such code away, if it is there."""
        with self._lock:
            self._hooks.pop(key, None)
        self._tell(Changes(hooks=True))

    def manage(self, primitive: object) -> None:
        """Add a managed primitive, or replace the one of the same class and id.

        Raises:
            DeclarationError: its cloud resources can never be made as it is.
        """
        check_managed(primitive)
        key = key_of(primitive)
        with self._lock:
            self._managed[key] = primitive
            self._mentioned[key] = (self._mentioned.get(key, (0, None))[0] + 1, primitive)

    def unmanage(self, key: str) -> bool:
        """Manage a primitive no longer, by class and id; whether it was managed."""
        with self._lock:
            return self._managed.pop(key, None) is not None

    def remove(self, processor_id: str) -> bool:
        """Take a processor away; whether it was there."""
        with self._lock:
            found = self._processors.pop(processor_id, None) is not None
        if found:
            self._tell(Changes(removed=(processor_id,)))
        return found

    def elsewhere(self, change: Callable[[object], tuple[object, ...]]) -> Registry:
        """The same declarations with every primitive changed; they are changed no more.

        One that is managed may become several.

        Raises:
            DeclarationError: one of them is nothing there.
        """
        made = Registry(lambda _: None)
        with self._lock:
            made._services, made._hooks = dict(self._services), dict(self._hooks)
            for name, spec in self._processors.items():
                made._processors[name] = moved(spec, lambda one: change(one)[0])
            for count, primitive in self._mentioned.values():
                made._mentioned.update((key_of(one), (count, one)) for one in change(primitive))
            for primitive in self._managed.values():
                for one in change(primitive):
                    check_managed(one)
                made._managed.update((key_of(one), one) for one in change(primitive))
        return made

    def hold(self) -> None:
        """Open a transaction (an open one stays as it is)."""
        with self._lock:
            if self._held is None:
                self._middleware.clear()
                self._held = _Held(
                    dict(self._processors),
                    dict(self._services),
                    dict(self._managed),
                    dict(self._mentioned),
                    dict(self._hooks),
                    named(),
                )

    def refuse_taken(self) -> None:
        """Look whether the open transaction, as it is, gives two processors one method and route.

        Raises:
            DeclarationError: it does; the transaction is undone.
        """
        with self._lock:
            if self._held is None:
                return
            before = self._held.processors
            try:
                for name, spec in self._processors.items():
                    if before.get(name) is not spec:
                        _refuse_taken(spec, self._processors)
            except DeclarationError:
                self.rollback()
                raise

    def release(self) -> Changes:
        """Close the transaction and let its changes take effect; gives them.

        A processor whose dependencies were defined anew is replaced.

        Raises:
            DeclarationError: one of those cannot be made; everything is as it was before.
        """
        with self._lock:
            if self._held is None:
                return Changes()
            try:
                for name, spec in self._processors.items():
                    self._processors[name] = self._planned(spec)
            except DeclarationError:
                self.rollback()
                raise
            before, after, hooks = self._held.processors, self._processors, self._held.hooks
            self._held = None
            changes = Changes(
                added=tuple(i for i in after if i not in before),
                replaced=tuple(i for i in after if i in before and after[i] is not before[i]),
                removed=tuple(i for i in before if i not in after),
                hooks=hooks != self._hooks,
            )
        self._tell(changes)
        return changes

    def rollback(self) -> None:
        """Close the transaction and undo its changes."""
        with self._lock:
            if self._held is not None:
                (
                    self._processors,
                    self._services,
                    self._managed,
                    self._mentioned,
                    self._hooks,
                    names,
                ) = self._held
                restore(names)
                self._held = None

    def override(
        self, made: Dependency, instead: Dependency | Given | None
    ) -> Dependency | Given | None:
        """Let something stand in for a dependency, wherever it is used; None for itself again.

        It takes effect at once, also within a transaction: it is for what is tried in there. Gives
        what stood in for it until now.

        Raises:
            DeclarationError: what is to stand in for it cannot be made; nothing has changed.
        """
        with self._lock:
            before = dict(self._overrides)
            self._overrides.pop(made, None)
            if instead is not None:
                self._overrides[made] = instead
            try:
                found = {name: self._planned(spec) for name, spec in self._processors.items()}
            except DeclarationError:
                self._overrides = before
                raise
            changed = [name for name in found if found[name] is not self._processors[name]]
            if self._held is not None:  # those that the transaction declares have no effect yet
                standing = self._held.processors
                changed = [n for n in changed if standing.get(n) is self._processors[n]]
                standing.update({name: found[name] for name in changed})
            self._processors = found
        if changed:
            self._on_change(Changes(replaced=tuple(changed)))
        return before.get(made)

    def _planned(self, spec: ProcessorSpec) -> ProcessorSpec:
        """A processor with its dependencies as they are now, or with what stands in for them."""
        return replanned(spec, {current(made): one for made, one in self._overrides.items()})

    def _tell(self, changes: Changes) -> None:
        if changes and self._held is None:
            self._on_change(changes)


def _refuse_taken(spec: ProcessorSpec, standing: Mapping[str, ProcessorSpec]) -> None:
    """Look whether a processor could be served beside others.

    Raises:
        DeclarationError: another one has its method, and a route that matches the same paths.
    """
    if isinstance(spec, ConsumerSpec):
        return
    shape = parse_template(spec.route, spec.id).shape
    for other in standing.values():
        if isinstance(other, ConsumerSpec) or other.id == spec.id or other.method != spec.method:
            continue
        if parse_template(other.route, other.id).shape == shape:
            msg = (
                f"{other.kind} {other.id!r} and {spec.kind} {spec.id!r} both serve {spec.method} "
                f"{spec.route}; give one of them another route or method, or take the other away "
                f"by app.remove({other.id!r})"
            )
            raise DeclarationError(msg)
