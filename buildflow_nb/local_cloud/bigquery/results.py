"""What queries gave, and what is about to be read: Arrow files, from which pages are cut.

On the disk, and mapped into memory, so that a large result costs none; the oldest go when there are
too many. A result is found by the name of the anonymous table that Google would keep it in.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from buildflow_nb.core.project_folder import make_private

__all__ = ("RESULTS", "Results")

RESULTS = "_results"  # the dataset of anonymous tables; no other begins with a `_` of its own
KEPT_S = 24 * 3600.0  # as with Google: "Using cached query results"
MOST = 500
MOST_BYTES = 8 << 30
_NAME = re.compile(r"anon[0-9a-f]{32}")


class Results:
    """Arrow files in a folder, which is emptied first: what was asked can be asked again."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._folder = make_private(folder)
        self._lock = threading.Lock()

    def write(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> tuple[str, int]:
        """Keep record batches; gives the name of the result and how many rows it has."""
        name, rows = f"anon{uuid.uuid4().hex}", 0
        scratch = self._folder / f"{name}.new"
        try:
            with pa.OSFile(str(scratch), "wb") as file, pa.ipc.new_file(file, schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
                    rows += batch.num_rows
            scratch.rename(self._folder / name)
        finally:
            scratch.unlink(missing_ok=True)
        self._bound()
        return name, rows

    def read(self, name: str) -> pa.Table | None:
        """A result, mapped; None where it is gone, or never was."""
        if _NAME.fullmatch(name) is None:
            return None
        try:
            with pa.memory_map(str(self._folder / name)) as file:
                table: Any = pa.ipc.open_file(file).read_all()
                return table
        except FileNotFoundError:
            return None

    def _bound(self) -> None:
        with self._lock:
            found = [(path.stat(), path) for path in self._folder.glob("anon*") if not path.suffix]
            found.sort(key=lambda each: each[0].st_mtime, reverse=True)
            size = 0
            for count, (status, path) in enumerate(found):
                size += status.st_size
                old = status.st_mtime < time.time() - KEPT_S
                if count and (old or count >= MOST or size > MOST_BYTES):
                    path.unlink(missing_ok=True)
