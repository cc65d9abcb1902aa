"""CSV files: rows of text out of a file, columns of values into one.

Format: RFC 4180 with a header, UTF-8 with or without a byte-order mark, any line ends. Reading
goes line by line through C (a file object, `bytes.decode`, `csv.reader`); a row that cannot be
parsed fails alone. Writing quotes where needed and ends lines with a line feed. Nothing in a field
means no value; what has no text form of its own (lists, dicts) is JSON.
"""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import io
import json
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, cast

from buildflow_nb.core.encode import json_bytes
from buildflow_nb.core.errors import PermanentError
from buildflow_nb.core.primitive import Batch, Malformed
from buildflow_nb.io._appender import Appender
from buildflow_nb.io._layout import (
    ELEMENT_FAULTS,
    Layout,
    declared_layout,
    fitted_layout,
    seen_layout,
    write_sound,
)
from buildflow_nb.io._paths import fault
from buildflow_nb.io._text_file import TextFile

__all__ = ("CsvReader", "CsvWriter", "csv_header", "csv_rows")

FIELD_BYTES = 1 << 28  # a quote that is never closed must not swallow a whole file
# Types whose text by `str` is what a reader expects.
_PLAIN = frozenset(
    {
        type(None),
        str,
        int,
        float,
        bool,
        dt.datetime,
        dt.date,
        dt.time,
        decimal.Decimal,
        uuid.UUID,
    }
)
Row = list[str] | Malformed


class CsvReader:
    """Reads a CSV file as dicts of text; a field that is one of `missing` counts as empty."""

    def __init__(self, path: str, missing: Sequence[str] = ()) -> None:
        self._path = path
        self._missing = frozenset(missing)
        self._file: TextFile | None = None
        self._rows: Iterator[list[str]] = iter(())
        self._header: list[str] = []
        self._bad_lines = 0
        self._line_of: Callable[[], int] = int

    def open(self) -> None:
        """Open the file and read its header."""
        self.close()
        self._file = TextFile(self._path)
        # The limit is the csv module's own and the same for all of the process; ours is higher.
        csv.field_size_limit(max(csv.field_size_limit(), min(FIELD_BYTES, sys.maxsize)))
        rows = csv.reader(map(bytes.decode, self._file.lines))
        self._rows = rows
        self._bad_lines = 0
        self._line_of = lambda: rows.line_num + self._bad_lines
        self._header = _header(self._path, rows)

    def read(self) -> Batch | None:
        """The next rows."""
        if self._file is None:
            return None
        while True:
            before = self._line_of()
            rows = self._take(self._file.batch)
            if not rows:
                return None
            batch = self._batch(rows, before + 1)
            self._file.advance(len(rows))
            if batch.items:
                return batch

    def left(self) -> int | None:
        """Rows left, guessed from their length so far."""
        return self._file.left() if self._file is not None else None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take(self, count: int) -> list[Row]:
        rows: list[Row] = []
        while len(rows) < count:
            try:
                rows.extend(islice(self._rows, count - len(rows)))  # keeps what came before a fault
                break
            except UnicodeDecodeError as error:
                self._bad_lines += 1
                rows.append(Malformed(error.object, f"not UTF-8: {error.reason}"))
            except csv.Error as error:
                rows.append(Malformed(None, f"not CSV: {error}"))
            except OSError as error:
                raise fault(error, self._path, "read") from error
        return rows

    def _batch(self, rows: list[Row], first: int) -> Batch:
        header, name = self._header, Path(self._path).name
        if self._missing:
            rows = [self._emptied(row) for row in rows]
        lengths = {len(row) if type(row) is list else -1 for row in rows}
        if lengths == {len(header)} and self._line_of() - first + 1 == len(rows):
            items = [dict(zip(header, row)) for row in cast("list[list[str]]", rows)]  # noqa: B905
            return Batch(items, origin=lambda i: f"{name} line {first + i}")
        starts = accumulate(map(_height, rows), initial=first)
        kept = [(line, self._item(row)) for line, row in zip(starts, rows, strict=False) if row]
        return Batch([item for _, item in kept], origin=lambda i: f"{name} line {kept[i][0]}")

    def _emptied(self, row: Row) -> Row:
        missing = self._missing
        if isinstance(row, Malformed) or missing.isdisjoint(row):
            return row
        return ["" if field in missing else field for field in row]

    def _item(self, row: Row) -> object:
        if isinstance(row, Malformed):
            return row
        if len(row) == len(self._header):
            return dict(zip(self._header, row, strict=True))
        return Malformed(row, f"{len(row)} columns, but the header has {len(self._header)}")


def _header(path: str, rows: Iterator[list[str]]) -> list[str]:
    """The first row that is not empty; none at all for an empty file.

    Raises:
        PermanentError: it cannot be parsed or names a column twice.
    """
    try:
        header = next((row for row in rows if row), [])
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"file {path} has a header that cannot be read: {error}"
        raise PermanentError(msg) from error
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        msg = f"file {path} has two columns named {min(twice)!r}; rename one in its header"
        raise PermanentError(msg)
    return header


def _height(row: Row) -> int:
    """How many lines of the file a row takes."""
    if isinstance(row, Malformed):
        return 1
    return 1 + sum(field.count("\n") for field in row)


class CsvWriter:
    """Appends to a CSV file; the header comes from the type, the file or the first push."""

    def __init__(self, path: str, element: object) -> None:
        self._path = path
        self._layout = declared_layout(element)
        self._appender = Appender(path)

    def open(self) -> None:
        """Make the file, mend it, and compare its header with the declared columns."""
        self._appender.mend()
        file = TextFile(self._path)
        try:
            header = _header(self._path, csv.reader(map(bytes.decode, file.lines)))
        finally:
            file.close()
        if header:
            self._layout = fitted_layout(self._layout, header, f"file {self._path}")

    def write(self, items: Sequence[object]) -> None:
        """Append the items as rows."""
        layout = self._layout or seen_layout(items)
        write_sound(items, lambda sound: self._append(layout, sound), ELEMENT_FAULTS)

    def close(self) -> None:
        """Nothing is held open."""

    def _append(self, layout: Layout, items: Sequence[object]) -> None:
        header, body = csv_header(layout), csv_rows(layout, items)
        self._appender.append(lambda size: body if size else header + body)
        self._layout = layout


def csv_header(layout: Layout) -> bytes:
    """The line that names the columns."""
    return _rendered([layout.names]).encode()


def csv_rows(layout: Layout, items: Sequence[object]) -> bytes:
    """The items as rows of these columns.

    Raises:
        ConversionError: an item has a field that is no column; the other `ELEMENT_FAULTS` too.
    """
    return _rendered(zip(*map(_texts, layout.columns(items)), strict=True)).encode()


def _rendered(rows: Iterable[Sequence[Any]]) -> str:
    rows = list(rows)
    text = _quoted(rows, csv.QUOTE_MINIMAL)
    # The csv module quotes a carriage return only where it ends lines itself.
    return _quoted(rows, csv.QUOTE_ALL) if "\r" in text else text


def _quoted(rows: Iterable[Sequence[Any]], quoting: Any) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n", quoting=quoting).writerows(rows)
    return buffer.getvalue()


def _texts(values: Sequence[Any]) -> Sequence[Any]:
    if set(map(type, values)) <= _PLAIN:
        return values
    return [value if type(value) in _PLAIN else _text(value) for value in values]


def _text(value: Any) -> Any:
    text = json_bytes(value).decode()
    return json.loads(text) if text.startswith('"') else text
