"""The beginning of a file or an object as a table, by reading no more than that takes.

CSV, JSON Lines and JSON are read from their first bytes, also where they are gzipped; of Parquet,
its footer and the first pages of its columns. So a look into 5 GB reads a few hundred kilobytes.
What is packed is opened a few rows at a time, and no further than a bound: the rows so far are
shown, and that there are more is said.
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
from buildflow_nb.io.files.parquet_values import shown_value
from buildflow_nb.io.looks import HEAD_BYTES, cell, record_content

__all__ = ("Ranged", "preview")

HEAD = 256 << 10  # bytes: a thousand lines of most files
MOST_PARQUET = 48 << 20  # bytes read of one, in all
MOST_UNPACKED = 64 << 20  # bytes of its rows, as they are once they are opened
MOST_BATCH = 64  # rows that are opened at once, fewer where they are large
BATCH_BYTES = 8 << 20
MOST_LETTERS = 8 << 20  # of all that is shown of it
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

    try:
        return _rows_of_parquet(what, most)
    except _TooMuchError:
        most_mb = f"{MOST_PARQUET >> 20} MB to read, or {MOST_UNPACKED >> 20} MB once they are open"
        said = f"Its first rows are not shown: they take more than {most_mb}."
        return Content(what.name, (), said=said)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        return Content(what.name, (), said=f"It is not Parquet, or it is damaged: {first}")


def _rows_of_parquet(what: Ranged, most: int) -> Content:
    import pyarrow.parquet as pq

    source = _File(what)
    about = pq.read_metadata(source)
    fields = list(about.schema.to_arrow_schema())
    names = [field.name for field in fields]
    # Arrow finds columns by name, and gives none where two have the same.
    wanted = names[:MOST_COLUMNS] if len(set(names)) == len(names) else None
    fields = fields[:MOST_COLUMNS]
    columns = tuple(
        Column(name, str(field.type)) for name, field in zip(_numbered(fields), fields, strict=True)
    )
    weight = _weight(about)
    if weight > MOST_UNPACKED:
        raise _TooMuchError
    rows: list[tuple[object, ...]] = []
    texts: dict[int, int] = {}
    letters, left = MOST_LETTERS, MOST_UNPACKED
    with pq.ParquetFile(
        source,
        metadata=about,
        read_dictionary=_texts(about.schema),
        buffer_size=BUFFER,
        pre_buffer=False,
    ) as file:
        size = max(1, min(most, MOST_BATCH, BATCH_BYTES // max(1, weight)))
        for batch in file.iter_batches(size, columns=wanted) if most else ():
            shown = batch.columns[:MOST_COLUMNS]
            for i in range(min(batch.num_rows, most - len(rows))):
                row = tuple(shown_value(column[i]) for column in shown)
                letters -= sum(len(one) for one in row if isinstance(one, str))
                rows.append(row)
                if letters < 0:
                    break
            left -= sum(_unpacked(j, column, texts) for j, column in enumerate(shown))
            if len(rows) >= most or left < 0 or letters < 0:
                break
    said = _first_of(len(rows), about.num_rows) if most else ""
    if len(rows) < min(most, about.num_rows):
        said += "; more of them are too large to be shown"
    return Content(what.name, columns, tuple(rows), said)


def _first_of(shown: int, total: int) -> str:
    return f"first {shown:,} of {total:,} rows" if total > shown else ""


def _numbered(fields: Sequence[Any]) -> list[str]:
    """Their names; of one that others have, too, all but the first with a number."""
    taken = {field.name for field in fields}
    seen: set[str] = set()
    found = []
    for field in fields:
        name, number = field.name, 1
        while name in seen or (number > 1 and name in taken):
            number += 1
            name = f"{field.name} ({number})"
        seen.add(name)
        found.append(name)
    return found


def _texts(schema: Any) -> list[str]:
    """The columns whose values can stay in their dictionaries, which rows point into."""
    found = (schema.column(i) for i in range(len(schema)))
    return [
        one.path
        for one in found
        if one.physical_type == "BYTE_ARRAY" and one.logical_type.type in ("STRING", "NONE")
    ]


def _weight(about: Any) -> int:
    """Bytes of a row of the first group, as the file says them."""
    if not about.num_row_groups:
        return 0
    group = about.row_group(0)
    return int(group.total_byte_size // max(1, group.num_rows))


def _unpacked(number: int, column: Any, texts: dict[int, int]) -> int:
    """Bytes of a column's values; what its rows point to counts once, and what comes to it."""
    import pyarrow as pa

    if not isinstance(column, pa.DictionaryArray):
        return int(column.nbytes)
    known, now = texts.get(number, 0), int(column.dictionary.nbytes)
    texts[number] = max(known, now)
    return int(column.indices.nbytes) + max(0, now - known)
