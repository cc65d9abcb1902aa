"""From a table's columns to new ones: what Google allows, as the engine's SQL.

Columns and fields of records may be added, and need not be REQUIRED any longer; nothing else.

Source: BigQuery documentation, "Modifying table schemas".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from buildflow_nb.local_cloud.bigquery.references import TableRef
from buildflow_nb.local_cloud.bigquery.refusal import invalid
from buildflow_nb.local_cloud.bigquery.types import Field, quoted

__all__ = ("alterations",)


def alterations(
    ref: TableRef, old: Sequence[Field], new: Sequence[Field], path: tuple[str, ...] = ()
) -> Iterator[str]:
    """The SQL that makes new columns of old ones; `path` leads to the record that they are in.

    Raises:
        RefusedError: there is none, in Google's words.
    """
    if not old:
        return  # it has no table yet
    by_name = {field.name.lower(): field for field in new}
    for before in old:
        after = by_name.pop(before.name.lower(), None)
        _check(ref, before, after, path)
        assert after is not None  # noqa: S101  (it was checked)
        if after.mode != before.mode and not path:
            name = quoted(before.name)
            yield f"ALTER TABLE {ref.sql} ALTER COLUMN {name} DROP NOT NULL"
        if before.type == "RECORD":
            inner = (*path, before.name, *(("element",) if before.repeated else ()))
            yield from alterations(ref, before.fields, after.fields, inner)
    for added in by_name.values():
        if added.required:
            msg = f"Cannot add required fields to an existing schema. (field: {added.name})"
            msg = f"Provided Schema does not match {ref}. {msg}"
            raise invalid(msg)
        default = " DEFAULT []" if added.repeated and not path else ""
        name = ".".join(map(quoted, (*path, added.name)))
        yield f"ALTER TABLE {ref.sql} ADD COLUMN {name} {added.engine}{default}"


def _check(ref: TableRef, before: Field, after: Field | None, path: Sequence[str]) -> None:
    where = ".".join((*(part for part in path if part != "element"), before.name))
    if after is None:
        said = f"Field {where} is missing in new schema"
    elif after.type != before.type:
        said = f"Field {where} has changed type from {before.type} to {after.type}"
    elif after.mode != before.mode and (before.mode, after.mode) != ("REQUIRED", "NULLABLE"):
        said = f"Field {where} has changed mode from {before.mode} to {after.mode}"
    else:
        return
    msg = f"Provided Schema does not match {ref}. {said}"
    raise invalid(msg)
