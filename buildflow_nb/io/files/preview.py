"""The beginning of a file or an object as a table, by reading no more than that takes.

CSV, JSON Lines and JSON are read from their first bytes, also where they are gzipped; of Parquet,
its footer and the first pages of its columns. So a look into 5 GB reads a few hundred kilobytes.
"""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from buildflow_nb.core.resource_look import Binary, Column, Content
from buildflow_nb.io.looks import HEAD_BYTES, cell, record_content

__all__ = ("Ranged", "preview")

HEAD = 256 << 10  # bytes: a thousand lines of most files
MOST_PARQUET = 48 << 20  # bytes read of one, in all
MOST_COLUMNS = 60
BUFFER = 64 << 10  # bytes of a column that are read at once
WBITS_GZIP = 31  # zlib's word for gzip's header
UTF8_MARK = b"\xef\xbb\xbf"
ENDINGS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "lines", ".ndjson": "lines", ".json": "json"}


@dataclass(frozen=True, slots=True)
class Ranged:
    """Something with `size` bytes, any `(start, length)` of which `read` gives; it may block."""

    name: str
    size: int
    read: Callable[[int, int], bytes]


def preview(what: Ranged, most: int) -> Content:
    """Its first rows; what is no table is told by its first line or bytes.

    Raises:
        BuildFlowError: it cannot be read.
    """
    if not what.size:
        return Content(what.name, (), said="It is empty.")
    head = what.read(0, min(HEAD, what.size))
    if head.startswith(b"PAR1"):
        return _parquet(what, most)
    cut = len(head) < what.size
    name = what.name.lower()
    if head.startswith(b"\x1f\x8b"):
        head, cut = _gunzipped(head)
        name = name.removesuffix(".gz")
    kind = next((kind for ending, kind in ENDINGS.items() if name.endswith(ending)), "")
    text = _text(head, cut=cut)
    if text is None:
        bare: tuple[object, ...] = (Binary(what.size, head[:HEAD_BYTES]),)
        return Content(what.name, (Column("bytes"),), (bare,), "It is no text, and no Parquet.")
    return _of_text(what.name, kind, text, most, cut=cut)


def _text(head: bytes, *, cut: bool) -> str | None:
    """The text of whole lines, None where it is none."""
    body = head.removeprefix(UTF8_MARK)
    end = body.rfind(b"\n") + 1 if cut else 0
    try:  # an array of JSON may be one line, which is cut within a letter
        text = body[:end].decode() if end else body.decode("utf-8", "ignore" if cut else "strict")
    except UnicodeDecodeError:
        return None
    return None if "\x00" in text else text


def _gunzipped(head: bytes) -> tuple[bytes, bool]:
    opened = zlib.decompressobj(WBITS_GZIP)
    with suppress(zlib.error):
        body = opened.decompress(head, HEAD)
        return body, not opened.eof
    return head, True


def _of_text(name: str, kind: str, text: str, most: int, *, cut: bool) -> Content:
    first = text.lstrip()[:1]
    if kind in ("csv", "tsv"):
        return _csv(name, text, most, "\t" if kind == "tsv" else ",", cut=cut)
    records = None
    if kind == "lines" or (not kind and first == "{"):
        records = _json_lines(text, most + 1)
    elif kind == "json" or (not kind and first == "["):
        records = _json(text, most + 1)
    if records:
        more = cut or len(records) > most
        return record_content(name, records[:most], None, _first(records[:most], more=more))
    lines = text.splitlines()
    shown = tuple((cell(line),) for line in lines[:most])
    return Content(name, (Column("text"),), shown, _first(shown, more=cut or len(lines) > most))


def _first(rows: Sequence[object], *, more: bool) -> str:
    return f"first {len(rows):,} rows" if more else ""


def _csv(name: str, text: str, most: int, delimiter: str, *, cut: bool) -> Content:
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        header = next(rows, [])
        found = list(islice(rows, most + 1))
    except csv.Error as error:
        return Content(name, (), said=f"It is not CSV: {error}.")
    more, found = cut or len(found) > most, found[:most]
    width = max(map(len, [header, *found]), default=0)
    names = [*header, *(f"column {i + 1}" for i in range(len(header), width))][:MOST_COLUMNS]
    cells = tuple(
        tuple(cell(row[i]) if i < len(row) else None for i in range(len(names))) for row in found
    )
    said = _first(cells, more=more)
    return Content(name, tuple(map(Column, names)), cells, said, named_by="header")


def _json_lines(text: str, most: int) -> list[Mapping[str, object]] | None:
    found: list[Mapping[str, object]] = []
    for line in islice(filter(str.strip, text.splitlines()), most):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return found or None
        found.append(value if isinstance(value, dict) else {"value": value})
    return found


def _json(text: str, most: int) -> list[Mapping[str, object]] | None:
    """The first elements of an array, or the one object; whole ones alone."""
    decoder, at = json.JSONDecoder(), 0
    body = text.lstrip()
    array = body.startswith("[")
    at = 1 if array else 0
    found: list[Mapping[str, object]] = []
    while len(found) < (most if array else 1):
        at += len(body[at:]) - len(body[at:].lstrip(" \t\r\n,"))
        try:
            value, at = decoder.raw_decode(body, at)
        except (ValueError, RecursionError):
            break
        found.append(value if isinstance(value, dict) else {"value": value})
    return found or None


class _File(io.RawIOBase):
    """A file over ranges, which reads no more than it may."""

    def __init__(self, what: Ranged) -> None:
        super().__init__()
        self._what = what
        self._at = 0
        self._left = MOST_PARQUET

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._what.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._what.size - self._at)
        count = left if size is None or size < 0 else min(size, left)
        if not count:
            return b""
        self._left -= count
        if self._left < 0:
            raise _TooMuchError
        found = self._what.read(self._at, count)
        self._at += len(found)
        return found

    def readinto(self, buffer: Any) -> int:
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


class _TooMuchError(OSError):
    """Showing its first rows would take more than a look may read."""


def _parquet(what: Ranged, most: int) -> Content:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(_File(what), buffer_size=BUFFER, pre_buffer=False) as file:
            names = file.schema_arrow.names[:MOST_COLUMNS]
            types = {name: str(file.schema_arrow.field(name).type) for name in names}
            total = file.metadata.num_rows
            batches = file.iter_batches(max(1, most), columns=names) if most else iter(())
            records = [row for batch in islice(batches, 1) for row in batch.to_pylist()]
    except _TooMuchError:
        said = f"Its first rows are not shown: they take more than {MOST_PARQUET >> 20} MB to read."
        return Content(what.name, (), said=said)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        return Content(what.name, (), said=f"It is not Parquet, or it is damaged: {first}")
    said = f"first {len(records):,} of {total:,} rows" if total > len(records) else ""
    return record_content(what.name, records, types, said)
