"""A look into a table of whatever store: its columns, how many rows, the first of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from buildflow_nb.core.errors import AbsentError
from buildflow_nb.core.resource_look import (
    MOST_ROWS,
    Asked,
    Column,
    Content,
    Figure,
    Held,
    ResourceLook,
)
from buildflow_nb.io.looks import TAKES_NOTHING, cell, rows_asked

__all__ = ("TableFound", "absent_table", "look_into_table", "table_rows")

MOST_COLUMNS = 200


@dataclass(frozen=True, slots=True)
class TableFound:
    """A table that is there: its columns and their types, rows in the order of these, counts.

    `about` is of `count`, as in `Figure`; `count` and `bytes` are None where they are not known.
    `key` are the columns that no two rows share. `said` stands below the rows, `notes` apart.
    """

    columns: Sequence[tuple[str, str]]
    rows: Iterable[Sequence[object]] = ()
    count: int | None = None
    about: str = ""
    bytes: int | None = None
    key: Sequence[str] = ()
    notes: tuple[str, ...] = ()


def look_into_table(empty: ResourceLook, asked: Asked, found: TableFound) -> ResourceLook:
    """The look of a table that was found."""
    most = table_rows(asked)
    names = [Column(name, kind) for name, kind in found.columns][:MOST_COLUMNS]
    rows = tuple(tuple(map(cell, row[: len(names)])) for row in found.rows)
    figures = [Figure("rows", found.count, about=found.about)]
    if found.bytes is not None:
        figures.append(Figure("size", found.bytes, "bytes"))
    if found.key:
        figures.append(Figure("key", ", ".join(found.key)))
    contents: list[Content] = []
    if most:
        schema = tuple((column.name, column.type) for column in names)
        contents.append(
            Content("Columns", (Column("column"), Column("type")), schema, elements=False)
        )
        contents.append(Content("Rows", tuple(names), rows, _said(found, len(rows))))
    return replace(
        empty,
        figures=tuple(figures),
        contents=tuple(contents),
        notes=(TAKES_NOTHING, *found.notes),
        held=Held("rows", found.count, found.about, found.bytes),
    )


def _said(found: TableFound, shown: int) -> str:
    if found.count is None or found.count <= shown:
        return ""
    about = f"{found.about} " if found.about else ""
    return f"{shown:,} of {about}{found.count:,}, in no order" if shown else ""


def table_rows(asked: Asked) -> int:
    """How many rows a table shows."""
    return rows_asked(asked, MOST_ROWS)


def absent_table(what: str) -> AbsentError:
    """A table that nobody has made; `what` names it."""
    return AbsentError(f"{what} does not exist (yet); the first push makes it")
