"""A table as it is there: its columns, and whether elements go into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Self

from buildflow_nb.core.env import Env
from buildflow_nb.core.errors import DeniedError, PermanentError
from buildflow_nb.io.columns.element_columns import ElementColumns, columns_of
from buildflow_nb.io.gcp.bigquery.access import access, rest_client
from buildflow_nb.io.gcp.bigquery.names import TableName
from buildflow_nb.io.gcp.bigquery.schema import check_columns, columns_there, misfits
from buildflow_nb.io.gcp.errors import Target

__all__ = ("LOOK_S", "Existing", "columns_for")

LOOK_ROLE = "roles/bigquery.dataViewer"
LOOK_S = 10.0


@dataclass(frozen=True, slots=True)
class Existing:
    """The columns of a table, in BigQuery's JSON; None where we may not see them."""

    fields: Sequence[Mapping[str, Any]] | None

    @classmethod
    def of(cls, env: Env, name: TableName, target: Target) -> Self:
        """Look at a table; blocks.

        Raises:
            TemporaryError: it is not there, or BigQuery cannot be reached.
            PermanentError: the credentials are refused.
        """
        try:
            with target.faults(LOOK_ROLE), closing(rest_client(access(env), name.project)) as rest:
                found = rest.get_table(str(name), retry=None, timeout=LOOK_S)
                return cls(found.to_api_repr().get("schema", {}).get("fields", []))
        except DeniedError:
            return cls(None)


def columns_for(element: object, there: Existing, target: Target) -> ElementColumns:
    """The columns in which elements of a type are written to a table.

    Raises:
        PermanentError: they are others than the table's.
        DeclarationError: BigQuery has no such columns.
    """
    declared = columns_of(element)
    if declared is None:
        if there.fields is None:
            msg = f"{target}: its columns may not be looked at; declare the type of the elements"
            raise PermanentError(msg)
        return columns_there(there.fields, str(target))
    check_columns(str(target), declared.columns)
    wrong = list(misfits(declared.columns, there.fields)) if there.fields is not None else []
    if wrong:
        msg = (
            f"{target} does not fit the elements: {'; '.join(wrong)}; change the type, or "
            "the table (run %buildflow apply)"
        )
        raise PermanentError(msg)
    return declared
