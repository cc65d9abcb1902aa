"""Rows of an Arrow batch as dicts of Python values.

Column by column: several times faster than one row after the other. Only where a column holds a
value that Python does not have is it taken apart; the rows with such values fail alone. A value is
handed out whole or not at all: a moment with nanoseconds is not cut, a time of 24:00 is not 00:00.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from buildflow_nb.core.primitive import Malformed
from buildflow_nb.io.columns.arrow import JSON_MARK
from buildflow_nb.io.columns.arrow_values import values_of

__all__ = ("record_rows", "repeated")

Finish = Callable[[Any], Any]
_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_NANOSECONDS = "has nanoseconds, which Python's times have not; round it to microseconds"


def repeated(names: Sequence[str]) -> str | None:
    """A name that several columns have, which would hide one another in a dict."""
    return next((name for name in names if names.count(name) > 1), None)


def record_rows(batch: Any, finish: Mapping[str, Finish]) -> list[object]:
    """The rows of a record batch; `finish` is done to the values (not None) of some columns.

    A row with a value that Python does not have is a `Malformed`.
    """
    names = batch.schema.names
    faults: dict[int, str] = {}
    columns = [
        _column(column, field, finish.get(field.name), faults)
        for column, field in zip(batch.columns, batch.schema, strict=True)
    ]
    if not columns:
        return [{} for _ in range(batch.num_rows)]
    rows: list[object] = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    for i, reason in faults.items():
        rows[i] = Malformed(rows[i], reason)
    return rows


def _column(column: Any, field: Any, finish: Finish | None, faults: dict[int, str]) -> list[Any]:
    if finish is None and JSON_MARK in (field.metadata or {}):
        finish = json.loads
    with suppress(Exception):  # pyarrow and time zones raise errors of any kind
        return _values(column, finish)
    values = []
    for i in range(len(column)):
        one = column.slice(i, 1)
        try:
            values += _values(one, finish)
        except Exception as error:  # noqa: BLE001
            shown = _shown(one)
            values.append(shown)
            faults.setdefault(i, f"column {field.name!r}: {shown!r} {_reason(error)}")
    return values


def _values(column: Any, finish: Finish | None) -> list[Any]:
    import pyarrow as pa

    kind = column.type
    whole = _whole(kind)
    if whole is not kind:
        column = column.cast(whole)  # raises where that would cut a value
    if pa.types.is_time(kind):
        _demand_times(column, whole)
    values = values_of(column)
    finish = finish or _finish(kind)
    if finish is None:
        return values
    return [None if value is None else finish(value) for value in values]


def _whole(kind: Any) -> Any:
    """The type with microseconds in the place of nanoseconds; the same one if it has none."""
    import pyarrow as pa

    if getattr(kind, "unit", "") == "ns":
        if pa.types.is_timestamp(kind):
            return pa.timestamp("us", kind.tz)
        return pa.time64("us") if pa.types.is_time64(kind) else pa.duration("us")
    if pa.types.is_nested(kind) or pa.types.is_dictionary(kind):
        return _whole_within(kind)
    return kind


def _whole_within(kind: Any) -> Any:
    import pyarrow as pa

    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind):
        inner = _whole(kind.value_type)
        make = pa.list_ if types.is_list(kind) else pa.large_list
        return kind if inner is kind.value_type else make(kind.value_field.with_type(inner))
    if types.is_struct(kind):
        fields = [field.with_type(_whole(field.type)) for field in kind]
        same = all(new.type is old.type for new, old in zip(fields, kind, strict=True))
        return kind if same else pa.struct(fields)
    if types.is_map(kind):
        key, item = _whole(kind.key_type), _whole(kind.item_type)
        return kind if key is kind.key_type and item is kind.item_type else pa.map_(key, item)
    if types.is_dictionary(kind):
        inner = _whole(kind.value_type)
        return kind if inner is kind.value_type else inner
    return kind


def _demand_times(column: Any, kind: Any) -> None:
    """Raises: ValueError: a time is none of a day; pyarrow would take it modulo a day."""
    import pyarrow as pa
    import pyarrow.compute as pc

    number = pa.int32() if pa.types.is_time32(kind) else pa.int64()
    found = pc.min_max(column.cast(number)).as_py()
    if found["min"] is not None and (found["min"] < 0 or found["max"] >= _DAY[kind.unit]):
        msg = "is no time of a day"
        raise ValueError(msg)


def _finish(kind: Any) -> Finish | None:
    """What is left to do to values of a type, wherever in it; None for nothing."""
    import pyarrow as pa

    types = pa.types
    if types.is_interval(kind):
        return _timedelta
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        one = _finish(kind.value_type)
        if one is None:
            return None
        return lambda values: [None if value is None else one(value) for value in values]
    if types.is_struct(kind):
        each = {field.name: _finish(field.type) for field in kind}
        some = {name: finish for name, finish in each.items() if finish is not None}
        return (lambda value: _finished(value, some)) if some else None
    return None


def _finished(value: dict[str, Any], some: Mapping[str, Finish]) -> dict[str, Any]:
    changed = {name: one(value[name]) for name, one in some.items() if value[name] is not None}
    return {**value, **changed}


def _timedelta(value: Any) -> dt.timedelta:
    """Arrow's interval as a timedelta."""
    if value.months:
        msg = "has months, which are no fixed time; extract its parts, or give it in days"
        raise ValueError(msg)
    microseconds, rest = divmod(value.nanoseconds, 1_000)
    if rest:
        raise ValueError(_NANOSECONDS)
    return dt.timedelta(days=value.days, microseconds=microseconds)


def _shown(one: Any) -> object:
    """The only value of a column as text or bytes, for a person."""
    import pyarrow as pa

    for kind in (pa.string(), pa.binary(), pa.int64()):
        try:
            return one.cast(kind).to_pylist()[0]
        except Exception:  # noqa: BLE001, S112  (the next one may do)
            continue
    return str(one.type)


def _reason(error: Exception) -> str:
    import pyarrow as pa

    first = (str(error).splitlines() or [""])[0]
    if isinstance(error, pa.ArrowInvalid) and "would lose data" in first:
        return _NANOSECONDS
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8: {error.reason}"
    if isinstance(error, OverflowError):
        return "is out of range for Python, which has the years 1 to 9999"
    return (
        first if type(error) is ValueError else f"cannot be read: {type(error).__name__}: {first}"
    )
