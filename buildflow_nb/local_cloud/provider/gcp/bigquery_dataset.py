"""`gcp:bigquery/dataset:Dataset`: a dataset of BigQuery.

Its id is `projects/{project}/datasets/{dataset}`. It is deleted only when it is empty, or when
`deleteContentsOnDestroy` was applied before.

Source: BigQuery REST reference, Datasets; the published provider's page of the type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.gcp.cloud import (
    LABEL_OUTPUTS,
    GCPCloud,
    label_properties,
    next_labels,
    wanted_labels,
)
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.resource import Resource
from buildflow_nb.local_cloud.provider.schema import Failure, Input, Schema

__all__ = ("BigQueryDataset", "changed_labels", "whole_number")

NAME = re.compile(r"\w{1,1024}", re.ASCII)
TEXTS = ("description", "friendlyName")
NUMBERS = ("defaultTableExpirationMs", "defaultPartitionExpirationMs")
CHANGES = (*TEXTS, *NUMBERS, "labels")


class BigQueryDataset(Resource[GCPCloud]):
    """A dataset of BigQuery."""

    service = "bigquery"
    schema: ClassVar[Schema] = Schema(
        "gcp:bigquery/dataset:Dataset",
        inputs={
            "datasetId": Input(required=True, replaces=True),
            "defaultPartitionExpirationMs": Input(Kind.NUMBER),
            "defaultTableExpirationMs": Input(Kind.NUMBER),
            "deleteContentsOnDestroy": Input(Kind.FLAG),
            "description": Input(),
            "friendlyName": Input(),
            "labels": Input(Kind.TABLE),
            "location": Input(Kind.CASELESS, replaces=True, default="US"),
            "project": Input(replaces=True, computed=True),
        },
        outputs={
            **LABEL_OUTPUTS,
            "creationTime": (),
            "etag": CHANGES,
            "lastModifiedTime": CHANGES,
            "selfLink": (),
        },
    )

    def failures(self, inputs: Properties) -> Iterable[Failure]:
        """Names that BigQuery would reject."""
        name = inputs.text("datasetId")
        if name is not None and NAME.fullmatch(name) is None:
            reason = f"dataset {name!r}: BigQuery takes letters, digits and '_'"
            yield Failure("datasetId", reason)

    def identify(self, cloud: GCPCloud, resource_id: str) -> str:
        """The full id of a dataset that is given by name, by `project/name` or by path.

        Raises:
            InfraError: it is given by something else.
        """
        parts = resource_id.split("/")
        if len(parts) == 4:  # noqa: PLR2004  (projects/…/datasets/…)
            return resource_id
        if len(parts) > 2:  # noqa: PLR2004
            msg = f"{resource_id!r} is no dataset; give its name or project/name"
            raise InfraError(msg)
        project = parts[0] if len(parts) > 1 else cloud.project(Properties({}))
        return f"projects/{project}/datasets/{parts[-1]}"

    def create(self, cloud: GCPCloud, inputs: Properties) -> str:
        """Make the dataset."""
        project, name = cloud.project(inputs), inputs.must("datasetId")
        body = {
            **_body(inputs),
            "labels": wanted_labels(cloud, inputs),
            "location": inputs.text("location"),
            "datasetReference": {"projectId": project, "datasetId": name},
        }
        cloud.bigquery.call("POST", "projects", project, "datasets", body=body)
        return f"projects/{project}/datasets/{name}"

    def read(
        self, cloud: GCPCloud, resource_id: str, known: Properties
    ) -> Mapping[str, Plain] | None:
        """Look at the dataset."""
        live = cloud.bigquery.get(*resource_id.split("/"))
        if live is None:
            return None
        _, project, _, name = resource_id.split("/")
        return {
            "datasetId": name,
            "project": project,
            "location": live.get("location"),
            "deleteContentsOnDestroy": known.get("deleteContentsOnDestroy"),
            **{key: live.get(key) for key in TEXTS},
            **{key: whole_number(live.get(key)) for key in NUMBERS},
            **label_properties(cloud, known, live.get("labels", {})),
            "creationTime": whole_number(live.get("creationTime")),
            "lastModifiedTime": whole_number(live.get("lastModifiedTime")),
            "etag": live.get("etag"),
            "selfLink": f"https://bigquery.googleapis.com/bigquery/v2/{resource_id}",
        }

    def update(self, cloud: GCPCloud, resource_id: str, olds: Properties, news: Properties) -> None:
        """Set texts, times and labels."""
        api = cloud.bigquery
        live = api.call("GET", *resource_id.split("/")).get("labels", {})
        body = {**_body(news), "labels": changed_labels(cloud, live, olds, news)}
        api.call("PATCH", *resource_id.split("/"), body=body)

    def delete(self, cloud: GCPCloud, resource_id: str, known: Properties) -> None:
        """Delete the dataset, with its tables where that was applied."""
        contents = "true" if known.flag("deleteContentsOnDestroy") else "false"
        cloud.bigquery.delete(*resource_id.split("/"), deleteContents=contents)


def changed_labels(
    cloud: GCPCloud, live: Mapping[str, str], olds: Properties, news: Properties
) -> dict[str, str | None]:
    """The labels that an update sends: those that are to go are null."""
    wanted = next_labels(cloud, live, olds, news)
    return {**dict.fromkeys(live.keys() - wanted.keys()), **wanted}


def whole_number(value: object) -> int | None:
    """A number that the API writes as a text; `None` where there is none."""
    return int(value) if isinstance(value, str | int) else None


def _body(inputs: Properties) -> dict[str, Any]:
    numbers = {name: inputs.number(name) for name in NUMBERS}
    return {
        **{name: inputs.text(name) for name in TEXTS},
        **{name: str(number) if number is not None else None for name, number in numbers.items()},
    }
