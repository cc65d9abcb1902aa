"""Arrow tables of one schema, one for each push: what the parts of a data set need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from buildflow_nb.core.errors import ConversionError, PermanentError
from buildflow_nb.io._arrow import arrow_schema, arrow_table, kinds_of
from buildflow_nb.io._kinds import Kind
from buildflow_nb.io._layout import Layout, declared_layout, fitted_layout, seen_layout

__all__ = ("Tables",)


class Tables:
    """Makes tables; the columns are those of the declared type, or of the first table kept."""

    def __init__(self, element: object) -> None:
        self._layout = declared_layout(element)
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
        self._layout = fitted_layout(self._layout, existing.names, where)

    def layout(self, items: Sequence[object]) -> Layout:
        """The columns of a push."""
        return self._layout or seen_layout(items)

    def make(self, layout: Layout, items: Sequence[object]) -> Any:
        """The items as a table.

        Raises:
            ConversionError: an item does not fit; the other `ELEMENT_FAULTS` too.
            PermanentError: the declared types are others than those of what is there.
        """
        columns = layout.columns(items)
        kinds, schema = self._typed(layout, columns)
        table = arrow_table(kinds, schema, columns)
        self._draft = (layout, kinds, schema)
        return table

    def keep(self) -> None:
        """The last table is written: later ones have its columns."""
        if self._draft is not None:
            self._layout, self._kinds, self._schema = self._draft

    def _typed(
        self, layout: Layout, columns: Sequence[Sequence[Any]]
    ) -> tuple[dict[str, Kind], Any]:
        if self._schema is not None:
            return self._kinds, self._schema
        if not layout.names:
            msg = "the element has no fields"
            raise ConversionError(msg)
        kinds = kinds_of(layout, columns)
        schema = arrow_schema(kinds)
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
