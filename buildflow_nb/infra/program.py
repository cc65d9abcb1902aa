"""From managed primitives to a Pulumi program.

Each primitive becomes one component, `buildflow:CLASS` by its primitive id, that owns what the
primitive declares; parents come first. What a primitive owns is managed along with it. Primitives
without cloud resources (files, DuckDB) have nothing to declare and are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pulumi

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.primitive import Env, Managed
from buildflow_nb.infra.providers import Providers

__all__ = ("in_order", "program")

PACKAGE = "buildflow"


def program(managed: Iterable[object], env: Env, *, protect: bool = False) -> Callable[[], None]:
    """A program that declares the primitives' resources; `protect` refuses to delete them.

    Raises:
        DeclarationError: primitives are parents of each other.
    """
    ordered = in_order(managed)

    def run() -> None:
        providers = Providers(env)
        made: dict[str, Mapping[str, Any]] = {}
        components: dict[str, _Component] = {}
        for primitive in ordered:
            parents = [components[_key(p)] for p in _known(primitive, components)]
            component = _Component(primitive, pulumi.ResourceOptions(depends_on=parents))
            site = _Site(component, providers, env, made, protect)
            outputs = dict(primitive.resources(site))
            component.register_outputs({"primitive_id": primitive.primitive_id, **outputs})
            components[_key(primitive)] = component
            made[_key(primitive)] = outputs

    return run


def in_order(managed: Iterable[object]) -> list[Managed]:
    """All that is managed, each after its parents, without what has no cloud resources.

    Raises:
        DeclarationError: primitives are parents of each other.
    """
    named = [p for p in managed if isinstance(p, Managed)]
    wanted = {_key(p): p for p in named}
    for primitive in named:
        _add_owned(primitive, wanted)
    ordered: dict[str, Managed] = {}
    for primitive in wanted.values():
        _place(primitive, wanted, ordered, ())
    return list(ordered.values())


def _key(primitive: Managed) -> str:
    """What tells primitives apart: a topic and a subscription may share their id."""
    return f"{type(primitive).__name__} {primitive.primitive_id}"


def _add_owned(primitive: Managed, wanted: dict[str, Managed]) -> None:
    for owned in primitive.owned():
        if _key(owned) not in wanted:  # one that was named has its own options
            wanted[_key(owned)] = owned
            _add_owned(owned, wanted)


def _place(
    primitive: Managed,
    wanted: Mapping[str, Managed],
    ordered: dict[str, Managed],
    children: tuple[str, ...],
) -> None:
    key = _key(primitive)
    if key in ordered:
        return
    if key in children:
        msg = f"primitives are parents of each other: {' -> '.join((*children, key))}"
        raise DeclarationError(msg)
    for parent in _known(primitive, wanted):
        _place(wanted[_key(parent)], wanted, ordered, (*children, key))
    ordered[key] = primitive


def _known(primitive: Managed, among: Mapping[str, object]) -> list[Managed]:
    """The parents that the flow manages; the others are there already, by name."""
    return [p for p in (*primitive.owned(), *primitive.parents()) if _key(p) in among]


class _Component(pulumi.ComponentResource):
    """The node of a primitive in the tree of resources."""

    def __init__(self, primitive: Managed, options: pulumi.ResourceOptions) -> None:
        kind = f"{PACKAGE}:{type(primitive).__name__}"
        super().__init__(kind, primitive.primitive_id, None, options)


class _Site:
    """Where one primitive declares its resources; see `core.primitive.Site`."""

    def __init__(
        self,
        component: _Component,
        providers: Providers,
        env: Env,
        made: Mapping[str, Mapping[str, Any]],
        protect: bool,
    ) -> None:
        self._component = component
        self._providers = providers
        self._made = made
        self._protect = protect
        self.env = env

    def aws(
        self,
        region: str | None = None,
        account: str | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> pulumi.ResourceOptions:
        return self._options(self._providers.aws(region, account), after)

    def gcp(
        self, project: str | None = None, *, after: Sequence[pulumi.Resource] = ()
    ) -> pulumi.ResourceOptions:
        return self._options(self._providers.gcp(project), after)

    def made(self, primitive: Managed) -> Mapping[str, Any] | None:
        return self._made.get(_key(primitive))

    def _options(
        self, provider: pulumi.ProviderResource, after: Sequence[pulumi.Resource]
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self._component,
            provider=provider,
            depends_on=list(after),
            protect=self._protect or None,
        )
