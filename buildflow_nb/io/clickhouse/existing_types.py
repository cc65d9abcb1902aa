"""Values that the columns of a table that is there would hold as others.

ClickHouse wraps integers, rounds decimals, clamps days and stores nothing as nought, all without a
word; so values are compared with the types of the columns before they are sent.
Source: ClickHouse documentation, "Data types", "input_format_null_as_default".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from buildflow_nb.io.clickhouse.column_types import column_type
from buildflow_nb.io.columns.element_columns import Column
from buildflow_nb.io.columns.misfits import (
    DAY_US,
    beyond_bytes,
    not_decimal,
    not_float,
    not_integer,
    not_moment,
)

__all__ = ("ExistingColumn", "differing", "misfits")

_CALL = re.compile(r"^(\w+)\s*\((.*)\)$", re.DOTALL)
_INTEGER = re.compile(r"^(U?)Int(8|16|32|64|128|256)$")
_DIGITS = {"Decimal32": 9, "Decimal64": 18, "Decimal128": 38, "Decimal256": 76}
_SECOND_US = 1_000_000
_FIRST_US, _END_US = -25_567 * DAY_US, 120_530 * DAY_US  # of the years 1900 to 2299
_NANO_LAST_US = (2**63 - 1) // 1000
_FLOATS = {"Float64": (2**53, float("inf")), "Float32": (2**24, 3.4028234663852886e38)}
_KEEPS_NULL = ("Nullable", "Array", "Map", "Tuple", "Nested", "Variant", "Dynamic", "JSON")


class ExistingColumn(NamedTuple):
    """A column of a table: its type, and what it has where no value is given ("" for nothing)."""

    type: str
    default: str


def differing(
    existing: Mapping[str, ExistingColumn], columns: Sequence[Column]
) -> dict[str, ExistingColumn]:
    """The columns of a table that have other types than we would give them."""
    found = {}
    for name, kind, _ in columns:
        if _plain(existing[name].type) != _plain(column_type(kind)):
            found[name] = existing[name]
    return found


def misfits(table: Any, existing: Mapping[str, ExistingColumn]) -> Iterator[tuple[int, str]]:
    """Rows of an Arrow table with a value that its column would not hold, and why."""
    import pyarrow.compute as pc

    for name, (kind, default) in existing.items():
        values = table.column(name).combine_chunks()
        if values.null_count and not default and not _keeps_null(kind):
            reason = f"column {name!r} is {kind} in the table, where a value may not be missing"
            for row in pc.indices_nonzero(pc.is_null(values)).to_pylist():
                yield row, reason
        mask = _mask(values, kind)
        if mask is not None:
            reason = f"column {name!r} is {kind} in the table, which does not hold this value"
            for row in pc.indices_nonzero(mask).to_pylist():
                yield row, reason


def _keeps_null(kind: str) -> bool:
    outer, inner = _parted(kind)
    return outer in _KEEPS_NULL or (outer == "LowCardinality" and _keeps_null(inner))


def _mask(values: Any, kind: str) -> Any:
    """True where a value is held as another one; None where nothing is known against any."""
    import pyarrow as pa

    outer, inner = _parted(kind)
    if outer in ("Nullable", "LowCardinality"):
        return _mask(values, inner)
    if outer == "Array" and pa.types.is_list(values.type):
        return _mask_of_lists(values, inner)
    if (found := _INTEGER.match(outer)) is not None:
        bits = int(found[2])
        low, high = (0, 2**bits - 1) if found[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return not_integer(values, low, high)
    if outer.startswith("Decimal"):
        numbers = [int(number) for number in inner.split(",")]
        precision, scale = numbers if outer == "Decimal" else (_DIGITS[outer], numbers[0])
        return not_decimal(values, precision, scale)
    return _mask_of_plain(values, outer, inner)


def _mask_of_plain(values: Any, outer: str, inner: str) -> Any:
    found = None
    if outer == "Bool":
        found = not_integer(values, 0, 1)
    elif outer in _FLOATS:
        found = not_float(values, *_FLOATS[outer])
    elif outer == "FixedString":
        found = beyond_bytes(values, int(inner), letters=False)
    return _mask_of_moments(values, outer, inner) if found is None else found


def _mask_of_moments(values: Any, outer: str, inner: str) -> Any:
    if outer == "Date":
        return not_moment(values, 0, (2**16 - 1) * DAY_US, DAY_US)
    if outer == "Date32":
        return not_moment(values, _FIRST_US, _END_US - 1, DAY_US)
    if outer == "DateTime":
        return not_moment(values, 0, (2**32 - 1) * _SECOND_US, _SECOND_US)
    if outer == "DateTime64":
        digits = int(inner.partition(",")[0])
        last = min(_END_US - 1, _NANO_LAST_US if digits == 9 else _END_US)  # noqa: PLR2004
        return not_moment(values, _FIRST_US, last, 10 ** max(6 - digits, 0))
    return None


def _mask_of_lists(values: Any, inner: str) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    items = pc.list_flatten(values)
    mask = _mask(items, inner)
    if items.null_count and not _keeps_null(inner):
        missing = pc.is_null(items)
        mask = missing if mask is None else pc.or_(mask, missing)
    if mask is None:
        return None
    rows = pc.list_parent_indices(values).filter(mask)
    return pc.is_in(pa.array(range(len(values)), rows.type), value_set=rows)


def _parted(kind: str) -> tuple[str, str]:
    """A type's name, and what stands in its brackets."""
    found = _CALL.match(kind.strip())
    return (found[1], found[2].strip()) if found else (kind.strip(), "")


def _plain(kind: str) -> str:
    return re.sub(r"\s+", "", kind)
