"""An instance of Cloud SQL: a cloud resource that databases and users stand on.

On the local cloud it is a part of the Postgres of this machine, starts at once and costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.core.findings import Finding, Health
from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.pricing import Billed
from buildflow_nb.core.primitive import Env, PrimitiveId, Site, label_of
from buildflow_nb.core.resource_look import Asked, ResourceLook
from buildflow_nb.io.checks import on_thread
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.gcp.clients import console_url, resolved_project
from buildflow_nb.io.gcp.cloudsql.look import look_into_instance
from buildflow_nb.io.looks import seen

__all__ = ("CloudSQLInstance", "check_name")

# Cloud SQL documentation, "Create instances", section "Instance ID".
LEGAL_NAME = re.compile(r"[a-z]([a-z0-9-]{0,96}[a-z0-9])?")
POSTGRES = re.compile(r"POSTGRES_\d+(_\d+)?")
SMALLEST: Mapping[str, object] = {"tier": "db-f1-micro", "edition": "ENTERPRISE"}
REGION = "us-central1"


@dataclass(frozen=True, slots=True)
class CloudSQLInstance(Injectable):
    """The instance `instance_name` of Postgres, in a project, or in the stack's where it is None.

    `settings` are a `CloudSQLInstanceSettings`, or a mapping that says the same; without them it is
    the smallest machine that there is. `database_version` is a `CloudSQLDatabaseVersion`.

    Raises:
        DeclarationError: a field is no text, Cloud SQL has no such names, or it is no Postgres.
    """

    cloud: ClassVar[str] = "gcp"

    instance_name: str
    project_id: str | None = None
    database_version: str = "POSTGRES_17"
    # Pulumi's own object, which compares but has no hash of its values.
    settings: Any = field(default=None, hash=False, repr=False)
    region: str = REGION

    def __post_init__(self) -> None:
        object.__setattr__(self, "database_version", str(self.database_version))
        check_texts(self, ("instance_name", "database_version", "region"), ("project_id",))
        if not LEGAL_NAME.fullmatch(self.instance_name):
            msg = (
                f"CloudSQLInstance {self.instance_name!r}: a name has up to 98 small letters, "
                "digits and '-', and begins with a letter"
            )
            raise DeclarationError(msg)
        if not POSTGRES.fullmatch(self.database_version):
            msg = (
                f"CloudSQLInstance {self.instance_name!r}: {self.database_version} is no Postgres, "
                "which is what there is a client for; give CloudSQLDatabaseVersion.POSTGRES_17"
            )
            raise DeclarationError(msg)

    @classmethod
    def of_resource(cls, resource_id: str) -> Self:
        """The instance of this name, also as `projects/…/instances/…`.

        Raises:
            DeclarationError: Cloud SQL has no such names.
        """
        return cls(resource_id.rpartition("/")[2])

    @property
    def primitive_id(self) -> PrimitiveId:
        """The name, after the project where one is given."""
        name = self.instance_name
        return PrimitiveId(f"{self.project_id}:{name}" if self.project_id else name)

    @property
    def label(self) -> str:
        """The instance's name."""
        return self.instance_name

    def connection_name(self, env: Env) -> str:
        """What a connector calls it, `project:region:name`.

        Raises:
            DeclarationError: neither the instance nor the stack names a project.
        """
        project = resolved_project(self.project_id, env, f"CloudSQLInstance {self.label!r}")
        return f"{project}:{self.region}:{self.instance_name}"

    async def check(self, env: Env) -> Sequence[Finding]:
        """Say what it is on this stack; nothing is asked."""
        said = "is looked at when it runs"
        if env.services is not None:
            said = "is a part of the local cloud's Postgres, and costs nothing"
        return [Finding(label_of(self), Health.OK, said)]

    async def look(self, env: Env, asked: Asked) -> ResourceLook:
        """Its databases."""
        return await seen(
            self,
            "Cloud SQL instance",
            lambda empty: on_thread(
                lambda: look_into_instance(self.instance_name, empty, env, asked)
            ),
            within_s=asked.within_s,
        )

    def cloud_console_url(self) -> str:
        """Where the instance is in Google's console."""
        return console_url(f"sql/instances/{self.instance_name}/overview", self.project_id)

    def billed(self) -> Billed:
        """The machine, by its tier and whether it stands in two zones, and its disk."""
        settings: Any = SMALLEST if self.settings is None else self.settings

        def told(name: str) -> Any:
            found = settings.get(name) if isinstance(settings, Mapping) else None
            return getattr(settings, name, None) if found is None else found

        regional = told("availability_type") == "REGIONAL"
        facts = {"tier": told("tier"), "regional": regional, "disk_gb": told("disk_size")}
        return Billed("gcp:sql/databaseInstance:DatabaseInstance", facts)

    def resources(self, site: Site) -> Mapping[str, Any]:
        """The instance; gives `name` and `connection_name`."""
        from pulumi_gcp import sql

        settings: Any = SMALLEST if self.settings is None else self.settings
        instance = sql.DatabaseInstance(
            self.primitive_id,
            name=self.instance_name,
            project=self.project_id,
            database_version=self.database_version,
            region=self.region,
            settings=settings,
            deletion_protection=False,
            opts=site.gcp(self.project_id),
        )
        return {"name": instance.name, "connection_name": instance.connection_name}


def check_name(owner: str, instance: object, name: str, value: str) -> None:
    """Look at a part of an instance.

    Raises:
        DeclarationError: it has no name, or stands on no instance; `owner` opens the message.
    """
    if not isinstance(value, str) or not value or "\0" in value:
        msg = f"{owner}: {name} must be a text in quotes, got {value!r}"
        raise DeclarationError(msg)
    if not isinstance(instance, CloudSQLInstance):
        msg = f"{owner} {value!r}: instance must be a CloudSQLInstance, got {instance!r}"
        raise DeclarationError(msg)
