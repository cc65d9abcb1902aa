"""Parquet: one file, or a folder of parts as the writer makes it.

A Parquet file cannot be appended to. So the writer makes a folder (`out.parquet/`) with one part
for each push, which pandas, pyarrow, Polars and DuckDB read as one table. A part is written under
a hidden name, synced and renamed, so a reader sees whole parts only, whenever the writer is killed.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from buildflow_nb.core.errors import PermanentError, TemporaryError
from buildflow_nb.core.primitive import Batch
from buildflow_nb.io._arrow import record_rows
from buildflow_nb.io._layout import ELEMENT_FAULTS, Layout, write_sound
from buildflow_nb.io._paths import fault
from buildflow_nb.io._tables import Tables

__all__ = ("ParquetReader", "ParquetWriter")

BATCH_ROWS = 1_000


class ParquetReader:
    """Reads a Parquet file or folder as records, part after part."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._batches: Iterator[Batch] = iter(())
        self._left: int | None = None

    def open(self) -> None:
        """Find the parts and count their rows."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._path.exists():
            msg = f"file {self._path} does not exist (yet); create it, or mend the path"
            raise TemporaryError(msg)
        parts = _parts(self._path) if self._path.is_dir() else [self._path]
        try:
            self._left = sum(pq.read_metadata(part).num_rows for part in parts)
        except pa.ArrowInvalid as error:
            msg = f"file {self._path} is not Parquet: {str(error).splitlines()[0]}"
            raise PermanentError(msg) from error
        except OSError as error:
            raise fault(error, str(self._path), "read") from error
        self._batches = _batches(parts)

    def read(self) -> Batch | None:
        """The next records."""
        try:
            batch = next(self._batches, None)
        except OSError as error:
            raise fault(error, str(self._path), "read") from error
        self._left = max(0, (self._left or 0) - len(batch.items)) if batch else 0
        return batch

    def left(self) -> int | None:
        """Records left, as the files say."""
        return self._left

    def close(self) -> None:
        """Close the part being read."""
        self._batches = iter(())


def _parts(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*.parquet") if not p.name.startswith((".", "_")))


def _batches(parts: Sequence[Path]) -> Iterator[Batch]:
    import pyarrow.parquet as pq

    for part in parts:
        start = 1
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                yield Batch(record_rows(batch, {}), origin=_origin(part.name, start))
                start += batch.num_rows


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
                pq.write_table(table, file)
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
