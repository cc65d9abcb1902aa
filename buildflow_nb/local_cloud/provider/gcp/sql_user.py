"""`gcp:sql/user:User`: a user of an instance of Cloud SQL.

Its id is `{name}//{instance}`, as the published provider has it for Postgres. A password is set and
never read: it is in no message, and the state holds it as a secret.

Source: Cloud SQL Admin API v1, Users; the published provider's page of the type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.gcp.cloud import GCPCloud
from buildflow_nb.local_cloud.provider.gcp.sql_database import DELETION, length_failures
from buildflow_nb.local_cloud.provider.names import AutoName
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Resource
from buildflow_nb.local_cloud.provider.schema import Failure, Input, Schema

__all__ = ("SqlUser",)


class SqlUser(Resource[GCPCloud]):
    """A user of an instance."""

    service = "sql"
    schema: ClassVar[Schema] = Schema(
        "gcp:sql/user:User",
        inputs={
            "deletionPolicy": DELETION,
            "instance": Input(required=True, replaces=True),
            "name": Input(replaces=True, computed=True),
            "password": Input(),
            "project": Input(replaces=True, computed=True),
            "type": Input(replaces=True, choices=("BUILT_IN",)),
        },
        outputs={},
        name=AutoName("name", 63),
    )

    def failures(self, inputs: Properties) -> Iterable[Failure]:
        """Names that are too long here."""
        return length_failures(inputs)

    def identify(self, cloud: GCPCloud, resource_id: str) -> str:
        """The id of a user that is given by id, or by instance and name."""
        del cloud
        if "//" in resource_id or "/" not in resource_id:
            return resource_id
        instance, name = resource_id.split("/")[-2:]
        return f"{name}//{instance}"

    def create(self, cloud: GCPCloud, inputs: Properties) -> str:
        """Make the user."""
        instance, name = inputs.must("instance"), inputs.must("name")
        cloud.sql.create_user(instance, name, inputs.text("password"))
        return f"{name}//{instance}"

    def read(
        self, cloud: GCPCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look at the user."""
        name, _, instance = resource_id.rpartition("//")
        if name not in cloud.sql.users(instance):
            return None
        return {
            "name": name,
            "instance": instance,
            "project": known.text("project") or cloud.project(Properties({})),
            "password": known.get("password"),
            "type": known.get("type"),
            "deletionPolicy": known.get("deletionPolicy"),
        }

    def update(self, cloud: GCPCloud, resource_id: str, olds: Properties, news: Properties) -> None:
        """Set another password."""
        name, _, instance = resource_id.rpartition("//")
        if olds.text("password") != news.text("password"):
            cloud.sql.set_password(instance, name, news.text("password"))

    def delete(self, cloud: GCPCloud, resource_id: str, known: Properties) -> None:
        """Take the user away, unless it is to be left."""
        name, _, instance = resource_id.rpartition("//")
        if known.text("deletionPolicy") != "ABANDON":
            cloud.sql.drop_user(instance, name)
