"""Parquet: one file, or a folder of parts as the writer makes it.

A Parquet file cannot be appended to. So the writer makes a folder (`out.parquet/`) with one part
for each push, which pandas, pyarrow, Polars and DuckDB read as one table. A part is written under
a hidden name, synced and renamed, so a reader sees whole parts only, whenever the writer is killed.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.primitive import Batch
from buildflow_nb.io.columns.arrow import Tables
from buildflow_nb.io.columns.arrow_rows import record_rows, repeated
from buildflow_nb.io.columns.layout import Layout
from buildflow_nb.io.files.paths import fault
from buildflow_nb.io.partial_push import ELEMENT_FAULTS, write_sound
from buildflow_nb.io.resuming.offset import Offset

__all__ = ("ParquetReader", "ParquetWriter")

BATCH_ROWS = 1_000
MARK_BYTES = 4_096  # of the end, where a Parquet file says what it holds


class ParquetReader:
    """Reads a Parquet file or folder as records, part after part.

    A part that is damaged, at its end or in a page, ends the reading for good; it is named.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._parts: dict[str, _Part] = {}
        self._batches: Iterator[tuple[Offset, Batch]] = iter(())
        self._left: int | None = None
        self.began = Offset()
        self.waits_for = ""  # whole parts only are there

    def open(self) -> None:
        """Find the parts and count their rows."""
        self.close()
        if not self._path.exists():
            msg = f"file {self._path} does not exist (yet); create it, or mend the path"
            raise TemporaryError(msg)
        folder = self._path.is_dir()
        paths = _parts(self._path) if folder else [self._path]
        self._parts = {path.name if folder else "": _looked_at(path) for path in paths}
        self._left = sum(part.rows for part in self._parts.values())
        self._batches = self._all_batches()

    def read(self) -> Batch | None:
        """The next records."""
        found = next(self._batches, None)
        if found is None:
            self._left = 0
            return None
        self.began, batch = found
        self._left = max(0, (self._left or 0) - len(batch.items))
        return batch

    @property
    def here(self) -> Offset:
        """The same: a mark is of the whole part."""
        return self.began

    def still(self, offset: Offset) -> bool:
        """Whether a part is what it was: its mark is of all of it."""
        part = self._parts.get(offset.piece)
        return part is not None and part.mark == dict(offset.at)

    def go_to(self, offset: Offset, number: int) -> bool:
        """Leave the rows before `number` out; False where the part is another one by now."""
        if not self.still(offset):
            return False
        part = self._parts[offset.piece]
        part.start = min(number, part.rows)
        self._left = max(0, (self._left or 0) - part.start)
        return True

    def left(self) -> int | None:
        """Records left, as the files say."""
        return self._left

    def close(self) -> None:
        """Close the part being read."""
        self._batches = iter(())

    def _all_batches(self) -> Iterator[tuple[Offset, Batch]]:
        for name, part in self._parts.items():
            if part.start < part.rows:
                yield from _batches(name, part)


@dataclass(slots=True)
class _Part:
    path: Path
    rows: int
    mark: dict[str, Any]
    start: int = 0


def _parts(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*.parquet") if not p.name.startswith((".", "_")))


def _looked_at(path: Path) -> _Part:
    """A part, by its last bytes; they hold what is in it, and where.

    Raises:
        PermanentError: it is no Parquet file, or two of its columns have one name.
    """
    import pyarrow.parquet as pq

    try:
        found = pq.read_metadata(path)
        names = found.schema.to_arrow_schema().names
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MARK_BYTES))
            seen = hashlib.blake2s(file.read(), digest_size=12).hexdigest()
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise fault(error, str(path), "read") from error
        msg = f"file {path} is not Parquet, or it is damaged: {_first_line(error)}"
        raise PermanentError(msg) from error
    twice = repeated(names)
    if twice is not None:
        msg = f"file {path} has two columns named {twice!r}; rename one where it is written"
        raise PermanentError(msg)
    return _Part(path, found.num_rows, {"size": size, "seen": seen})


def _batches(name: str, part: _Part) -> Iterator[tuple[Offset, Batch]]:
    import pyarrow.parquet as pq

    number, start = 0, part.start
    try:
        with pq.ParquetFile(part.path, page_checksum_verification=True) as file:
            groups, number = _groups_from(file.metadata, start)
            for found in file.iter_batches(BATCH_ROWS, row_groups=groups):
                first, number = number, number + found.num_rows
                if number > start:
                    rows = found.slice(max(0, start - first))
                    first = max(first, start)
                    items = record_rows(rows, {})
                    origin = _origin(part.path.name, first + 1)
                    yield Offset(name, first, part.mark, part.rows), Batch(items, origin=origin)
    except Exception as error:
        msg = (
            f"file {part.path} cannot be read on behind row {number}: {_first_line(error)}; it is "
            "damaged, or its disk is; write it anew"
        )
        raise PermanentError(msg) from error


def _groups_from(metadata: Any, start: int) -> tuple[list[int], int]:
    """The row groups from the one that holds a row on, and the number of their first row."""
    first = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if first + rows > start:
            return list(range(group, metadata.num_row_groups)), first
        first += rows
    return [], first


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _origin(name: str, first: int) -> Callable[[int], str]:
    return lambda i: f"{name} row {first + i}"


class ParquetWriter:
    """Writes each push as a part of a Parquet folder."""

    def __init__(self, path: str, element: object) -> None:
        self._path = Path(path)
        self._tables = Tables(element)
        self._token = secrets.token_hex(3)  # two writers may both make part 7

    def open(self) -> None:
        """Make the folder and compare the parts that are there with the declared columns."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._path.is_file():
            msg = f"{self._path} is a single Parquet file, which cannot grow; write elsewhere"
            raise PermanentError(msg)
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            parts = _parts(self._path)
            existing = pq.read_schema(parts[0]) if parts else None
        except pa.ArrowInvalid as error:
            msg = f"{parts[0]} is not Parquet; move it away"
            raise PermanentError(msg) from error
        except OSError as error:
            raise fault(error, str(self._path), "written") from error
        if existing is not None:
            self._tables.continue_from(existing, f"folder {self._path}")

    def write(self, items: Sequence[object]) -> None:
        """Write the items as one part."""
        layout = self._tables.layout(items)
        write_sound(items, lambda sound: self._write_part(layout, sound), ELEMENT_FAULTS)

    def close(self) -> None:
        """Nothing is held open."""

    def _write_part(self, layout: Layout, items: Sequence[object]) -> None:
        import pyarrow.parquet as pq

        table = self._tables.make(layout, items)
        number = _next_number(self._path)
        temporary = self._path / f".part-{number:05d}-{self._token}.tmp"
        try:
            with temporary.open("wb") as file:
                pq.write_table(table, file, write_page_checksum=True)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self._path / f"part-{number:05d}-{self._token}.parquet")
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise fault(error, str(self._path), "written") from error
        self._tables.keep()


def _next_number(folder: Path) -> int:
    numbers = [p.name.split("-")[1][:5] for p in folder.glob("part-*.parquet")]
    return max((int(n) for n in numbers if n.isdigit()), default=-1) + 1
