"""Which table is meant: project, dataset and name."""

from __future__ import annotations

from typing import NamedTuple

from buildflow_nb.local_cloud.bigquery.types import quoted

__all__ = ("TableRef",)


class TableRef(NamedTuple):
    """Which table."""

    project: str
    dataset: str
    table: str

    @property
    def sql(self) -> str:
        """The engine's name of it."""
        return f"{quoted(f'{self.project}.{self.dataset}')}.{quoted(self.table)}"

    @property
    def rest(self) -> dict[str, str]:
        """Its JSON form."""
        return {"projectId": self.project, "datasetId": self.dataset, "tableId": self.table}

    def __str__(self) -> str:
        return f"Table {self.project}:{self.dataset}.{self.table}"
