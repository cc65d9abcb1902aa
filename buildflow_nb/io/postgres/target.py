"""A table as a sink knows it: made or checked once, and then the statements that write it.

To append is one COPY. To replace by a key, a COPY into a table of the connection's own, which has
the constraints of the real one, so that a value at fault is found with its row, and one INSERT from
there. Rows go in by the order of their keys, so that two sinks cannot hold each other up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from buildflow_nb.core.errors import PermanentError
from buildflow_nb.io.columns.element_columns import (
    Column,
    ElementColumns,
    columns_given,
    columns_of,
    columns_seen,
)
from buildflow_nb.io.postgres.columns import (
    Existing,
    create,
    existing,
    kind_named,
    misfits,
    quoted,
    type_of,
)
from buildflow_nb.io.postgres.errors import state_of
from buildflow_nb.io.postgres.rows import Convert, Rows, converters

__all__ = ("Prepared", "Target")

TAKEN = ("42P07", "23505")  # somebody else made it in this moment


@dataclass(frozen=True, slots=True)
class Target:
    """Which table, and how: `key` replaces rows, `evolve` adds columns that are missing."""

    schema: str
    name: str
    key: tuple[str, ...]
    evolve: bool
    element: object

    @property
    def table(self) -> str:
        """Its quoted name."""
        return quoted(self.schema, self.name)

    @property
    def shown(self) -> str:
        """Its name in messages."""
        return repr(f"{self.schema}.{self.name}")

    @property
    def staged(self) -> str:
        """The name of the connection's own table."""
        digest = hashlib.blake2s(self.table.encode(), digest_size=8).hexdigest()
        return f"buildflow_staged_{digest}"

    async def prepare(self, connection: Any, items: Sequence[object]) -> Prepared:
        """Make or check the table, by the declared type, or else by the items.

        Raises:
            PermanentError: the table that is there does not fit.
            ConversionError: there is no type, and no item has a field.
        """
        declared = columns_of(self.element)
        found = await existing(connection, self.table)
        if found is None:
            columns = declared or columns_seen(items)
            if any(not column.name for column in columns.columns):
                msg = (
                    f"table {self.shown}: the elements have a field named '', which no column can "
                    "be; give it a name"
                )
                raise PermanentError(msg)
            self._demand_key(columns.columns)
            await self._make(connection, create(self.table, columns.columns, self.key))
            found = await existing(connection, self.table)
            assert found is not None  # noqa: S101  (it was made a moment ago)
        columns = declared or _columns_in(found, items)
        self._demand_key(columns.columns)
        found = await self._complete(connection, found, columns.columns)
        misfits(self.shown, found, columns.columns, self.key)
        for there in found.columns.values():
            if there.type == "citext":  # an extension's, which the client does not know
                await connection.set_type_codec(
                    "citext",
                    schema=there.home,
                    encoder=str.encode,
                    decoder=bytes.decode,
                    format="binary",
                )
        if self.key:
            await connection.execute(self._staging())
        return Prepared(self, columns, converters(columns.columns, found.columns))

    async def _complete(
        self, connection: Any, found: Existing, columns: Sequence[Column]
    ) -> Existing:
        """The table with all the columns, added where that is allowed."""
        missing = [column for column in columns if column.name not in found.columns]
        if not missing:
            return found
        shown = ", ".join(f"{quoted(column.name)} {type_of(column.kind)}" for column in missing)
        if not self.evolve:
            many = "s" if len(missing) > 1 else ""
            msg = (
                f"table {self.shown} lacks the column{many} {shown}, which the elements have; "
                "add them, or give evolve=True"
            )
            raise PermanentError(msg)
        adds = ", ".join(
            f"ADD COLUMN IF NOT EXISTS {quoted(column.name)} {type_of(column.kind)}"
            for column in missing
        )
        await connection.execute(f"ALTER TABLE {self.table} {adds}")
        again = await existing(connection, self.table)
        return again or found

    async def _make(self, connection: Any, statement: str) -> None:
        import asyncpg

        try:
            await connection.execute(statement)
        except asyncpg.PostgresError as error:
            if state_of(error) not in TAKEN:
                raise
            await connection.execute(statement)

    def _staging(self) -> str:
        own = quoted(self.staged)
        return (
            f"DROP TABLE IF EXISTS pg_temp.{own}; CREATE TEMP TABLE {own} (LIKE {self.table} "
            "INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING IDENTITY) "
            "ON COMMIT DELETE ROWS"
        )

    def _demand_key(self, columns: Sequence[Column]) -> None:
        names = [column.name for column in columns]
        for name in self.key:
            if name not in names:
                msg = (
                    f"table {self.shown} has the key {name!r}, and the elements have no such "
                    f"column; they have {', '.join(names)}"
                )
                raise PermanentError(msg)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A table that is there and fits, and the statements for it."""

    target: Target
    columns: ElementColumns
    converts: dict[str, Convert]
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(column.name for column in self.columns.columns)
        object.__setattr__(self, "names", names)

    def last_of_each(self, rows: Rows) -> Sequence[int]:
        """The numbers of the rows to write: with a key, of equal ones the last."""
        if not self.target.key:
            return range(len(rows))
        keys = [rows.columns[self.names.index(name)] for name in self.target.key]
        last = dict(zip(zip(*keys, strict=True), range(len(rows)), strict=True))
        return range(len(rows)) if len(last) == len(rows) else sorted(last.values())

    async def write(self, connection: Any, rows: Rows) -> None:
        """Write rows, of which no two have one key; needs a transaction where there is a key."""
        target = self.target
        if not target.key:
            await connection.copy_records_to_table(
                target.name, records=rows.records(), columns=self.names, schema_name=target.schema
            )
            return
        await connection.copy_records_to_table(
            target.staged, records=rows.records(), columns=self.names
        )
        await connection.execute(self.merge)

    async def clear(self, connection: Any) -> None:
        """Leave nothing staged, before more is written in the same transaction."""
        if self.target.key:
            await connection.execute(f"TRUNCATE pg_temp.{quoted(self.target.staged)}")

    @property
    def merge(self) -> str:
        """The statement that replaces rows by those that are staged."""
        names = ", ".join(map(quoted, self.names))
        key = ", ".join(map(quoted, self.target.key))
        others = [quoted(name) for name in self.names if name not in self.target.key]
        change = ", ".join(f"{name} = EXCLUDED.{name}" for name in others)
        return (
            f"INSERT INTO {self.target.table} ({names}) SELECT {names} "  # noqa: S608
            f"FROM pg_temp.{quoted(self.target.staged)} ORDER BY {key} ON CONFLICT ({key}) "
            f"DO {f'UPDATE SET {change}' if change else 'NOTHING'}"
        )


def _columns_in(found: Existing, items: Sequence[object]) -> ElementColumns:
    """The columns of a table for elements without a type; those that it fills itself only if given.

    A field that is no column is its element's fault.
    """
    try:
        seen = {column.name for column in columns_seen(items).columns} if items else set()
    except Exception:  # noqa: BLE001  (each of them fails by itself when it is written)
        seen = set()
    return columns_given(
        [
            Column(one.name, kind_named(one), not one.needed)
            for one in found.columns.values()
            if one.name in seen or not (one.given or one.made)
        ]
    )
