"""Datasets and tables: their metadata, and the schemas and tables of the engine behind them.

A dataset is the engine's schema `project.dataset`. Names that differ in case alone are one to the
engine, so the second of two such is refused.

Source: BigQuery REST reference, "datasets" and "tables"; "Modifying table schemas".
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from buildflow_nb.local_cloud.bigquery.alterations import alterations
from buildflow_nb.local_cloud.bigquery.references import TableRef
from buildflow_nb.local_cloud.bigquery.refusal import (
    RefusedError,
    duplicate,
    invalid,
    not_found,
    not_served,
)
from buildflow_nb.local_cloud.bigquery.state import OWN, Database, keep
from buildflow_nb.local_cloud.bigquery.types import Field, fields_of, quoted

__all__ = ("Catalog", "Table")

LOCATION = "US"
NAME = re.compile(r"\w{1,1024}")
TABLE_NAME = re.compile(r"[\w \-]{1,1024}")
_UNSERVED = ("view", "materializedView", "externalDataConfiguration", "model", "snapshotDefinition")
_FIXED = ("kind", "id", "etag", "selfLink", "creationTime", "datasetReference", "tableReference")


@dataclass(frozen=True, slots=True)
class Table:
    """A table's metadata."""

    ref: TableRef
    fields: tuple[Field, ...]
    body: Mapping[str, Any]


