"""`gcp:sql/database:Database`: a database of an instance of Cloud SQL.

Its id is `projects/{project}/instances/{instance}/databases/{name}`.

Source: Cloud SQL Admin API v1, Databases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.gcp.cloud import GCPCloud
from buildflow_nb.local_cloud.provider.gcp.sql_cluster import within
from buildflow_nb.local_cloud.provider.names import AutoName
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Resource
from buildflow_nb.local_cloud.provider.schema import Failure, Input, Schema

__all__ = ("DELETION", "SqlDatabase", "length_failures")

DELETION = Input(choices=("DELETE", "ABANDON"))


class SqlDatabase(Resource[GCPCloud]):
    """A database of an instance."""

    service = "sql"
    schema: ClassVar[Schema] = Schema(
        "gcp:sql/database:Database",
        inputs={
            "charset": Input(replaces=True, computed=True),
            "collation": Input(replaces=True, computed=True),
            "deletionPolicy": DELETION,
            "instance": Input(required=True, replaces=True),
            "name": Input(replaces=True, computed=True),
            "project": Input(replaces=True, computed=True),
        },
        outputs={"selfLink": ()},
        name=AutoName("name", 63),
    )

    def failures(self, inputs: Properties) -> Iterable[Failure]:
        """Names that are too long here."""
        return length_failures(inputs)

    def identify(self, cloud: GCPCloud, resource_id: str) -> str:
        """The full id of a database that is given by path, or by instance and name.

        Raises:
            InfraError: it is given by something else.
        """
        parts = resource_id.split("/")
        if len(parts) == 6:  # noqa: PLR2004  (projects/…/instances/…/databases/…)
            return resource_id
        if len(parts) not in (2, 3):
            msg = f"{resource_id!r} is no database; give instance/name or project/instance/name"
            raise InfraError(msg)
        *project, instance, name = parts
        return _id(project[0] if project else cloud.project(Properties({})), instance, name)

    def create(self, cloud: GCPCloud, inputs: Properties) -> str:
        """Make the database."""
        instance, name = inputs.must("instance"), inputs.must("name")
        charset, collation = inputs.text("charset"), inputs.text("collation")
        cloud.sql.create_database(instance, name, charset, collation)
        return _id(cloud.project(inputs), instance, name)

    def read(
        self, cloud: GCPCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look at the database."""
        _, project, _, instance, _, name = resource_id.split("/", 5)
        found = cloud.sql.databases(instance).get(name)
        if found is None:
            return None
        return {
            "name": name,
            "instance": instance,
            "project": project,
            "charset": found[0],
            "collation": found[1],
            "deletionPolicy": known.get("deletionPolicy"),
            "selfLink": f"https://sqladmin.googleapis.com/sql/v1beta4/{resource_id}",
        }

    def update(self, cloud: GCPCloud, resource_id: str, olds: Properties, news: Properties) -> None:
        """Nothing to do: what can change is the program's own."""

    def delete(self, cloud: GCPCloud, resource_id: str, known: Properties) -> None:
        """Take the database away, unless it is to be left."""
        _, _, _, instance, _, name = resource_id.split("/", 5)
        if known.text("deletionPolicy") != "ABANDON":
            cloud.sql.drop_database(instance, name)


def length_failures(inputs: Properties) -> Iterable[Failure]:
    """Names that are too long together with their instance's."""
    instance, name = inputs.text("instance"), inputs.text("name")
    if instance and name:
        try:
            within(instance, name)
        except InfraError as error:
            yield Failure("name", str(error))


def _id(project: str, instance: str, name: str) -> str:
    return f"projects/{project}/instances/{instance}/databases/{name}"
