"""A data set of parts: each push becomes one object, whole by itself, that is never touched again.

Object stores cannot append. So a folder of parts is written, each with its header or schema, which
pandas, Polars, DuckDB and Spark read as one table. All parts of a sink have the same columns: those
of the declared type, or else of the first part.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from buildflow_nb.core.conversion.json_forms import json_lines
from buildflow_nb.core.errors import PartialPushError
from buildflow_nb.io.columns.arrow import Tables
from buildflow_nb.io.columns.layout import (
    Layout,
    declared_layout,
    seen_layout,
)
from buildflow_nb.io.files.csv import csv_header, csv_rows
from buildflow_nb.io.partial_push import ELEMENT_FAULTS, write_sound
from buildflow_nb.types.portable import FileFormat

__all__ = ("PartNames", "PartWriter", "Parts", "parts_of")


class Parts(Protocol):
    """Encodes pushes in one format; `keep` is told when the last one was written."""

    ending: str
    content_type: str

    def encode(self, items: Sequence[object]) -> bytes:
        """The items as a whole object.

        Raises:
            ConversionError: one cannot be written; the other `ELEMENT_FAULTS` too.
        """
        ...

    def keep(self) -> None:
        """Write later parts with the columns of the last one."""
        ...


class _CsvParts:
    ending = "csv"
    content_type = "text/csv; charset=utf-8"

    def __init__(self, element: object) -> None:
        self._layout = self._draft = declared_layout(element)

    def encode(self, items: Sequence[object]) -> bytes:
        layout: Layout = self._layout or seen_layout(items)
        body = csv_header(layout) + csv_rows(layout, items)
        self._draft = layout
        return body

    def keep(self) -> None:
        self._layout = self._draft


class _JsonParts:
    ending = "json"
    content_type = "application/x-ndjson"

    def encode(self, items: Sequence[object]) -> bytes:
        return json_lines(items)

    def keep(self) -> None:
        pass  # every line names its fields itself


class _ParquetParts:
    ending = "parquet"
    content_type = "application/vnd.apache.parquet"

    def __init__(self, element: object) -> None:
        self._tables = Tables(element)

    def encode(self, items: Sequence[object]) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = self._tables.make(self._tables.layout(items), items)
        with pa.BufferOutputStream() as stream:
            pq.write_table(table, stream)
            return bytes(stream.getvalue())

    def keep(self) -> None:
        self._tables.keep()


def parts_of(file_format: FileFormat, element: object) -> Parts:
    """The encoder of parts of this format, for elements of a declared type or of none."""
    if file_format is FileFormat.CSV:
        return _CsvParts(element)
    return _JsonParts() if file_format is FileFormat.JSON else _ParquetParts(element)


class PartNames:
    """Names of parts that sort by the time at which a sink wrote them, and never meet another's."""

    def __init__(self, folder: str, ending: str) -> None:
        self._prefix = f"{folder}/" if folder else ""
        self._ending = ending
        self._token = secrets.token_hex(4)  # two sinks may write at the same microsecond
        self._number = 0
        self._last = datetime.min.replace(tzinfo=UTC)

    def next(self) -> str:
        """The next name, as `folder/part-20260131T120000.123456Z-000001-1f2e3d4c.csv`."""
        self._last = max(self._last, datetime.now(UTC))  # a clock may be set back
        self._number += 1
        time = f"{self._last:%Y%m%dT%H%M%S.%f}Z"
        return f"{self._prefix}part-{time}-{self._number:06d}-{self._token}.{self._ending}"


class PartStore(Protocol):
    """A bucket, as a place to put objects."""

    def open(self) -> None:
        """Make the client, so that what is missing for it is told at once."""
        ...

    def put(self, name: str, body: bytes, content_type: str) -> None:
        """Put an object there, whole or not at all.

        Raises:
            TemporaryError: the bucket is missing, throttled or out of reach.
            PermanentError: it refuses us.
        """
        ...


class PartWriter:
    """Writes parts below `folder`, the beginning of their names; "" is the bucket's root."""

    def __init__(self, store: PartStore, folder: str, parts: Parts) -> None:
        self._store = store
        self._parts = parts
        self._names = PartNames(folder, parts.ending)

    def open(self) -> None:
        """Get the store ready."""
        self._store.open()

    def write(self, items: Sequence[object]) -> None:
        """Write the items as one object; raises what `put` does, too.

        Raises:
            PartialPushError: all were written but some.
        """
        body, partial = _sound_part(self._parts, items)
        if body is not None:
            self._store.put(self._names.next(), body, self._parts.content_type)
            self._parts.keep()
        if partial is not None:
            raise partial

    def close(self) -> None:
        """Nothing is held open."""


def _sound_part(
    parts: Parts, items: Sequence[object]
) -> tuple[bytes | None, PartialPushError | None]:
    """One part of all elements that can be written, and what to say of the others."""
    try:
        return parts.encode(items), None
    except ELEMENT_FAULTS:
        pass
    try:
        write_sound(items, parts.encode, ELEMENT_FAULTS)
    except PartialPushError as partial:
        sound = [item for i, item in enumerate(items) if i not in partial.failed]
        return (parts.encode(sound) if sound else None), partial
    return parts.encode(items), None
