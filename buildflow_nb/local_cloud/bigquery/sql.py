"""GoogleSQL to DuckDB's: one statement, its tables and parameters, every name quoted.

What the translation would lose in silence is refused, not carried out otherwise.

Source: GoogleSQL reference, "Query syntax", "Data manipulation language", "Lexical structure".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError, UnsupportedError

from buildflow_nb.local_cloud.bigquery.cells import parse_value
from buildflow_nb.local_cloud.bigquery.differences import call, settle_differences
from buildflow_nb.local_cloud.bigquery.references import TableRef
from buildflow_nb.local_cloud.bigquery.refusal import invalid_query, not_served
from buildflow_nb.local_cloud.bigquery.types import Field, fields_of

__all__ = ("Names", "Parameters", "condition_sql", "engine_sql", "parameters_of", "parsed")

_SERVED = (
    *(exp.Select, exp.SetOperation, exp.Subquery),
    *(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.TruncateTable),
    *(exp.Create, exp.Drop, exp.Alter),
)
Views = Callable[[str, str, str], str | None]


@dataclass(frozen=True, slots=True)
class Names:
    """How a statement's names are meant: in which project and dataset, and what is a view.

    `view` gives the engine's SQL of a table of INFORMATION_SCHEMA, by project, dataset and name.
    """

    project: str
    dataset: str | None
    view: Views

    def ref(self, parts: Sequence[str]) -> TableRef:
        """The table of this name.

        Raises:
            RefusedError: no dataset is known.
        """
        match parts:
            case [table] if self.dataset:
                return TableRef(self.project, self.dataset, table)
            case [dataset, table]:
                return TableRef(self.project, dataset, table)
            case [project, dataset, table]:
                return TableRef(project, dataset, table)
        name = ".".join(parts)
        msg = f'Table "{name}" must be qualified with a dataset (e.g. dataset.table).'
        raise invalid_query(msg)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a query: values by name, or in order, and their types."""

    values: Mapping[str, Any]
    fields: Mapping[str, Field]
    positional: bool

    @property
    def bound(self) -> dict[str, Any]:
        """What the engine is given."""
        return dict(self.values)


def parsed(text: str) -> exp.Expression:
    """The one statement in a text.

    Raises:
        RefusedError: it is no GoogleSQL, or nothing that is served.
    """
    try:
        found = [tree for tree in sqlglot.parse(text, read="bigquery") if tree is not None]
    except SqlglotError as error:
        where = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
        said = where.get("description") or str(error).splitlines()[0]
        at = f" at [{where['line']}:{where['col']}]" if where.get("line") else ""
        msg = f"Syntax error: {said}{at}"
        raise invalid_query(msg) from error
    if not found:
        msg = "Syntax error: Unexpected end of statement"
        raise invalid_query(msg)
    if len(found) > 1:
        what = "scripts of several statements; send them one by one"
        raise not_served(what)
    tree = found[0]
    if not isinstance(tree, _SERVED):
        msg = f"{text.split(maxsplit=1)[0].upper()} statements"
        raise not_served(msg)
    kind = str(tree.args.get("kind") or "TABLE").upper()
    if isinstance(tree, exp.Create | exp.Drop | exp.Alter) and kind not in ("TABLE", "SCHEMA"):
        msg = f"{tree.key.upper()} {kind}"
        raise not_served(msg)
    return tree


def engine_sql(tree: exp.Expression, names: Names, parameters: Parameters | None = None) -> str:
    """A statement as DuckDB's SQL.

    Raises:
        RefusedError: it names what is not there, or uses what is not served.
    """
    tree = tree.copy()
    if parameters is not None:
        _bind(tree, parameters)
    _place_tables(tree, names)
    _lay_out_unnested(tree)
    settle_differences(tree)
    for when in tree.find_all(exp.When):
        then = when.args.get("then")
        if isinstance(then, exp.Insert) and then.this is not None and then.this.name == "ROW":
            then.set("this", exp.Star())
    for name in tree.find_all(exp.Identifier):
        name.set("quoted", True)
    try:
        return tree.sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError as error:
        said = str(error).splitlines()[0].replace(" in DuckDB", "")
        msg = f"this statement: {said}"
        raise not_served(msg) from error


def condition_sql(text: str) -> str:
    """A condition on a table's columns (a row restriction) as DuckDB's SQL. Raises as `parsed`."""
    tree = parsed(f"SELECT 1 FROM t WHERE {text}")  # noqa: S608  (parsed, and never run)
    where = tree.args.get("where")
    others = [part for part in tree.args if part not in ("expressions", "from_", "where", "kind")]
    if where is None or any(tree.args[part] for part in others) or tree.find(exp.Subquery):
        msg = "request failed: row restriction is not one condition"
        raise invalid_query(msg)
    settle_differences(where)
    for name in where.find_all(exp.Identifier):
        name.set("quoted", True)
    return str(where.this.sql(dialect="duckdb"))


