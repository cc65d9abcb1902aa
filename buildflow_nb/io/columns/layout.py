"""The columns of a sink's elements, and how to take a push apart into columns.

With a declared record type the columns are its fields as they are written, read by one C call per
value where nothing is to be made of it. Without one they are the keys of the first push, every
element being turned into a dict first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from buildflow_nb.core.conversion.annotations import class_of, is_record
from buildflow_nb.core.conversion.boundary import written
from buildflow_nb.core.conversion.encode import to_record
from buildflow_nb.core.conversion.fields_written import fields_written
from buildflow_nb.core.errors import ConversionError, PermanentError
from buildflow_nb.io.partial_push import ELEMENT_FAULTS

__all__ = (
    "Layout",
    "declared_layout",
    "fitted_layout",
    "seen_layout",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of columns, and the declared types of those that have one.

    `attributes` are those that hold the values; None where elements become dicts first.
    """

    names: tuple[str, ...]
    hints: Mapping[str, Any]
    attributes: Mapping[str, str] | None = None

    def columns(self, items: Sequence[object]) -> list[list[Any]]:
        """The values of the items, column by column.

        Raises:
            ConversionError: an item has a field that is no column, or cannot be read.
        """
        return written(self._columns, items)

    def _columns(self, items: Sequence[object]) -> list[list[Any]]:
        if self.attributes is not None:
            getters = [attrgetter(self.attributes[name]) for name in self.names]
            columns = [list(map(get, items)) for get in getters]
            if any(len(column) < len(items) for column in columns):
                msg = "a field raised StopIteration"  # which is an end to `map`
                raise ConversionError(msg)
            return columns
        records = [to_record(item) for item in items]
        known = set(self.names)
        for record in records:
            if not record.keys() <= known:
                self._refuse(record)
        return [[record.get(name) for record in records] for name in self.names]

    def ordered(self, names: Sequence[str]) -> Layout:
        """The same columns, in another order."""
        return replace(self, names=tuple(names))

    def _refuse(self, record: Mapping[str, Any]) -> None:
        extra = ", ".join(repr(name) for name in record if name not in self.names)
        msg = f"no column for field {extra}; the columns are {', '.join(self.names)}"
        raise ConversionError(msg)


def declared_layout(element: object) -> Layout | None:
    """The columns of a declared element type, `None` where the type does not say them."""
    if is_record(element) and not hasattr(element, "to_json"):
        found = fields_written(element)
        if found is None:
            return None
        return Layout(tuple(found.hints), found.hints, found.attributes)
    if class_of(element) in (str, int, float, bool, bytes):
        return Layout(("value",), {"value": element})
    return None


def fitted_layout(layout: Layout | None, names: Sequence[str], where: str) -> Layout:
    """The layout for what already has columns of these names; `where` opens the message.

    Raises:
        PermanentError: the declared columns are others.
    """
    if layout is None:
        return Layout(tuple(names), {})
    if set(layout.names) == set(names):
        return layout.ordered(names)
    msg = (
        f"{where} has the columns {', '.join(names)}, but the elements have "
        f"{', '.join(layout.names)}; write elsewhere, or move it away"
    )
    raise PermanentError(msg)


def seen_layout(items: Sequence[object]) -> Layout:
    """The columns of the first elements of a sink whose elements have no declared type."""
    names: dict[str, None] = {}
    for item in items:
        try:
            names.update(dict.fromkeys(to_record(item)))
        except ELEMENT_FAULTS:
            continue  # it will fail by itself when it is written
    return Layout(tuple(names), {})
