"""The values of an Arrow array as `to_pylist` gives them, times in a tenth of its time.

`to_pylist` makes numbers and texts fast, but an Arrow scalar of every date, time, moment and span
before it makes a Python one. Here these are made of the numbers that they are in Arrow, as counts
of a unit since 1970 ("Arrow Columnar Format", and `Schema.fbs` on Date, Time, Timestamp, Duration).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

__all__ = ("values_of",)

_EPOCH = dt.datetime(1970, 1, 1)
_EPOCH_DAY = _EPOCH.toordinal()
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}


def values_of(array: Any) -> list[Any]:
    """The values of an array, None where there is none.

    Raises:
        Exception: as `to_pylist`, where Python does not have a value.
    """
    import pyarrow as pa

    kind, types = array.type, pa.types
    if types.is_date32(kind):
        return _days(array.view(pa.int32()).to_pylist())
    unit = _MICROSECONDS.get(getattr(kind, "unit", ""))
    if unit is None:
        found: list[Any] = array.to_pylist()
        return found
    # Of the zones only UTC is as far from the epoch at any moment.
    if types.is_timestamp(kind) and kind.tz in (None, "UTC"):
        zone = pa.scalar(0, kind).as_py().tzinfo  # pyarrow's choice, by what is installed
        counts = array.view(pa.int64()).to_pylist()
        return _moments(counts, _EPOCH.replace(tzinfo=zone), unit)
    if types.is_duration(kind):
        return _spans(array.view(pa.int64()).to_pylist(), unit)
    if types.is_time(kind):
        number = pa.int32() if types.is_time32(kind) else pa.int64()
        moments = _moments(array.view(number).to_pylist(), _EPOCH, unit)
        return [None if moment is None else moment.time() for moment in moments]
    return list(array.to_pylist())


# In one line each, without a call for each value: that would double their time.


def _days(counts: Sequence[Any]) -> list[Any]:
    day = dt.date.fromordinal
    try:
        return [None if n is None else day(_EPOCH_DAY + n) for n in counts]
    except ValueError as error:
        raise OverflowError(str(error)) from error  # as of all times that Python does not have


def _moments(counts: Sequence[Any], epoch: dt.datetime, unit: int) -> list[Any]:
    return [None if n is None else epoch + timedelta(0, 0, n * unit) for n in counts]


def _spans(counts: Sequence[Any], unit: int) -> list[Any]:
    return [None if n is None else timedelta(0, 0, n * unit) for n in counts]
