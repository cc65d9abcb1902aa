"""Which values of an Arrow array a narrower column of a store would hold as others.

Stores wrap, round, cut and clamp without a word. Each function gives a mask, true where a value is
not held as what it is, and None where it has nothing to say about values of that type. A value that
is missing fits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

__all__ = ("beyond_bytes", "not_decimal", "not_float", "not_integer", "not_moment", "taken")

DAY_US = 86_400_000_000
_INT64 = (-(2**63), 2**63 - 1)


def not_integer(values: Any, low: int, high: int) -> Any:
    """Numbers that are no whole number of `low` to `high`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_integer(kind):
        return _outside(values, max(low, _INT64[0]), min(high, _INT64[1]))
    if pa.types.is_floating(kind):
        broken = pc.or_(pc.is_nan(values), pc.not_equal(pc.floor(values), values))
        beyond = pc.or_(pc.less(values, float(low)), pc.greater_equal(values, float(high + 1)))
        return _filled(pc.or_(broken, beyond))
    if pa.types.is_decimal(kind):
        return _mask(values, lambda v: v != v.to_integral_value() or not low <= v <= high)
    return None


def not_decimal(values: Any, precision: int, scale: int) -> Any:
    """Numbers that have more than `scale` decimals, or more digits before them."""
    import pyarrow as pa

    kind, end = values.type, 10 ** (precision - scale)
    if pa.types.is_integer(kind):
        return _outside(values, max(1 - end, _INT64[0]), min(end - 1, _INT64[1]))
    if pa.types.is_floating(kind):
        return _mask(
            values,
            lambda v: not math.isfinite(v) or round(v, scale) != v or abs(Decimal(v)) >= end,
        )
    if pa.types.is_decimal(kind):
        if kind.scale <= scale and kind.precision - kind.scale <= precision - scale:
            return None  # the column is as wide
        return _mask(values, lambda v: round(v, scale) != v or abs(v) >= end)
    return None


def not_float(values: Any, whole: int, most: float) -> Any:
    """Numbers beyond `most`, and whole numbers beyond `whole`, which are rounded from there on."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(values.type):
        return _outside(values, -whole, whole)
    if pa.types.is_floating(values.type):
        beyond = pc.or_(pc.less(values, -most), pc.greater(values, most))
        return _filled(pc.and_(pc.is_finite(values), beyond))
    return None


def not_moment(values: Any, first_us: int, last_us: int, step_us: int) -> Any:
    """Days and moments out of a range, or between the steps; microseconds since 1970."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date(values.type):
        days = pc.cast(pc.cast(values, pa.date32()), pa.int32())
        found = pc.multiply(pc.cast(days, pa.int64()), DAY_US)
    elif pa.types.is_timestamp(values.type):
        zone = values.type.tz
        found = pc.cast(pc.cast(values, pa.timestamp("us", zone)), pa.int64())
    else:
        return None
    steps = pc.multiply(pc.divide(found, step_us), step_us)
    return pc.or_(_outside(found, first_us, last_us), _filled(pc.not_equal(steps, found)))


def beyond_bytes(values: Any, most: int, *, letters: bool) -> Any:
    """Texts of more than so many letters, or bytes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(values.type) and not pa.types.is_large_string(values.type):
        return None
    length = pc.utf8_length(values) if letters else pc.binary_length(values)
    return _filled(pc.greater(length, most))


def taken(table: Any, rows: Sequence[int]) -> Any:
    """These rows of an Arrow table, which may be none."""
    import pyarrow as pa

    return table.take(pa.array(rows, pa.int64()))


def _outside(values: Any, low: int, high: int) -> Any:
    import pyarrow.compute as pc

    return _filled(pc.or_(pc.less(values, low), pc.greater(values, high)))


def _filled(mask: Any) -> Any:
    import pyarrow.compute as pc

    return pc.fill_null(mask, False)


def _mask(values: Any, strange: Callable[[Any], bool]) -> Any:
    import pyarrow as pa

    found = (value is not None and strange(value) for value in values.to_pylist())
    return pa.array(found, pa.bool_())
