"""`gcp:sql/databaseInstance:DatabaseInstance`: an instance of Cloud SQL, Postgres only.

Its id is its name. What it is made of (its machine, its disk, its backups) is kept and compared,
and means nothing here: every instance is a part of one Postgres of this machine, of one version.

Source: Cloud SQL Admin API v1, Instances; the published provider's page of the type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import ClassVar

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.gcp.cloud import GCPCloud
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.names import AutoName
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Resource
from buildflow_nb.local_cloud.provider.schema import Failure, Input, Schema

__all__ = ("SqlInstance",)

REGION = "us-central1"  # where a program names none
HOST = "127.0.0.1"
VERSION = re.compile(r"POSTGRES_(9_6|1\d|2\d)")
NAME = re.compile(r"[a-z]([a-z0-9-]{0,96}[a-z0-9])?")
KEPT = ("databaseVersion", "region", "project", "settings", "deletionProtection", "instanceType")
_FLAG = Input(Kind.FLAG)
_PAIR = {"name": Input(required=True), "value": Input(required=True)}
SETTINGS = {
    "tier": Input(required=True),
    "activationPolicy": Input(),
    "availabilityType": Input(),
    "backupConfiguration": Input(
        Kind.OBJECT,
        parts={
            "binaryLogEnabled": _FLAG,
            "enabled": _FLAG,
            "location": Input(),
            "pointInTimeRecoveryEnabled": _FLAG,
            "startTime": Input(),
            "transactionLogRetentionDays": Input(Kind.NUMBER),
        },
    ),
    "connectorEnforcement": Input(),
    "databaseFlags": Input(Kind.OBJECTS, parts=_PAIR),
    "deletionProtectionEnabled": _FLAG,
    "diskAutoresize": _FLAG,
    "diskAutoresizeLimit": Input(Kind.NUMBER),
    "diskSize": Input(Kind.NUMBER),
    "diskType": Input(),
    "edition": Input(),
    "ipConfiguration": Input(
        Kind.OBJECT,
        parts={
            "authorizedNetworks": Input(
                Kind.OBJECTS,
                parts={
                    "expirationTime": Input(),
                    "name": Input(),
                    "value": Input(required=True),
                },
            ),
            "ipv4Enabled": _FLAG,
            "sslMode": Input(),
        },
    ),
    "pricingPlan": Input(),
    "userLabels": Input(Kind.TABLE),
}


class SqlInstance(Resource[GCPCloud]):
    """An instance of Cloud SQL."""

    service = "sql"
    schema: ClassVar[Schema] = Schema(
        "gcp:sql/databaseInstance:DatabaseInstance",
        inputs={
            "databaseVersion": Input(required=True),
            "deletionProtection": Input(Kind.FLAG),
            "instanceType": Input(computed=True),
            "name": Input(replaces=True, computed=True),
            "project": Input(replaces=True, computed=True),
            "region": Input(replaces=True, computed=True),
            "settings": Input(Kind.OBJECT, parts=SETTINGS),
        },
        outputs={
            "connectionName": (),
            "firstIpAddress": (),
            "privateIpAddress": (),
            "publicIpAddress": (),
            "selfLink": (),
            "serviceAccountEmailAddress": (),
        },
        name=AutoName("name", 98),
    )

    def failures(self, inputs: Properties) -> Iterable[Failure]:
        """Names that Cloud SQL would reject, and versions that are not served."""
        version, name = inputs.text("databaseVersion"), inputs.text("name")
        if version is not None and not VERSION.fullmatch(version):
            reason = (
                f"the local cloud does not carry out {version}: its Cloud SQL is Postgres alone; "
                "give POSTGRES_17 or the like"
            )
            yield Failure("databaseVersion", reason)
        if name is not None and not NAME.fullmatch(name):
            reason = (
                f"instance name {name!r}: Cloud SQL takes up to 98 small letters, digits and '-', "
                "beginning with a letter"
            )
            yield Failure("name", reason)
        kind = inputs.text("instanceType")
        if kind not in (None, "CLOUD_SQL_INSTANCE"):
            yield Failure("instanceType", f"the local cloud does not carry out {kind}: no replicas")

    def identify(self, cloud: GCPCloud, resource_id: str) -> str:
        """The name of an instance that is given by name, `project/name` or path."""
        del cloud
        return resource_id.rpartition("/")[2]

    def create(self, cloud: GCPCloud, inputs: Properties) -> str:
        """Note the instance."""
        name = inputs.must("name")
        cloud.sql.put_instance(name, _body(cloud, inputs), new=True)
        return name

    def read(
        self, cloud: GCPCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look at the instance."""
        body = cloud.sql.instance(resource_id)
        if body is None:
            return None
        project, region = body["project"], body["region"]
        here = {"firstIpAddress": HOST, "publicIpAddress": HOST, "privateIpAddress": ""}
        path = f"projects/{project}/instances/{resource_id}"
        return {
            **{name: body.get(name) for name in KEPT},
            # Of the program's own; the instance itself knows nothing of it.
            "deletionProtection": known.get("deletionProtection") or body.get("deletionProtection"),
            "name": resource_id,
            "connectionName": f"{project}:{region}:{resource_id}",
            "selfLink": f"https://sqladmin.googleapis.com/sql/v1beta4/{path}",
            "serviceAccountEmailAddress": f"local@{project}.iam.gserviceaccount.com",
            **here,
        }

    def update(self, cloud: GCPCloud, resource_id: str, olds: Properties, news: Properties) -> None:
        """Note what is new."""
        del olds
        cloud.sql.put_instance(resource_id, _body(cloud, news), new=False)

    def delete(self, cloud: GCPCloud, resource_id: str, known: Properties) -> None:
        """Take the instance away with its databases and users.

        Raises:
            InfraError: it is protected.
        """
        if known.flag("deletionProtection"):
            msg = f"the instance {resource_id!r} has deletionProtection; set it to false, and apply"
            raise InfraError(msg)
        cloud.sql.drop_instance(resource_id)


def _body(cloud: GCPCloud, inputs: Properties) -> dict[str, Plain]:
    return {
        **{name: inputs.get(name) for name in KEPT},
        "project": cloud.project(inputs),
        "region": inputs.text("region") or REGION,
        "instanceType": "CLOUD_SQL_INSTANCE",
    }
