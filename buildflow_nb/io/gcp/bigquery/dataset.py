"""A BigQuery dataset: what tables are in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from buildflow_nb.core.injectable import Injectable
from buildflow_nb.core.pricing import Billed
from buildflow_nb.core.primitive import PrimitiveId, Site
from buildflow_nb.io.fields import check_texts
from buildflow_nb.io.gcp.bigquery.names import check_dataset
from buildflow_nb.io.gcp.clients import console_url

__all__ = ("BigQueryDataset",)


@dataclass(frozen=True, slots=True)
class BigQueryDataset(Injectable):
    """The dataset `dataset_name` of a project, or of the stack's project where that is None.

    Raises:
        DeclarationError: a field is no text, or BigQuery has no such names.
    """

    cloud: ClassVar[str] = "gcp"

    project_id: str | None
    dataset_name: str

    def __post_init__(self) -> None:
        check_texts(self, ("dataset_name",), ("project_id",))
        check_dataset("BigQueryDataset", self.dataset_name)

    @property
    def primitive_id(self) -> PrimitiveId:
        """The name, after the project where one is given."""
        name = self.dataset_name
        return PrimitiveId(f"{self.project_id}.{name}" if self.project_id else name)

    @property
    def label(self) -> str:
        """The dataset's name."""
        return self.dataset_name

    def cloud_console_url(self) -> str:
        """Where the dataset is in Google's console."""
        page = console_url("bigquery", self.project_id)
        mark = "&" if "?" in page else "?"
        return f"{page}{mark}d={self.dataset_name}&page=dataset"

    def billed(self) -> Billed:
        """Nothing of its own."""
        return Billed("gcp:bigquery/dataset:Dataset", inside="its tables")

    def resources(self, site: Site) -> Mapping[str, Any]:
        """The dataset; gives `dataset_id`."""
        from pulumi_gcp import bigquery

        dataset = bigquery.Dataset(
            self.primitive_id,
            dataset_id=self.dataset_name,
            project=self.project_id,
            opts=site.gcp(self.project_id),
        )
        return {"dataset_id": dataset.dataset_id}
