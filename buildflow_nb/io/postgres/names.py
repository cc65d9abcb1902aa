"""Names of tables as people write them: "orders", or "sales.orders" in the schema `sales`."""

from __future__ import annotations

from buildflow_nb.core.errors import DeclarationError

__all__ = ("named_table",)

LONGEST = 63  # bytes of a name; Postgres cuts longer ones (NAMEDATALEN)


def named_table(owner: str, schema: object, table: object) -> tuple[str, str]:
    """The schema and the name in it; with a `schema` the table's name is taken as it is.

    Raises:
        DeclarationError: it is no name; `owner` opens the message.
    """
    if not isinstance(table, str) or not table:
        msg = f"{owner}: table must be the name of a table, got {table!r}"
        raise DeclarationError(msg)
    if schema is None:
        before, dot, behind = table.partition(".")
        schema, table = (before, behind) if dot else ("public", table)
    if not isinstance(schema, str) or not schema or not table:
        msg = f"{owner}: a table is named 'orders' or 'sales.orders', got {table!r} in {schema!r}"
        raise DeclarationError(msg)
    for name in (schema, table):
        if len(name.encode()) > LONGEST or "\0" in name:
            msg = f"{owner}: a name has at most {LONGEST} bytes and no NUL, got {name!r}"
            raise DeclarationError(msg)
    return schema, table