class Catalog:
    """What there is. Changes are in the file before they are seen."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._datasets: dict[tuple[str, str], dict[str, Any]] = {}
        self._tables: dict[TableRef, Table] = {}
        with database.reading() as cursor:
            rows = cursor.execute(f"SELECT project, dataset, name, body FROM {OWN}.resources")  # noqa: S608
            for project, dataset, name, text in rows.fetchall():
                self._put(project, dataset, name, json.loads(text))

    # Datasets

    def datasets(self, project: str) -> list[dict[str, Any]]:
        """Those of a project, in the order of their names."""
        found = [body for (owner, _), body in self._datasets.items() if owner == project]
        return sorted(found, key=lambda body: str(body["id"]))

    def dataset(self, project: str, name: str) -> dict[str, Any]:
        """A dataset.

        Raises:
            RefusedError: it is not there.
        """
        try:
            return self._datasets[project, name]
        except KeyError:
            what = f"Dataset {project}:{name}"
            raise not_found(what) from None

    def create_dataset(self, project: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Make a dataset. Raises as `dataset`, where there is one, or its name is wrong."""
        name = (given.get("datasetReference") or {}).get("datasetId")
        if not isinstance(name, str) or NAME.fullmatch(name) is None:
            msg = (
                f'Invalid dataset ID "{name}". Dataset IDs must be alphanumeric (plus underscores)'
            )
            raise invalid(msg)
        with self._database.lock:
            self._refuse_twin(f"Dataset {project}:{name}", name, project, None)
            body = {
                "location": LOCATION,
                **{key: value for key, value in given.items() if value is not None},
                "kind": "bigquery#dataset",
                "id": f"{project}:{name}",
                "datasetReference": {"projectId": project, "datasetId": name},
            }
            body = _stamped(body, first=True)
            with self._database.writing() as cursor:
                cursor.execute(f"CREATE SCHEMA {quoted(f'{project}.{name}')}")
                _keep(cursor, project, name, "", body)
            self._put(project, name, "", body)
        return body

    def update_dataset(
        self, project: str, name: str, given: Mapping[str, Any], match: str | None, *, whole: bool
    ) -> dict[str, Any]:
        """Change a dataset's metadata, or with `whole` replace them. Raises as `dataset`."""
        with self._database.lock:
            body = _stamped(_changed(self.dataset(project, name), given, match, whole=whole))
            with self._database.writing() as cursor:
                _keep(cursor, project, name, "", body)
            self._put(project, name, "", body)
        return body

    def delete_dataset(self, project: str, name: str, *, contents: bool) -> None:
        """Delete a dataset. Raises as `dataset`, and where it holds tables but for `contents`."""
        with self._database.lock:
            self.dataset(project, name)
            inside = [ref for ref in self._tables if (ref.project, ref.dataset) == (project, name)]
            if inside and not contents:
                msg = f"Dataset {project}:{name} is still in use"
                raise RefusedError(400, "resourceInUse", msg)
            with self._database.writing() as cursor:
                cursor.execute(f"DROP SCHEMA {quoted(f'{project}.{name}')} CASCADE")
                _keep(cursor, project, name, "", None)
                for ref in inside:
                    _keep(cursor, *ref, None)
            for ref in inside:
                del self._tables[ref]
            del self._datasets[project, name]

    # Tables

    def tables(self, project: str, dataset: str) -> list[Table]:
        """Those of a dataset, in the order of their names. Raises as `dataset`."""
        self.dataset(project, dataset)
        refs = sorted(r for r in self._tables if (r.project, r.dataset) == (project, dataset))
        return [self._tables[ref] for ref in refs]

    def find(self, ref: TableRef) -> Table | None:
        """A table, or None."""
        return self._tables.get(ref)

    def table(self, ref: TableRef) -> Table:
        """A table.

        Raises:
            RefusedError: it is not there.
        """
        self.dataset(ref.project, ref.dataset)
        found = self._tables.get(ref)
        if found is None:
            raise not_found(str(ref))
        return found

    def create_table(
        self,
        ref: TableRef,
        given: Mapping[str, Any],
        cursor: duckdb.DuckDBPyConnection | None = None,
    ) -> Table:
        """Make a table, in a transaction of its own or in that of `cursor`.

        Raises:
            RefusedError: there is one of this name, or it cannot be made here.
        """
        for part in _UNSERVED:
            if given.get(part):
                msg = f"tables with {part}"
                raise not_served(msg)
        if TABLE_NAME.fullmatch(ref.table) is None:
            msg = f'Invalid table ID "{ref.table}".'
            raise invalid(msg)
        with self._database.lock:
            self.dataset(ref.project, ref.dataset)
            self._refuse_twin(str(ref), ref.table, ref.project, ref.dataset)
            fields = fields_of(given.get("schema"))
            _check_partition(given, fields)
            body = _stamped(_table_body(ref, given, fields), first=True)
            if cursor is None:
                with self._database.writing() as own:
                    self._make(own, ref, fields, body)
            else:
                self._make(cursor, ref, fields, body)
            made = Table(ref, fields, body)
            self._tables[ref] = made
        return made

    def forget(self, ref: TableRef) -> None:
        """Undo `create_table` in the memory, when its transaction was given up."""
        self._tables.pop(ref, None)

    def recall(self, table: Table) -> None:
        """Undo `forget`."""
        self._tables[table.ref] = table

    def update_table(
        self, ref: TableRef, given: Mapping[str, Any], match: str | None, *, whole: bool
    ) -> Table:
        """Change a table: metadata, columns that are added, REQUIRED ones that are so no longer.

        Raises:
            RefusedError: it is not there, was changed meanwhile, or its columns cannot become such.
        """
        for part in _UNSERVED:
            if given.get(part):
                msg = f"tables with {part}"
                raise not_served(msg)
        with self._database.lock:
            before = self.table(ref)
            body = _changed(before.body, given, match, whole=whole)
            fields = before.fields
            if (given.get("schema") or {}).get("fields") is not None:
                fields = fields_of(given["schema"])
            elif whole and before.fields:
                body["schema"] = before.body["schema"]
            changes = list(alterations(ref, before.fields, fields))
            body = _stamped(_table_body(ref, body, fields))
            with self._database.writing() as cursor:
                for sql in changes:
                    cursor.execute(sql)
                if fields and not before.fields:
                    self._make(cursor, ref, fields, body)
                else:
                    _keep(cursor, *ref, body)
            made = Table(ref, fields, body)
            self._tables[ref] = made
        return made

    def delete_table(self, ref: TableRef) -> None:
        """Delete a table. Raises as `table`."""
        with self._database.lock:
            self.table(ref)
            with self._database.writing() as cursor:
                cursor.execute(f"DROP TABLE IF EXISTS {ref.sql}")
                _keep(cursor, *ref, None)
            del self._tables[ref]

    def _make(
        self,
        cursor: duckdb.DuckDBPyConnection,
        ref: TableRef,
        fields: Sequence[Field],
        body: Mapping[str, Any],
    ) -> None:
        if fields:  # one without columns gets its table when it gets them
            columns = ", ".join(field.column for field in fields)
            cursor.execute(f"CREATE TABLE {ref.sql} ({columns})")
        _keep(cursor, *ref, body)

    def _put(self, project: str, dataset: str, name: str, body: dict[str, Any]) -> None:
        if not name:
            self._datasets[project, dataset] = body
            return
        ref = TableRef(project, dataset, name)
        self._tables[ref] = Table(ref, fields_of(body.get("schema")), body)

    def _refuse_twin(self, what: str, name: str, project: str, dataset: str | None) -> None:
        there: Iterable[str]
        if dataset is None:
            there = [one for owner, one in self._datasets if owner == project]
        else:
            there = [r.table for r in self._tables if r[:2] == (project, dataset)]
        for other in there:
            if other == name:
                raise duplicate(what)
            if other.lower() == name.lower():
                msg = f"names that differ in case alone ({other!r} and {name!r})"
                raise not_served(msg)


