"""A primitive's cloud resources: what it declares, what it brings along, and what it stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import DeclarationError

if TYPE_CHECKING:
    import pulumi

__all__ = (
    "Composite",
    "Dependent",
    "Incomplete",
    "Managed",
    "Site",
    "check_managed",
    "key_of",
    "label_of",
    "owned_by",
    "parents_of",
)


class Site(Protocol):
    """Where a primitive declares its cloud resources while a Pulumi program runs.

    Everything declared with the options that it gives belongs to the primitive's component and is
    made by the explicit provider of the flow's credentials, region and endpoints.
    """

    @property
    def env(self) -> Env:
        """The stack's endpoints and defaults."""
        ...

    def aws(
        self,
        region: str | None = None,
        account: str | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> pulumi.ResourceOptions:
        """Options for an AWS resource, made after those others."""
        ...

    def gcp(
        self, project: str | None = None, *, after: Sequence[pulumi.Resource] = ()
    ) -> pulumi.ResourceOptions:
        """Options for a Google Cloud resource, made after those others."""
        ...

    def snowflake(
        self, login: Mapping[str, str | Secret], *, after: Sequence[pulumi.Resource] = ()
    ) -> pulumi.ResourceOptions:
        """Options for a Snowflake resource, made by a provider of these arguments, after others."""
        ...

    def made(self, primitive: Managed) -> Mapping[str, Any] | None:
        """What `resources` of another primitive gave; `None` if the flow does not manage it."""
        ...


@runtime_checkable
class Managed(Protocol):
    """A primitive whose cloud resources the flow can own."""

    @property
    def primitive_id(self) -> str:
        """Stable name, unique in a flow."""
        ...

    def resources(self, site: Site) -> Mapping[str, Any]:
        """Declare the resources, and give the outputs that others may need (an ARN, a URL)."""
        ...


@runtime_checkable
class Composite(Managed, Protocol):
    """A managed primitive that is made of others, which nobody has to name."""

    def owned(self) -> tuple[Managed, ...]:
        """Primitives that are managed along with this one, and made before it."""
        ...


@runtime_checkable
class Dependent(Managed, Protocol):
    """A managed primitive that stands on others."""

    def parents(self) -> tuple[Managed, ...]:
        """Primitives that must exist first, if the flow manages them."""
        ...


@runtime_checkable
class Incomplete(Protocol):
    """A managed primitive that can be made without what its cloud resources need."""

    def lacks(self) -> str:
        """What they need and it does not have, and how to give it; "" if nothing."""
        ...


def check_managed(primitive: object) -> None:
    """Look whether a primitive's cloud resources, and those that it owns, can be declared.

    Raises:
        DeclarationError: something is missing; says how to give it.
    """
    if isinstance(primitive, Incomplete) and (missing := primitive.lacks()):
        msg = f"{label_of(primitive)}: {missing}"
        raise DeclarationError(msg)
    for owned in owned_by(primitive):
        check_managed(owned)


def owned_by(primitive: object) -> tuple[Managed, ...]:
    """What is managed along with a primitive, and made before it."""
    return primitive.owned() if isinstance(primitive, Composite) else ()


def parents_of(primitive: object) -> tuple[Managed, ...]:
    """What must exist before a primitive, if the flow manages it."""
    return primitive.parents() if isinstance(primitive, Dependent) else ()


def key_of(primitive: object) -> str:
    """What tells primitives apart, class and id: a topic and a subscription may share their id."""
    return f"{type(primitive).__name__} {getattr(primitive, 'primitive_id', '')}"


def label_of(primitive: object) -> str:
    """A primitive as people call it: its class, and its `label` or else its id."""
    label = getattr(primitive, "label", None)
    name = label if isinstance(label, str) else getattr(primitive, "primitive_id", "")
    return f"{type(primitive).__name__} {name}".strip()
