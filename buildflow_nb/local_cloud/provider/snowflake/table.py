"""`snowflake:index/table:Table`: a table with its columns.

Columns are added and dropped in place, as the published provider does it; another type is refused.
Source: Snowflake documentation, "CREATE TABLE", "ALTER TABLE"; the published provider's page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from buildflow_nb.core.errors import InfraError
from buildflow_nb.local_cloud.provider.codec import Plain
from buildflow_nb.local_cloud.provider.kinds import Kind
from buildflow_nb.local_cloud.provider.properties import Properties
from buildflow_nb.local_cloud.provider.schema import Input, Schema
from buildflow_nb.local_cloud.provider.snowflake.cloud import SnowflakeCloud, quoted
from buildflow_nb.local_cloud.provider.snowflake.named import NAME, PLACED, Named

__all__ = ("Table",)

COLUMN = {
    "name": Input(required=True),
    "type": Input(required=True),
    "nullable": Input(Kind.FLAG),
}
_SPACE = re.compile(r"\s+")
_LOOK = (
    "SELECT column_name, data_type, is_nullable, numeric_precision, numeric_scale FROM"
    " {database}.information_schema.columns WHERE table_schema = {schema} AND table_name = {table}"
    " ORDER BY ordinal_position"
)
# What the local server says of a type that it keeps as another one.
_SAME = {"TEXT": "VARCHAR", "ARRAY": "VARIANT", "OBJECT": "VARIANT", "NUMBER": "NUMBER(38,0)"}


class Table(Named):
    """A table."""

    word = "TABLE"
    bars = True
    schema: ClassVar[Schema] = Schema(
        "snowflake:index/table:Table",
        {**PLACED, "columns": Input(Kind.OBJECTS, required=True, parts=COLUMN)},
        {"fullyQualifiedName": (), "owner": ()},
        NAME,
    )

    def rest(self, inputs: Properties) -> str:
        """Its columns."""
        return f"({', '.join(map(_declared, inputs.parts('columns')))})"

    def look(
        self, cloud: SnowflakeCloud, parts: Sequence[str], known: Properties
    ) -> Mapping[str, Plain] | None:
        """Its columns, in the spelling that is known of them where that means the same."""
        schema, table = ("'" + name.replace("'", "''") + "'" for name in parts[1:])
        looked = _LOOK.format(database=quoted(parts[0]), schema=schema, table=table)
        rows = cloud.rows(looked)
        if not rows:
            return None
        spelt = {one.must("name"): one for one in known.parts("columns")}
        columns: list[Plain] = [_column(row, spelt.get(row[0])) for row in rows]
        return {"columns": columns, "owner": "SYSADMIN"}

    def update(
        self, cloud: SnowflakeCloud, resource_id: str, olds: Properties, news: Properties
    ) -> None:
        """Add and drop columns.

        Raises:
            InfraError: a column is to have another type.
        """
        table = quoted(*self.parts(resource_id))
        before = {one.must("name"): one for one in olds.parts("columns")}
        after = {one.must("name"): one for one in news.parts("columns")}
        for name in before.keys() & after.keys():
            if _meaning(before[name]) != _meaning(after[name]):
                msg = (
                    f"column {name!r}: the local cloud changes no types of columns; "
                    "drop the column or the table first"
                )
                raise InfraError(msg)
        cloud.run(
            *(
                f"ALTER TABLE {table} ADD COLUMN {_declared(after[name])}"
                for name in after
                if name not in before
            ),
            *(
                f"ALTER TABLE {table} DROP COLUMN {quoted(name)}"
                for name in before
                if name not in after
            ),
        )


def _declared(column: Properties) -> str:
    always = "" if _nullable(column) else " NOT NULL"
    return f"{quoted(column.must('name'))} {column.must('type')}{always}"


def _nullable(column: Properties) -> bool:
    return column.get("nullable") is not False


def _meaning(column: Properties) -> tuple[str, bool]:
    kind = _SPACE.sub("", column.must("type").upper())
    return _SAME.get(kind, kind), _nullable(column)


def _column(row: tuple[Any, ...], known: Properties | None) -> dict[str, Plain]:
    name, kind, nullable, precision, scale = row
    if kind == "NUMBER":
        kind = f"NUMBER({precision}, {scale})"
    found: dict[str, Plain] = {
        "name": name,
        "type": "VARCHAR" if kind == "TEXT" else kind,
        "nullable": nullable == "YES",
    }
    if known is not None and _meaning(known) == _meaning(Properties(found)):
        return dict(known)
    return found