def _keep(
    cursor: duckdb.DuckDBPyConnection, project: str, dataset: str, name: str, body: Any
) -> None:
    keep(cursor, "resources", {"project": project, "dataset": dataset, "name": name}, body)


def _table_body(ref: TableRef, given: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
    body = {
        "location": LOCATION,
        **{key: value for key, value in given.items() if value is not None},
        "kind": "bigquery#table",
        "type": "TABLE",
        "id": f"{ref.project}:{ref.dataset}.{ref.table}",
        "tableReference": ref.rest,
    }
    if fields:
        body["schema"] = {"fields": [field.rest for field in fields]}
    return body


def _check_partition(given: Mapping[str, Any], fields: Sequence[Field]) -> None:
    """Look whether the columns that a table is divided by are there; Google refuses others."""
    types = {field.name.lower(): field.type for field in fields}
    by = [(given.get("timePartitioning") or {}).get("field")]
    by += [(given.get("rangePartitioning") or {}).get("field")]
    by += (given.get("clustering") or {}).get("fields") or []
    for name in filter(None, by):
        if str(name).lower() not in types:
            msg = f"The field specified for partitioning or clustering is not in the schema: {name}"
            raise invalid(msg)
    time_field = (given.get("timePartitioning") or {}).get("field")
    if time_field and types[time_field.lower()] not in ("DATE", "DATETIME", "TIMESTAMP"):
        msg = f"The field {time_field} cannot be partitioned by time: it is no date or moment"
        raise invalid(msg)


def _changed(
    before: Mapping[str, Any], given: Mapping[str, Any], match: str | None, *, whole: bool
) -> dict[str, Any]:
    if match not in (None, "", "*", before["etag"]):
        msg = "Precondition check failed: it was changed meanwhile"
        raise RefusedError(412, "conditionNotMet", msg)
    body = {key: before[key] for key in _FIXED if key in before} if whole else dict(before)
    for key, value in given.items():
        if key in _FIXED:
            continue
        if value is None:
            body.pop(key, None)
        elif key == "labels" and not whole:
            merged = {**before.get("labels", {}), **value}
            body[key] = {name: text for name, text in merged.items() if text is not None}
        else:
            body[key] = value
    return body


def _stamped(body: Mapping[str, Any], *, first: bool = False) -> dict[str, Any]:
    now = str(int(time.time() * 1000))
    made = {**body, "lastModifiedTime": now}
    if first:
        made["creationTime"] = now
    made.pop("etag", None)
    digest = hashlib.blake2s(json.dumps(made, sort_keys=True).encode(), digest_size=12)
    return {**made, "etag": digest.hexdigest()}
