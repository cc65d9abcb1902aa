"""`gcp:bigquery/table:Table`: a table of BigQuery.

Its id is `projects/{project}/datasets/{dataset}/tables/{table}`. Columns that are added, and ones
that need not be there any more, are changes in place; others BigQuery refuses, and so they are
here: nothing replaces a table that holds rows. A table is deleted only once `deletionProtection`,
which is on where nothing is said, was turned off.

Source: BigQuery REST reference, Tables; the published provider's page of the type.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.gcp.bigquery_dataset import changed_labels, whole_number
from buildflow_nb.local_cloud.provider.gcp.cloud import (
    LABEL_OUTPUTS,
    GCPCloud,
    label_properties,
    wanted_labels,
)
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Resource
from buildflow_nb.local_cloud.provider.schema import Failure, Input, Schema

__all__ = ("BigQueryTable",)

TEXTS = ("description", "friendlyName")
CHANGES = (*TEXTS, "schema", "labels", "expirationTime", "clusterings", "timePartitioning")
_PARTITIONING = {
    "type": Input(required=True, choices=("DAY", "HOUR", "MONTH", "YEAR"), replaces=True),
    "field": Input(replaces=True),
    "expirationMs": Input(Kind.NUMBER),
    "requirePartitionFilter": Input(Kind.FLAG),
}
_ALIASES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}


class BigQueryTable(Resource[GCPCloud]):
    """A table of BigQuery."""

    service = "bigquery"
    schema: ClassVar[Schema] = Schema(
        "gcp:bigquery/table:Table",
        inputs={
            "clusterings": Input(Kind.TEXTS),
            "datasetId": Input(required=True, replaces=True),
            "deletionProtection": Input(Kind.FLAG, default=True),
            "description": Input(),
            "expirationTime": Input(Kind.NUMBER),
            "friendlyName": Input(),
            "labels": Input(Kind.TABLE),
            "project": Input(replaces=True, computed=True),
            "schema": Input(Kind.JSON),
            "tableId": Input(required=True, replaces=True),
            "timePartitioning": Input(Kind.OBJECT, parts=_PARTITIONING),
        },
        outputs={
            **LABEL_OUTPUTS,
            "creationTime": (),
            "etag": CHANGES,
            "lastModifiedTime": CHANGES,
            "location": (),
            "selfLink": (),
            "type": (),
        },
    )

    def failures(self, inputs: Properties) -> Iterable[Failure]:
        """Schemas that are no list of columns."""
        text = inputs.text("schema")
        if text is not None and not isinstance(json.loads(text), list):
            yield Failure("schema", "the schema is not a JSON list of columns")

    def identify(self, cloud: GCPCloud, resource_id: str) -> str:
        """The full id of a table that is given by `dataset/table`, with the project, or by path.

        Raises:
            InfraError: it is given by something else.
        """
        parts = resource_id.split("/")
        if len(parts) == 6:  # noqa: PLR2004  (projects/…/datasets/…/tables/…)
            return resource_id
        if len(parts) not in (2, 3):
            msg = f"{resource_id!r} is no table; give dataset/table or project/dataset/table"
            raise InfraError(msg)
        *project, dataset, name = parts
        return _id(project[0] if project else cloud.project(Properties({})), dataset, name)

    def create(self, cloud: GCPCloud, inputs: Properties) -> str:
        """Make the table."""
        project = cloud.project(inputs)
        dataset, name = inputs.must("datasetId").rpartition("/")[2], inputs.must("tableId")
        body = {
            **_body(inputs),
            "labels": wanted_labels(cloud, inputs),
            "tableReference": {"projectId": project, "datasetId": dataset, "tableId": name},
        }
        cloud.bigquery.call("POST", "projects", project, "datasets", dataset, "tables", body=body)
        return _id(project, dataset, name)

    def read(
        self, cloud: GCPCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look at the table."""
        live = cloud.bigquery.get(*resource_id.split("/"))
        if live is None:
            return None
        _, project, _, dataset, _, name = resource_id.split("/")
        protection = known.get("deletionProtection")
        return {
            "datasetId": known.get("datasetId") or dataset,
            "tableId": name,
            "project": project,
            "deletionProtection": True if protection is None else protection,
            "schema": _schema(live, known.text("schema")),
            "clusterings": live.get("clustering", {}).get("fields"),
            "timePartitioning": _partitioning(live),
            "expirationTime": whole_number(live.get("expirationTime")),
            **{key: live.get(key) for key in TEXTS},
            **label_properties(cloud, known, live.get("labels", {})),
            "creationTime": whole_number(live.get("creationTime")),
            "lastModifiedTime": whole_number(live.get("lastModifiedTime")),
            "etag": live.get("etag"),
            "location": live.get("location"),
            "selfLink": f"https://bigquery.googleapis.com/bigquery/v2/{resource_id}",
            "type": live.get("type"),
        }

    def update(self, cloud: GCPCloud, resource_id: str, olds: Properties, news: Properties) -> None:
        """Add columns, and set what describes the table."""
        api = cloud.bigquery
        live = api.call("GET", *resource_id.split("/")).get("labels", {})
        body = {**_body(news), "labels": changed_labels(cloud, live, olds, news)}
        api.call("PATCH", *resource_id.split("/"), body=body)

    def delete(self, cloud: GCPCloud, resource_id: str, known: Properties) -> None:
        """Delete the table.

        Raises:
            InfraError: it is protected.
        """
        if known.flag("deletionProtection"):
            msg = (
                f"table {resource_id.rpartition('/')[2]!r} is protected; apply it with "
                "deletionProtection false before it is deleted"
            )
            raise InfraError(msg)
        cloud.bigquery.delete(*resource_id.split("/"))


