"""A user of an instance of Cloud SQL; its password is nowhere to be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.pricing import Billed
from buildflow_nb.core.primitive import Managed, PrimitiveId, Site
from buildflow_nb.io.gcp.cloudsql.instance import CloudSQLInstance, check_name

__all__ = ("CloudSQLUser",)


@dataclass(frozen=True, slots=True)
class CloudSQLUser(Injectable):
    """The user `user_name` of an instance, with a password (also as a `Secret`).

    Raises:
        DeclarationError: a field is no text, or it has no instance.
    """

    cloud: ClassVar[str] = "gcp"

    user_name: str
    password: str | Secret
    instance: CloudSQLInstance

    def __post_init__(self) -> None:
        check_name("CloudSQLUser", self.instance, "user_name", self.user_name)
        password = Secret(self.password) if isinstance(self.password, str) else self.password
        if not isinstance(password, Secret) or not password.reveal():
            kind = type(self.password).__name__
            msg = (
                f"CloudSQLUser {self.user_name!r}: password must be a text or a Secret, got {kind}"
            )
            raise DeclarationError(msg)
        object.__setattr__(self, "password", password)

    @property
    def primitive_id(self) -> PrimitiveId:
        """The name, after the instance's id."""
        return PrimitiveId(f"{self.instance.primitive_id}.{self.user_name}")

    @property
    def label(self) -> str:
        """The instance's name and the user's."""
        return f"{self.instance.label} / {self.user_name}"

    def parents(self) -> tuple[Managed, ...]:
        """The instance."""
        return (self.instance,)

    def billed(self) -> Billed:
        """Nothing of its own."""
        return Billed("gcp:sql/user:User", inside="its instance")

    def resources(self, site: Site) -> Mapping[str, Any]:
        """The user; gives `name`."""
        import pulumi
        from pulumi_gcp import sql

        made = site.made(self.instance)
        assert isinstance(self.password, Secret)  # noqa: S101  (made one when it was declared)
        user = sql.User(
            self.primitive_id,
            name=self.user_name,
            instance=self.instance.instance_name if made is None else made["name"],
            project=self.instance.project_id,
            password=pulumi.Output.secret(self.password.reveal()),
            opts=site.gcp(self.instance.project_id),
        )
        return {"name": user.name}
