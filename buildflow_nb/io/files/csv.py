"""CSV files: rows of text out of a file, columns of values into one.

Format: RFC 4180 with a header, UTF-8 with or without a byte-order mark, any line ends. Reading
is done in C, some thousand lines at a time (see `csv_rows.py`); a row that cannot be parsed fails
alone. Writing quotes where needed and ends lines with a line feed. Nothing in a field
means no value; what has no text form of its own (lists, dicts) is JSON.
"""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import io
import json
import uuid
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any, cast

from buildflow_nb.core.conversion.json_forms import value_json
from buildflow_nb.core.conversion.text_rows import TextRows
from buildflow_nb.core.errors import PermanentError
from buildflow_nb.core.primitive import Batch, Malformed
from buildflow_nb.io.columns.layout import (
    Layout,
    declared_layout,
    fitted_layout,
    seen_layout,
)
from buildflow_nb.io.files.appender import Appender
from buildflow_nb.io.files.csv_rows import CsvRows, Row, Rows
from buildflow_nb.io.files.paths import UTF8_MARK
from buildflow_nb.io.files.text_file import TextFile
from buildflow_nb.io.partial_push import ELEMENT_FAULTS, write_sound

__all__ = ("CsvFormat", "CsvWriter", "csv_header", "csv_rows")

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


class CsvFormat:
    """Rows of text, dicts to whoever looks at one; a field of `missing` counts as empty."""

    def __init__(self, missing: Sequence[str] = ()) -> None:
        self._missing = frozenset(missing)
        self._rows: CsvRows
        self._header: list[str] = []

    def begin(self, file: TextFile) -> int:
        """Read the header."""
        self._rows = CsvRows(file.take, file.give_back)
        self._header, lines = csv_names(file.path, self._rows)
        return lines

    def read(self, file: TextFile, line: int) -> tuple[Batch, int]:
        """The next rows."""
        found = self._rows.next(file.batch)
        return self._batch(found, line, file.name), found.lines

    def _batch(self, found: Rows, first: int, name: str) -> Batch:
        header, rows, starts = self._header, found.rows, found.starts
        lengths = {len(row) if type(row) is list else -1 for row in rows}
        if lengths == {len(header)}:
            items = TextRows(header, cast("list[list[str]]", rows), self._missing)
            return Batch(items, origin=lambda i: f"{name} line {first + starts[i]}")
        if self._missing:
            rows = [self._emptied(row) for row in rows]
        kept = [(start, self._item(row)) for start, row in zip(starts, rows, strict=True) if row]
        items_of_many = [item for _, item in kept]
        return Batch(items_of_many, origin=lambda i: f"{name} line {first + kept[i][0]}")

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


def csv_names(path: str, rows: CsvRows) -> tuple[list[str], int]:
    """The first row that is not empty, none for an empty file, and how many lines were read.

    Raises:
        PermanentError: it cannot be parsed or names a column twice.
    """
    read = 0
    while True:
        found = rows.next(1)
        read += found.lines
        if not found.lines:
            return [], read
        (header,) = found.rows
        if isinstance(header, Malformed):
            msg = f"file {path} has a header that cannot be read: {header.reason}"
            raise PermanentError(msg)
        twice = {name for name in header if header.count(name) > 1}
        if twice:
            msg = f"file {path} has two columns named {min(twice)!r}; rename one in its header"
            raise PermanentError(msg)
        if header:
            return header, read


class CsvWriter:
    """Appends to a CSV file; the header comes from the type, the file or the first push.

    A file that cannot be continued is refused, and left as it is.
    """

    def __init__(self, path: str, element: object) -> None:
        self._path = path
        self._layout = declared_layout(element)
        self._appender = Appender(path, self._look)

    def open(self) -> None:
        """Make the file, or compare its header with the declared columns, and mend it."""
        self._appender.mend()

    def write(self, items: Sequence[object]) -> None:
        """Append the items as rows."""
        layout = self._layout or seen_layout(items)
        write_sound(items, lambda sound: self._append(layout, sound), ELEMENT_FAULTS)

    def close(self) -> None:
        """Nothing is held open."""

    def _look(self, start: bytes) -> None:
        """Compare the header of the file, of which this is the beginning.

        Raises:
            PermanentError: it is another one, or none.
        """
        file = io.BytesIO(start.removeprefix(UTF8_MARK))
        rows = CsvRows(lambda count: list(islice(file, count)), partial(_rewind, file))
        header, _ = csv_names(self._path, rows)
        if header:
            self._layout = fitted_layout(self._layout, header, f"file {self._path}")

    def _append(self, layout: Layout, items: Sequence[object]) -> None:
        header, body = csv_header(layout), csv_rows(layout, items)
        self._appender.append(lambda size: body if size else header + body)
        self._layout = layout


def _rewind(file: io.BytesIO, spare: Sequence[bytes]) -> None:
    file.seek(-sum(map(len, spare)), io.SEEK_CUR)


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
    text = value_json(value).decode()
    return json.loads(text) if text.startswith('"') else text
