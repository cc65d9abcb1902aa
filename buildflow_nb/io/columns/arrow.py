"""Columns of Python values as Arrow tables, one for each push; pyarrow is loaded on first use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from buildflow_nb.core.errors import ConversionError, PermanentError
from buildflow_nb.io.columns.kinds import Kind, has_zone, kind_of, seen_hint
from buildflow_nb.io.columns.layout import Layout, declared_layout, fitted_layout, seen_layout

__all__ = ("JSON_MARK", "Tables", "arrow_field", "kinds_of")

JSON_MARK = b"buildflow_nb.json"  # on a field whose text is JSON, so that reading decodes it


class Tables:
    """Makes tables; the columns are those of the declared type, or of the first table kept."""

    def __init__(self, element: object) -> None:
        self.known = declared_layout(element)  # the columns, where they are known already
        self._kinds: dict[str, Kind] = {}
        self._schema: Any = None
        self._existing: Any = None
        self._where = ""
        self._draft: tuple[Layout, dict[str, Kind], Any] | None = None

    def continue_from(self, existing: Any, where: str) -> None:
        """Take the schema of what is there; `where` opens the message.

        Raises:
            PermanentError: the declared columns are others.
        """
        self._existing, self._where = existing, where
        self.known = fitted_layout(self.known, existing.names, where)

    def layout(self, items: Sequence[object]) -> Layout:
        """The columns of a push."""
        return self.known or seen_layout(items)

    @property
    def kinds(self) -> dict[str, Kind]:
        """The types of the last table's columns."""
        return self._kinds if self._draft is None else self._draft[1]

    def make(self, layout: Layout, items: Sequence[object]) -> Any:
        """The items as a table.

        Raises:
            ConversionError: an item does not fit; the other `ELEMENT_FAULTS` too.
            PermanentError: the declared types are others than those of what is there.
        """
        columns = layout.columns(items)
        kinds, schema = self._typed(layout, columns)
        table = _table_of(kinds, schema, columns)
        self._draft = (layout, kinds, schema)
        return table

    def keep(self) -> None:
        """The last table is written: later ones have its columns."""
        if self._draft is not None:
            self.known, self._kinds, self._schema = self._draft

    def _typed(
        self, layout: Layout, columns: Sequence[Sequence[Any]]
    ) -> tuple[dict[str, Kind], Any]:
        if self._schema is not None:
            return self._kinds, self._schema
        if not layout.names:
            msg = "the element has no fields"
            raise ConversionError(msg)
        kinds = kinds_of(layout, columns)
        schema = _schema_of(kinds)
        if self._existing is not None and not schema.equals(self._existing):
            for mine, other in zip(schema, self._existing, strict=True):
                if layout.hints and mine.type != other.type:
                    msg = (
                        f"{self._where} holds {other.type} in column {mine.name!r}, but the "
                        f"elements have {mine.type}; write elsewhere, or move it away"
                    )
                    raise PermanentError(msg)
            schema = self._existing
        return kinds, schema


def kinds_of(
    layout: Layout, columns: Sequence[Sequence[Any]], *, zoned: bool = False
) -> dict[str, Kind]:
    """The column types, from the declared types and, where those say too little, the values.

    With `zoned`, times have a zone whatever the values say.
    """
    found = {}
    for name, values in zip(layout.names, columns, strict=True):
        hint = layout.hints[name] if name in layout.hints else seen_hint(values)
        found[name] = kind_of(hint, zoned=zoned or any(map(has_zone, values)))
    return found


def _schema_of(kinds: Mapping[str, Kind]) -> Any:
    """The Arrow schema of such columns."""
    import pyarrow as pa

    return pa.schema([arrow_field(name, kind) for name, kind in kinds.items()])


def arrow_field(name: str, kind: Kind, *, exact: bool = False) -> Any:
    """The Arrow field of a column; an `exact` one says of each part whether it may be missing."""
    import pyarrow as pa

    mark = {JSON_MARK: b"1"} if kind.json else None
    return pa.field(name, _arrow_type(kind, exact), kind.optional or not exact, mark)


def _table_of(kinds: Mapping[str, Kind], schema: Any, columns: Sequence[Sequence[Any]]) -> Any:
    """The columns as a table.

    Raises:
        ConversionError: a value does not fit its column; the message names the column.
    """
    import pyarrow as pa

    arrays = []
    for (name, kind), field, values in zip(kinds.items(), schema, columns, strict=True):
        try:
            arrays.append(pa.array(kind.column(values), type=field.type))
        except (ValueError, TypeError, OverflowError, AttributeError) as error:
            reason = str(error).splitlines()[0]
            msg = f"column {name!r} ({kind.sql}): {reason}"
            raise ConversionError(msg) from error
    return pa.Table.from_arrays(arrays, schema=schema)


def _arrow_type(kind: Kind, exact: bool) -> Any:
    import pyarrow as pa

    if isinstance(kind.shape, tuple):
        form, inner = kind.shape
        if form == "list":
            return pa.list_(arrow_field("item", inner, exact=exact))
        return pa.struct([arrow_field(name, k, exact=exact) for name, k in inner.items()])
    return {
        "int64": pa.int64,
        "double": pa.float64,
        "bool": pa.bool_,
        "string": pa.string,
        "binary": pa.binary,
        "date": pa.date32,
        "time": lambda: pa.time64("us"),
        "timestamp": lambda: pa.timestamp("us"),
        "timestamptz": lambda: pa.timestamp("us", "UTC"),
        "duration": lambda: pa.duration("us"),
        "decimal": lambda: pa.decimal128(38, 9),
    }[kind.shape]()
