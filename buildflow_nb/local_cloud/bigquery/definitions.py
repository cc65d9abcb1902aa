"""The columns and options that a CREATE TABLE statement gives, as the REST API would say them."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from buildflow_nb.local_cloud.bigquery.refusal import not_served
from buildflow_nb.local_cloud.bigquery.types import Field, fields_of

__all__ = ("column_fields", "table_options")


def column_fields(schema: exp.Expression) -> tuple[Field, ...]:
    """The columns of a parenthesised list.

    Raises:
        RefusedError: a type or a constraint is not served.
    """
    found = schema.expressions if isinstance(schema, exp.Schema) else []
    rests = [_rest(column) for column in found if isinstance(column, exp.ColumnDef)]
    return fields_of({"fields": rests})


def table_options(create: exp.Expression) -> dict[str, Any]:
    """How a table is partitioned and clustered, which is only kept."""
    properties = create.args.get("properties")
    made: dict[str, Any] = {}
    for each in properties.expressions if properties is not None else ():
        if isinstance(each, exp.PartitionedByProperty):
            column = each.find(exp.Identifier)
            if column is not None:
                made["timePartitioning"] = {"type": "DAY", "field": column.name}
        elif isinstance(each, exp.Cluster | exp.ClusterProperty):
            names = [column.name for column in each.find_all(exp.Identifier)]
            made["clustering"] = {"fields": names}
    return made


def _rest(column: exp.ColumnDef) -> dict[str, Any]:
    kind = column.args.get("kind")
    if not isinstance(kind, exp.DataType):
        msg = f"a column without a type ({column.name})"
        raise not_served(msg)
    required = False
    for constraint in column.args.get("constraints") or ():
        if isinstance(constraint.kind, exp.NotNullColumnConstraint):
            required = not constraint.kind.args.get("allow_null")
        else:
            msg = f"the constraint {constraint.sql(dialect='bigquery')}"
            raise not_served(msg)
    made = _typed(column.name, kind)
    if required and made.get("mode") != "REPEATED":
        made["mode"] = "REQUIRED"
    return made


def _typed(name: str, kind: exp.DataType) -> dict[str, Any]:
    if kind.is_type(exp.DataType.Type.ARRAY):
        return {**_typed(name, kind.expressions[0]), "mode": "REPEATED"}
    if kind.is_type(exp.DataType.Type.STRUCT):
        parts = [_rest(part) for part in kind.expressions if isinstance(part, exp.ColumnDef)]
        return {"name": name, "type": "RECORD", "fields": parts}
    return {"name": name, "type": kind.sql(dialect="bigquery").partition("(")[0]}
