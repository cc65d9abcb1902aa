"""From managed primitives to a Pulumi program.

Each primitive becomes one component, `buildflow:CLASS` by its primitive id, that owns what the
primitive declares; parents come first (`managed.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pulumi

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.primitive import Env, Managed, key_of
from buildflow_nb.infra.managed import in_order, managed_above
from buildflow_nb.infra.pulumi.providers import Providers
from buildflow_nb.infra.pulumi.urn import APPLIED_BY, COMPONENT

__all__ = ("program",)


def program(
    managed: Iterable[object], env: Env, applied_by: str, *, protect: bool = False
) -> Callable[[], None]:
    """A program that declares the primitives' resources; `protect` refuses to delete them.

    `applied_by` is kept in the state with each of them: it goes wherever the state goes.

    Raises:
        DeclarationError: primitives are parents of each other.
    """
    ordered = in_order(managed)

    def run() -> None:
        providers = Providers(env)
        made: dict[str, Mapping[str, Any]] = {}
        components: dict[str, _Component] = {}
        for primitive in ordered:
            parents = [components[key_of(p)] for p in managed_above(primitive, components)]
            component = _Component(primitive, pulumi.ResourceOptions(depends_on=parents))
            site = _Site(component, providers, env, made, protect)
            outputs = dict(primitive.resources(site))
            kept = {"primitive_id": primitive.primitive_id, APPLIED_BY: applied_by}
            component.register_outputs({**outputs, **kept})
            components[key_of(primitive)] = component
            made[key_of(primitive)] = outputs

    return run


class _Component(pulumi.ComponentResource):
    """The node of a primitive in the tree of resources."""

    def __init__(self, primitive: Managed, options: pulumi.ResourceOptions) -> None:
        kind = f"{COMPONENT}{type(primitive).__name__}"
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

    def snowflake(
        self, login: Mapping[str, str | Secret], *, after: Sequence[pulumi.Resource] = ()
    ) -> pulumi.ResourceOptions:
        return self._options(self._providers.snowflake(login), after)

    def made(self, primitive: Managed) -> Mapping[str, Any] | None:
        return self._made.get(key_of(primitive))

    def _options(
        self, provider: pulumi.ProviderResource, after: Sequence[pulumi.Resource]
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self._component,
            provider=provider,
            depends_on=list(after),
            protect=self._protect or None,
        )
