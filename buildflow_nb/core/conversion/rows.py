"""Rows of text made ready for conversion: CSV has no null and no nesting, types have both.

An empty cell means None where the field allows it; a field that is a list, a dict or a record
holds JSON; bytes are base64, also those of pydantic, which would take the text itself.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, get_origin

import msgspec

from buildflow_nb.core.conversion.annotations import arms_of, is_pydantic, is_record, optional_of
from buildflow_nb.core.conversion.fields_written import fields_read

__all__ = ("RowPreparation",)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RowPreparation:
    """The fields of a type whose text needs a look before it is converted."""

    nullable: frozenset[str]
    nested: frozenset[str]
    binary: frozenset[str] = frozenset()

    @classmethod
    def of(cls, hint: object) -> Self:
        """Find the nullable and the nested fields of a record type."""
        nullable: set[str] = set()
        nested: set[str] = set()
        binary: set[str] = set()
        for name, kind in fields_read(hint).items():
            inner, optional = optional_of(kind)
            if optional:
                nullable.add(name)
            if any(_holds_json(arm) for arm in arms_of(inner)):
                nested.add(name)
            if is_pydantic(hint) and inner is bytes:
                binary.add(name)
        return cls(frozenset(nullable), frozenset(nested), frozenset(binary))

    def one(self, row: Row) -> Row:
        """The row with None and nested values in place of text."""
        if self.nullable and "" in row.values():
            nullable = self.nullable
            row = {k: None if v == "" and k in nullable else v for k, v in row.items()}
        if self.nested:
            row = {
                k: msgspec.json.decode(v) if v and k in self.nested else v for k, v in row.items()
            }
        for name in self.binary:
            if row.get(name):
                row = {**row, name: base64.b64decode(row[name], validate=True)}
        return row

    def many(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Every row of a batch made ready."""
        if not self.nullable and not self.nested and not self.binary:
            return rows
        return [self.one(row) for row in rows]


def _holds_json(hint: object) -> bool:
    kind = get_origin(hint) or hint
    return kind in (list, dict, set, frozenset, tuple) or is_record(hint)
