"""Rows of an append in protobuf, by the descriptor that came with them, as Arrow.

Source: Storage Write API documentation, "Supported data types" (protocol buffers).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from buildflow_nb.local_cloud.bigquery.catalog import Table
from buildflow_nb.local_cloud.bigquery.cells import EPOCH, parse_value
from buildflow_nb.local_cloud.bigquery.refusal import invalid, not_served
from buildflow_nb.local_cloud.bigquery.types import Field

__all__ = ("ProtoRows",)

DAY = dt.date(1970, 1, 1)
_AS_TEXT = ("NUMERIC", "DATETIME", "TIME", "JSON")


class ProtoRows:
    """Reads rows whose form a descriptor says.

    Raises:
        RefusedError: the descriptor is wrong.
    """

    def __init__(self, descriptor: Any) -> None:
        file = descriptor_pb2.FileDescriptorProto(name="rows.proto", package="rows")
        file.syntax = "proto2"
        file.message_type.add().CopyFrom(descriptor)
        pool = descriptor_pool.DescriptorPool()
        try:
            pool.Add(file)
            found = pool.FindMessageTypeByName(f"rows.{descriptor.name}")
        except (TypeError, KeyError) as error:
            msg = f"Invalid proto schema: {error}"
            raise invalid(msg) from error
        self._row = message_factory.GetMessageClass(found)
        self._names = [field.name for field in found.fields]

    def table(self, rows: Sequence[bytes], table: Table) -> pa.Table:
        """The rows as Arrow.

        Raises:
            ValueError: they are not of the table's columns.
        """
        try:
            messages = [self._row.FromString(row) for row in rows]
        except DecodeError as error:
            msg = f"Invalid serialized row: {error}"
            raise ValueError(msg) from error
        known = {field.name.lower(): field for field in table.fields}
        columns = {}
        for name in self._names:
            field = known.get(name.lower())
            if field is None:
                msg = f"The source column {name} has no matching column in {table.ref}"
                raise ValueError(msg)
            convert = _reader(field)
            values = [_value(message, name, field, convert) for message in messages]
            columns[field.name] = pa.array(values, field.arrow)
        return pa.table(columns)


def _value(message: Any, name: str, field: Field, convert: Callable[[Any], Any] | None) -> Any:
    if field.repeated:
        values = getattr(message, name)
        return list(values) if convert is None else [convert(value) for value in values]
    if not message.HasField(name):
        return None
    value = getattr(message, name)
    return value if convert is None else convert(value)


def _reader(field: Field) -> Callable[[Any], Any] | None:
    """What turns a value into one that Arrow takes; None for nothing."""
    kind = field.type
    if kind == "RECORD":
        known = {part.name.lower(): (part, _reader(part)) for part in field.fields}

        def record(message: Any) -> dict[str, Any]:
            made = {}
            for each in message.DESCRIPTOR.fields:
                part, convert = known[each.name.lower()]
                made[part.name] = _value(message, each.name, part, convert)
            return made

        return record
    if kind == "TIMESTAMP":
        return lambda value: EPOCH + dt.timedelta(microseconds=_number(value, field))
    if kind == "DATE":
        return lambda value: DAY + dt.timedelta(days=_number(value, field))
    if kind in _AS_TEXT:
        return lambda value: _text(value, field)
    return None


def _number(value: Any, field: Field) -> int:
    if not isinstance(value, int):
        msg = f"{field.type} as {type(value).__name__} (column {field.name})"
        raise not_served(msg)
    return value


def _text(value: Any, field: Field) -> Any:
    if not isinstance(value, str):
        msg = f"{field.type} as {type(value).__name__} (column {field.name}); send text"
        raise not_served(msg)
    return parse_value(value, field.one)
