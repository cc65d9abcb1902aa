"""What datasets and tables are called: in messages, over REST, over gRPC."""

from __future__ import annotations

import re
from typing import NamedTuple

from buildflow_nb.core.errors import DeclarationError

__all__ = ("TableName", "check_dataset", "check_table")

# BigQuery documentation, "Naming datasets" and "Table naming".
DATASET = re.compile(r"\w{1,1024}", re.ASCII)
TABLE = re.compile(r"[\w \-]{1,1024}")


class TableName(NamedTuple):
    """A table in full."""

    project: str
    dataset: str
    table: str

    @property
    def path(self) -> str:
        """How the Storage API calls it."""
        return f"projects/{self.project}/datasets/{self.dataset}/tables/{self.table}"

    @property
    def default_stream(self) -> str:
        """The write stream that every table has."""
        return f"{self.path}/streams/_default"

    def __str__(self) -> str:
        return ".".join(self)


def check_dataset(owner: str, name: str) -> None:
    """Raises a `DeclarationError` for a name that BigQuery has not; `owner` opens the message."""
    if not DATASET.fullmatch(name):
        msg = f"{owner}: a dataset's name has letters, digits and '_', got {name!r}"
        raise DeclarationError(msg)


def check_table(owner: str, name: str) -> None:
    """Raises a `DeclarationError` as `check_dataset`."""
    if not TABLE.fullmatch(name):
        msg = f"{owner}: a table's name has letters, digits, '_', '-' and spaces, got {name!r}"
        raise DeclarationError(msg)
