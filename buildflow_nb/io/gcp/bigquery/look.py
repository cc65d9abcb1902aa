"""A look into a BigQuery table, by its metadata and the rows that it lists: neither is a query.

Source: BigQuery documentation, "Pricing": `tables.get` and `tabledata.list` cost nothing.
"""

from __future__ import annotations

from contextlib import closing

from buildflow_nb.core.env import Env
from buildflow_nb.io.gcp.bigquery.access import access, rest_client
from buildflow_nb.io.gcp.bigquery.names import TableName
from buildflow_nb.io.gcp.errors import Target
from buildflow_nb.io.table_look import TableFound

__all__ = ("table_found",)

LOOK_ROLE = "roles/bigquery.dataViewer"
CALL_S = 6.0


def table_found(env: Env, name: TableName, target: Target, rows: int) -> TableFound:
    """The table, with so many rows; blocks.

    Raises:
        AbsentError: it is not there.
        TemporaryError: it cannot be reached for now.
        PermanentError: it may not be looked at.
    """
    with target.faults(LOOK_ROLE), closing(rest_client(access(env), name.project)) as rest:
        table = rest.get_table(str(name), retry=None, timeout=CALL_S)
        given = []
        if rows:
            listed = rest.list_rows(table, max_results=rows, retry=None, timeout=CALL_S)
            given = [tuple(row.values()) for row in listed]
    columns = [
        (one.name, f"{one.field_type}{_MODES.get(one.mode or '', '')}") for one in table.schema
    ]
    buffered = getattr(table.streaming_buffer, "estimated_rows", 0) or 0
    count = None if table.num_rows is None else int(table.num_rows) + int(buffered)
    about = "about" if buffered else ""
    return TableFound(columns, given, count, about, table.num_bytes)


_MODES = {"REQUIRED": ", required", "REPEATED": ", repeated"}
