"""INFORMATION_SCHEMA, as far as it is served: SCHEMATA, TABLES and COLUMNS.

Source: BigQuery documentation, "Introduction to INFORMATION_SCHEMA" (the columns of each view).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from buildflow_nb.local_cloud.bigquery.catalog import Catalog
from buildflow_nb.local_cloud.bigquery.types import Field, quoted

__all__ = ("information_schema",)

_SCHEMATA = ("catalog_name", "schema_name", "location")
_TABLES = ("table_catalog", "table_schema", "table_name", "table_type")
_COLUMNS = (*_TABLES[:3], "column_name", "ordinal_position", "is_nullable", "data_type")
_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


def information_schema(catalog: Catalog, project: str, dataset: str, view: str) -> str | None:
    """The SQL of a view; None for one that is not served.

    Raises:
        RefusedError: there is no such dataset.
    """
    if view == "SCHEMATA":
        found = [each["datasetReference"]["datasetId"] for each in catalog.datasets(project)]
        return _values(_SCHEMATA, [(project, name, "US") for name in found])
    if view == "TABLES":
        names = [each.ref.table for each in catalog.tables(project, dataset)]
        return _values(_TABLES, [(project, dataset, name, "BASE TABLE") for name in names])
    if view == "COLUMNS":
        rows = [
            (*each.ref, field.name, number, "NO" if field.required else "YES", _type(field))
            for each in catalog.tables(project, dataset)
            for number, field in enumerate(each.fields, 1)
        ]
        return _values(_COLUMNS, rows)
    return None


def _type(field: Field) -> str:
    if field.repeated:
        return f"ARRAY<{_type(field.one)}>"
    if field.type == "RECORD":
        return f"STRUCT<{', '.join(f'{part.name} {_type(part)}' for part in field.fields)}>"
    return _NAMES.get(field.type, field.type)


def _values(names: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    columns = ", ".join(map(quoted, names))
    texts = [f"({', '.join(map(_literal, row))})" for row in rows]
    nothing = f"({', '.join('NULL' for _ in names)})"
    where = "" if texts else " WHERE FALSE"
    return f"SELECT * FROM (VALUES {', '.join(texts or [nothing])}) AS v({columns}){where}"  # noqa: S608


def _literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
