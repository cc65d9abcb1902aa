"""Where DuckDB takes the same words and means something else, so that nothing is wrong in silence.

Source: GoogleSQL reference, "Date functions", "Timestamp functions", "Mathematical functions".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from buildflow_nb.local_cloud.bigquery.refusal import not_served

__all__ = ("call", "settle_differences")


def settle_differences(tree: exp.Expression) -> None:
    """Put what DuckDB would take otherwise into words that it takes as GoogleSQL does.

    Raises:
        RefusedError: it has no such words.
    """
    for kind, settle in _SETTLED.items():
        for node in reversed(list(tree.find_all(kind))):  # the inner ones first
            node.replace(settle(node))


def call(name: str, *arguments: exp.Expression) -> exp.Anonymous:
    """A call of one of DuckDB's functions."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def _division(node: exp.Expression) -> exp.Expression:
    """By zero it is an error; DuckDB has infinity."""
    if isinstance(node.expression, exp.Literal) and float(node.expression.this or 0) != 0:
        return node.copy()
    nothing = exp.EQ(this=exp.paren(node.expression.copy()), expression=exp.Literal.number(0))
    error = call("ERROR", exp.Literal.string("division by zero"))
    return exp.paren(exp.Case(ifs=[exp.If(this=nothing, true=error)], default=node.copy()))


def _extracted(node: exp.Expression) -> exp.Expression:
    part = node.name.upper()
    if part == "DAYOFWEEK":  # from 1, and DuckDB from 0
        return exp.paren(exp.Add(this=node.copy(), expression=exp.Literal.number(1)))
    if part == "ISOWEEK":
        return exp.Extract(this=exp.var("WEEK"), expression=node.expression.copy())
    if part.startswith("WEEK"):  # from the first Sunday; DuckDB's is the ISO week
        what = f"EXTRACT({part}); take ISOWEEK"
        raise not_served(what)
    return node.copy()


def _whole_units(node: exp.Expression) -> exp.Expression:
    """Whole units between moments; DuckDB's DATE_DIFF counts boundaries."""
    unit = exp.Literal.string(str(node.args.get("unit") or "DAY"))
    return call("DATE_SUB", unit, node.expression.copy(), node.this.copy())


def _formatted(node: exp.Expression) -> exp.Expression:
    """As C does it; DuckDB's FORMAT has braces."""
    return call("PRINTF", node.this.copy(), *(part.copy() for part in node.expressions))


_SETTLED: Mapping[type[exp.Expression], Callable[[exp.Expression], exp.Expression]] = {
    exp.TimestampDiff: _whole_units,
    exp.Extract: _extracted,
    exp.Format: _formatted,
    exp.ByteLength: lambda node: call("STRLEN", node.this.copy()),
    exp.Div: _division,
}
