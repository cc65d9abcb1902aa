"""A look into a file of records, or a folder of parts: how large, since when, the first rows."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from buildflow_nb.core.errors import AbsentError, PermanentError
from buildflow_nb.core.resource_look import Asked, Content, Figure, Held, ResourceLook
from buildflow_nb.io.files.paths import fault
from buildflow_nb.io.files.preview import Ranged, preview
from buildflow_nb.io.looks import TAKES_NOTHING, rows_asked

__all__ = ("look_into_file",)

MOST_SHOWN = 1_000
MOST_PARTS = 100_000  # of a folder, that are counted


def look_into_file(path: Path, ending: str, empty: ResourceLook, asked: Asked) -> ResourceLook:
    """Look; blocks. `ending` says the format where the name does not ("orders" as ".csv").

    Raises:
        AbsentError: it is not there.
        PermanentError: it cannot be read.
    """
    try:
        found = path.stat()
        parts = _parts(path) if stat.S_ISDIR(found.st_mode) else None
        size = found.st_size if parts is None else sum(part.stat().st_size for part in parts)
    except FileNotFoundError as error:
        msg = f"file {path} does not exist (yet); what writes it?"
        raise AbsentError(msg) from error
    except OSError as error:
        raise fault(error, str(path), "read") from error
    written = datetime.fromtimestamp(found.st_mtime, UTC).astimezone()
    figures = [Figure("size", size, "bytes")]
    if parts is not None:
        figures.insert(0, Figure("parts", len(parts)))
    figures.append(Figure("last written", f"{written:%Y-%m-%d %H:%M:%S}"))
    most = rows_asked(asked, MOST_SHOWN)
    first = path if parts is None else next(iter(parts), None)
    content = (_previewed(first, ending, most),) if most and first is not None else ()
    return replace(
        empty,
        name=path.name,
        place=str(path),
        figures=tuple(figures),
        contents=content,
        notes=(TAKES_NOTHING,),
        held=Held("objects", 1 if parts is None else len(parts), bytes=size),
    )


def _parts(folder: Path) -> list[Path]:
    found = islice(folder.glob("*.parquet"), MOST_PARTS)
    return sorted(part for part in found if not part.name.startswith((".", "_")))


def _previewed(path: Path, ending: str, most: int) -> Content:
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for a writer
    except OSError as error:
        raise fault(error, str(path), "read") from error
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            msg = f"{path} is no regular file; name another"
            raise PermanentError(msg)
        name = path.name if path.suffix else f"{path.name}{ending}"
        ranged = Ranged(name, found.st_size, lambda at, count: os.pread(number, count, at))
        return replace(preview(ranged, most), title=path.name)
    finally:
        os.close(number)
