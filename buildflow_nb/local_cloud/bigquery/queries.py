"""Carries out the statement of a query job: SELECT, DML, and DDL of tables and datasets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from buildflow_nb.local_cloud.bigquery.catalog import Catalog
from buildflow_nb.local_cloud.bigquery.definitions import column_fields, table_options
from buildflow_nb.local_cloud.bigquery.dispositions import Destination
from buildflow_nb.local_cloud.bigquery.references import TableRef
from buildflow_nb.local_cloud.bigquery.refusal import (
    RefusedError,
    duplicate,
    invalid_query,
    not_served,
    of_engine,
)
from buildflow_nb.local_cloud.bigquery.results import RESULTS, Results
from buildflow_nb.local_cloud.bigquery.sql import (
    Names,
    Parameters,
    engine_sql,
    parameters_of,
    parsed,
)
from buildflow_nb.local_cloud.bigquery.state import Database
from buildflow_nb.local_cloud.bigquery.types import Field, arrow_schema, field_of_engine
from buildflow_nb.local_cloud.bigquery.views import information_schema

__all__ = ("Outcome", "Queries")

BATCH_ROWS = 10_000
QUERY_S = 600.0  # after which a statement is given up, unless the job says less


@dataclass(slots=True)
class Outcome:
    """What a statement did: the columns and where the rows are, or how many it changed."""

    statement: str
    fields: tuple[Field, ...] = ()
    result: TableRef | None = None
    rows: int = 0
    affected: int | None = None
    into: TableRef | None = None


Kept = Callable[[duckdb.DuckDBPyConnection, Outcome], None]


@dataclass(frozen=True, slots=True)
class _Query:
    """A statement with what it is carried out by."""

    tree: exp.Expression
    names: Names
    parameters: Parameters | None
    configuration: Mapping[str, Any]
    deadline_s: float

    @property
    def sql(self) -> str:
        return engine_sql(self.tree, self.names, self.parameters)

    @property
    def bound(self) -> dict[str, Any]:
        return self.parameters.bound if self.parameters is not None else {}


class Queries:
    """The statements of one server."""

    def __init__(self, database: Database, catalog: Catalog, results: Results) -> None:
        self._database = database
        self._catalog = catalog
        self._results = results

    def run(
        self, project: str, configuration: Mapping[str, Any], keep: Kept, *, dry: bool
    ) -> Outcome:
        """Carry out a query's configuration; `keep` is called inside of a writing transaction.

        Raises:
            RefusedError: it is wrong, or not served.
        """
        if configuration.get("useLegacySql"):
            what = "legacy SQL; set useLegacySql to false"
            raise not_served(what)
        query = self._understood(project, configuration)
        try:
            if isinstance(query.tree, exp.Create | exp.Drop | exp.Alter | exp.TruncateTable):
                return self._define(query, keep, dry=dry)
            if isinstance(query.tree, exp.Select | exp.SetOperation | exp.Subquery):
                return self._select(query, keep, dry=dry)
            return self._change(query, keep, dry=dry)
        except duckdb.Error as error:
            raise of_engine(error) from error
        except pa.ArrowInvalid as error:
            raise invalid_query(str(error)) from error

    def _understood(self, project: str, configuration: Mapping[str, Any]) -> _Query:
        default = configuration.get("defaultDataset") or {}
        names = Names(
            default.get("projectId") or project,
            default.get("datasetId"),
            lambda owner, dataset, name: information_schema(self._catalog, owner, dataset, name),
        )
        text = configuration.get("query")
        if not isinstance(text, str):
            msg = "Required parameter is missing: query"
            raise invalid_query(msg)
        timeout = int(configuration.get("jobTimeoutMs") or 0) / 1000
        tree = parsed(text)
        for table in _named(tree, names):
            self._catalog.table(table)
        return _Query(tree, names, parameters_of(configuration), configuration, timeout or QUERY_S)

    def _select(self, query: _Query, keep: Kept, *, dry: bool) -> Outcome:
        into = Destination.of(query.configuration)
        with self._database.reading() as cursor, _limited(cursor, query.deadline_s):
            relation = cursor.sql(query.sql, params=query.bound)
            fields = _described(relation)
            if dry:
                return Outcome("SELECT", fields)
            schema = arrow_schema(fields)
            batches = _cast_batches(relation.to_arrow_reader(BATCH_ROWS), schema)
            name, rows = self._results.write(schema, batches)
        found = TableRef(query.names.project, RESULTS, name)
        if into is None:
            return Outcome("SELECT", fields, found, rows)
        read = self._results.read(name)
        assert read is not None  # noqa: S101  (it was written a moment ago)
        done = Outcome("SELECT", fields, found, rows, into=into.ref)
        with self._database.lock, into.filled(self._database, self._catalog, fields) as write:
            write.add(read)
            keep(write.cursor, done)
        return done

    def _change(self, query: _Query, keep: Kept, *, dry: bool) -> Outcome:
        statement = query.tree.key.upper()
        sql = query.sql
        if dry:
            with self._database.reading() as cursor:
                cursor.execute(f"EXPLAIN {sql}", query.bound)
            return Outcome(statement)
        with self._database.writing() as cursor, _limited(cursor, query.deadline_s):
            rows = cursor.execute(sql, query.bound).fetchall()
            done = Outcome(statement, affected=int(rows[0][0]) if rows else 0)
            keep(cursor, done)
        return done

    def _define(self, query: _Query, keep: Kept, *, dry: bool) -> Outcome:
        tree = query.tree
        kind = str(tree.args.get("kind") or "TABLE").upper()
        statement = f"{tree.key.upper().removesuffix('TABLE')}_{kind}"
        if isinstance(tree, exp.Create) and kind == "TABLE" and tree.expression is not None:
            return self._create_as(query, keep, dry=dry)
        if dry:
            return Outcome(statement)
        if isinstance(tree, exp.TruncateTable):
            ref = _ref(tree.expressions[0], query.names)
            with self._database.writing() as cursor:
                rows = cursor.execute(f"DELETE FROM {ref.sql}").fetchall()  # noqa: S608
                done = Outcome("TRUNCATE_TABLE", affected=int(rows[0][0]) if rows else 0)
                keep(cursor, done)
            return done
        if kind == "SCHEMA":
            self._define_dataset(query)
        elif isinstance(tree, exp.Create):
            self._create(query, column_fields(tree.this))
        elif isinstance(tree, exp.Alter):
            self._alter(query)
        else:
            for table in tree.find_all(exp.Table):
                self._drop(_ref(table, query.names), if_exists=bool(tree.args.get("exists")))
        with self._database.writing() as cursor:
            keep(cursor, Outcome(statement))
        return Outcome(statement)

    def _create(self, query: _Query, fields: tuple[Field, ...]) -> None:
        tree = query.tree
        target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        ref = _ref(target, query.names)
        if self._catalog.find(ref) is not None:
            if tree.args.get("exists"):
                return
            if not tree.args.get("replace"):
                raise duplicate(str(ref))
            self._catalog.delete_table(ref)
        schema = {"fields": [each.rest for each in fields]}
        self._catalog.create_table(ref, {**table_options(tree), "schema": schema})

    def _create_as(self, query: _Query, keep: Kept, *, dry: bool) -> Outcome:
        tree = query.tree
        target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        ref = _ref(target, query.names)
        there = self._catalog.find(ref)
        if there is not None and not tree.args.get("replace"):
            if tree.args.get("exists"):
                return Outcome("CREATE_TABLE_AS_SELECT")
            raise duplicate(str(ref))
        write = "WRITE_TRUNCATE" if there is not None else "WRITE_EMPTY"
        into = {"destinationTable": ref.rest, "writeDisposition": write, **table_options(tree)}
        inner = _Query(
            tree.expression,
            query.names,
            query.parameters,
            {**query.configuration, **into},
            query.deadline_s,
        )
        made = self._select(inner, keep, dry=dry)
        return Outcome("CREATE_TABLE_AS_SELECT", made.fields, rows=made.rows)

    def _alter(self, query: _Query) -> None:
        ref = _ref(query.tree.this, query.names)
        added: list[Field] = []
        for action in query.tree.args.get("actions") or ():
            if not isinstance(action, exp.ColumnDef):
                what = f"ALTER TABLE … {action.sql(dialect='bigquery')}"
                raise not_served(what)
            added += column_fields(exp.Schema(expressions=[action]))
        table = self._catalog.table(ref)
        fields = [each.rest for each in (*table.fields, *added)]
        self._catalog.update_table(ref, {"schema": {"fields": fields}}, None, whole=False)

    def _drop(self, ref: TableRef, *, if_exists: bool) -> None:
        if if_exists and self._catalog.find(ref) is None:
            return
        self._catalog.delete_table(ref)

    def _define_dataset(self, query: _Query) -> None:
        tree = query.tree
        named = tree.find(exp.Table)
        parts = [part for each in named.parts for part in each.name.split(".")] if named else [""]
        project = parts[0] if len(parts) > 1 else query.names.project
        try:
            if isinstance(tree, exp.Create):
                reference = {"datasetReference": {"datasetId": parts[-1]}}
                self._catalog.create_dataset(project, reference)
            else:
                contents = bool(tree.args.get("cascade"))
                self._catalog.delete_dataset(project, parts[-1], contents=contents)
        except RefusedError as error:
            if not tree.args.get("exists") or error.reason not in ("duplicate", "notFound"):
                raise


def _named(tree: exp.Expression, names: Names) -> Iterator[TableRef]:
    """The tables that must be there for a statement."""
    common = {cte.alias for cte in tree.find_all(exp.CTE)}
    if isinstance(tree, exp.Drop):
        return
    made = None
    if isinstance(tree, exp.Create):
        made = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    for table in tree.find_all(exp.Table):
        if table is made or not isinstance(table.this, exp.Identifier):
            continue
        parts = [part for each in table.parts for part in each.name.split(".")]
        view = "INFORMATION_SCHEMA" in (part.upper() for part in parts)
        if view or "*" in parts[-1] or (len(parts) == 1 and parts[0] in common):
            continue
        yield names.ref(parts)


def _ref(table: exp.Expression, names: Names) -> TableRef:
    if not isinstance(table, exp.Table):
        msg = "Syntax error: expected a table"
        raise invalid_query(msg)
    return names.ref([part for each in table.parts for part in each.name.split(".")])


def _described(relation: Any) -> tuple[Field, ...]:
    """The columns of a result, in which no two have one name."""
    fields, seen = [], set()
    for number, (name, kind) in enumerate(zip(relation.columns, relation.types, strict=True)):
        if name.lower() in seen:
            msg = f"Duplicate column names in the result are not supported: {name}"
            raise invalid_query(msg)
        seen.add(name.lower())
        simple = name.isidentifier()
        fields.append(field_of_engine(name if simple else f"f{number}_", kind))
    return tuple(fields)


def _cast_batches(reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        columns = [
            column if column.type == kind else column.cast(kind, safe=not _decimal(kind))
            for column, kind in zip(batch.columns, schema.types, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _decimal(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind))  # whose digits behind the ninth are left out


class _limited:  # noqa: N801  (a context manager, used like a function)
    """Interrupts what a cursor does when its time is over."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, seconds: float) -> None:
        self._timer = threading.Timer(seconds, cursor.interrupt)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