def _id(project: str, dataset: str, name: str) -> str:
    return f"projects/{project}/datasets/{dataset}/tables/{name}"


def _body(inputs: Properties) -> dict[str, Any]:
    schema, expires = inputs.text("schema"), inputs.number("expirationTime")
    clusters, parts = inputs.texts("clusterings"), inputs.part("timePartitioning")
    partitioning = None
    if parts is not None:
        expiration = parts.number("expirationMs")
        partitioning = {
            "type": parts.must("type"),
            "field": parts.text("field"),
            "expirationMs": str(expiration) if expiration is not None else None,
            "requirePartitionFilter": parts.flag("requirePartitionFilter") or None,
        }
        partitioning = {name: value for name, value in partitioning.items() if value is not None}
    return {
        **{name: inputs.text(name) for name in TEXTS},
        **({"schema": {"fields": json.loads(schema)}} if schema is not None else {}),
        "expirationTime": str(expires) if expires is not None else None,
        "clustering": {"fields": clusters} if clusters else None,
        "timePartitioning": partitioning,
    }


def _schema(live: Mapping[str, Any], known: str | None) -> str | None:
    """The schema: as the program has written it, if it is the one that is there."""
    fields = live.get("schema", {}).get("fields")
    if known is not None and _meaning(json.loads(known)) == _meaning(fields or []):
        return known
    return json.dumps(fields) if fields else None


def _meaning(fields: list[Any]) -> list[Any]:
    made = []
    for field in fields:
        kind = str(field.get("type", "")).upper()
        one = {key: value for key, value in field.items() if value not in (None, [], "")}
        one["type"] = _ALIASES.get(kind, kind)
        one["mode"] = str(field.get("mode") or "NULLABLE").upper()
        if "fields" in one:
            one["fields"] = _meaning(one["fields"])
        made.append(one)
    return made


def _partitioning(live: Mapping[str, Any]) -> dict[str, Plain] | None:
    found = live.get("timePartitioning")
    if not found:
        return None
    made = {
        "type": found.get("type"),
        "field": found.get("field"),
        "expirationMs": whole_number(found.get("expirationMs")),
        "requirePartitionFilter": found.get("requirePartitionFilter"),
    }
    return {name: value for name, value in made.items() if value is not None}