def parameters_of(configuration: Mapping[str, Any]) -> Parameters | None:
    """The parameters of a query's configuration.

    Raises:
        RefusedError: one has no type, or its value is not of it.
    """
    given = configuration.get("queryParameters") or []
    if not given:
        return None
    positional = str(configuration.get("parameterMode", "NAMED")).upper() == "POSITIONAL"
    values: dict[str, Any] = {}
    fields: dict[str, Field] = {}
    for number, one in enumerate(given):
        name = f"p{number}" if positional else str(one.get("name", "")).lower()
        try:
            rest = _rest_of_type("value", one["parameterType"])
            field = fields_of({"fields": [rest]})[0]
            values[name] = parse_value(_plain(one.get("parameterValue") or {}, field), field)
        except (ValueError, KeyError, TypeError) as error:
            msg = f"Invalid query parameter {one.get('name') or number + 1}: {error}"
            raise invalid_query(msg) from error
        fields[name] = field
    return Parameters(values, fields, positional)


def _rest_of_type(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    kind = given["type"]
    if kind == "ARRAY":
        return {**_rest_of_type(name, given["arrayType"]), "mode": "REPEATED"}
    if kind in ("STRUCT", "RECORD"):
        parts = [_rest_of_type(part["name"], part["type"]) for part in given["structTypes"]]
        return {"name": name, "type": "RECORD", "fields": parts}
    return {"name": name, "type": kind}


def _plain(given: Mapping[str, Any], field: Field) -> Any:
    if field.repeated:
        return [_plain(one, field.one) for one in given.get("arrayValues") or []]
    if field.type == "RECORD":
        inside = given.get("structValues") or {}
        return {part.name: _plain(inside.get(part.name) or {}, part) for part in field.fields}
    return given.get("value")


def _bind(tree: exp.Expression, parameters: Parameters) -> None:
    number = 0
    for node in list(tree.find_all(exp.Parameter, exp.Placeholder)):
        if isinstance(node, exp.Placeholder):
            name = f"p{number}"
            number += 1
        else:
            name = node.name.lower()
        if name not in parameters.values:
            said = node.name or f"number {number}"
            msg = f"Query parameter '{said}' not found"
            raise invalid_query(msg)
        made = exp.Parameter(this=exp.Var(this=name))
        node.replace(exp.cast(made, parameters.fields[name].engine, dialect="duckdb"))


def _place_tables(tree: exp.Expression, names: Names) -> None:
    common = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        if not isinstance(table.this, exp.Identifier):
            if isinstance(table.this, exp.Func):
                msg = f"table functions ({table.this.sql(dialect='bigquery')})"
                raise not_served(msg)
            continue
        parts = [part for each in table.parts for part in each.name.split(".")]
        if len(parts) == 1 and parts[0] in common:
            continue
        if "INFORMATION_SCHEMA" in (part.upper() for part in parts[:-1]):
            _place_view(table, parts, names)
            continue
        if "*" in parts[-1]:
            msg = f"wildcard tables ({'.'.join(parts)})"
            raise not_served(msg)
        ref = names.ref(parts)
        alias = table.args.get("alias")
        table.set("this", exp.to_identifier(ref.table, quoted=True))
        table.set("db", exp.to_identifier(f"{ref.project}.{ref.dataset}", quoted=True))
        table.set("catalog", None)
        table.set("alias", alias)


def _place_view(table: exp.Table, parts: Sequence[str], names: Names) -> None:
    at = [part.upper() for part in parts].index("INFORMATION_SCHEMA")
    project, dataset = names.project, names.dataset or ""
    if at > 1:
        project = parts[0]
    if at > 0:
        dataset = parts[at - 1]
    sql = names.view(project, dataset, parts[-1].upper())
    if sql is None:
        msg = f"INFORMATION_SCHEMA.{parts[-1]}"
        raise not_served(msg)
    inner = sqlglot.parse_one(sql, read="duckdb")
    made = exp.Subquery(this=inner, alias=table.args.get("alias") or exp.TableAlias(this=parts[-1]))
    table.replace(made)


def _lay_out_unnested(tree: exp.Expression) -> None:
    """Count WITH OFFSET from 0, and without an alias make columns of the fields of records."""
    for node in list(tree.find_all(exp.Unnest)):
        offset, alias = node.args.get("offset"), node.args.get("alias")
        array = node.expressions[0]
        if not offset:
            if alias is None and isinstance(node.parent, exp.From | exp.Join):
                flat = exp.Kwarg(this=exp.var("max_depth"), expression=exp.Literal.number(2))
                select = exp.select(call("UNNEST", array.copy(), flat))
                node.replace(exp.Subquery(this=select, alias=exp.TableAlias(this="_flat")))
            continue
        columns = alias.args.get("columns") or [] if alias is not None else []
        element = columns[0].name if columns else alias.name if alias is not None else "element"
        counter = offset.name if isinstance(offset, exp.Expression) else "offset"
        select = exp.select(
            exp.alias_(call("UNNEST", array.copy()), element, quoted=True),
            exp.alias_(call("UNNEST", call("RANGE", call("LEN", array.copy()))), counter),
        )
        node.replace(exp.Subquery(this=select, alias=exp.TableAlias(this=f"_with_{counter}")))
