"""Whether files and folders could be read and written, by looking alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from buildflow_nb.core.errors import PermanentError
from buildflow_nb.core.primitive import Malformed
from buildflow_nb.io.blocking import Reader

__all__ = ("first_of", "look_to_read", "look_to_write", "names_in")

# The kernel makes what is in there, and nobody else, whatever the bits of its folders say to root.
KERNELS = (Path("/proc"), Path("/sys"))


def first_of(make: Callable[[], Reader]) -> object | None:
    """The first element of a reader of its own, `None` where there is none.

    Raises:
        TemporaryError: nothing is there.
        PermanentError: it cannot be read.
    """
    reader = make()
    try:
        reader.open()
        batch = reader.read()
        return batch.items[0] if batch is not None and batch.items else None
    finally:
        reader.close()


def look_to_read(path: Path, make: Callable[[], Reader]) -> str:
    """Read the first element.

    Raises:
        TemporaryError: nothing is there.
        PermanentError: it cannot be read, or its first element makes no sense.
    """
    first = first_of(make)
    if first is None:
        return "can be read, and is empty"
    if isinstance(first, bytes):
        first = _json(first)
    if isinstance(first, Malformed):
        msg = f"the first row of {path} cannot be read: {first.reason}; mend it, or its file_format"
        raise PermanentError(msg)
    return "can be read, and its first row makes sense"


def _json(line: bytes) -> object:
    try:
        return msgspec.json.decode(line)
    except (ValueError, RecursionError) as error:
        return Malformed(line, f"not JSON: {error}")


def look_to_write(path: Path, *, folder_too: bool = False) -> str:
    """Look whether a file could be appended to or made; with `folder_too` it may be a folder.

    Raises:
        PermanentError: it could not.
    """
    if path.is_dir() and not folder_too:
        msg = f"{path} is a folder, and cannot be written as a file; name a file in it"
        raise PermanentError(msg)
    if path.exists():
        return _demand(path, "is there, and can be written")
    place = _nearest(path)
    if not place.is_dir():
        msg = f"{place} is a file where a folder should be; move it away, or name another place"
        raise PermanentError(msg)
    if any(place.resolve().is_relative_to(kernels) for kernels in KERNELS):
        msg = f"{path} cannot be made, since {place} is the kernel's; name another place"
        raise PermanentError(msg)
    folder = "" if place == path.parent else ", with its folder"
    return _demand(place, f"is made by the first push{folder}")


def _nearest(path: Path) -> Path:
    """The lowest thing above a path that is there."""
    return next(place for place in path.parents if place.exists())


def _writable(path: Path) -> bool:
    """Whether a file could be written, or something be made in a folder."""
    return os.access(path, os.W_OK | (os.X_OK if path.is_dir() else 0))


def _demand(place: Path, said: str) -> str:
    if not place.is_file() and not place.is_dir():
        msg = f"{place} is no regular file; name another"
        raise PermanentError(msg)
    if not _writable(place):
        msg = f"{place} cannot be written; make it writable for you, or name another place"
        raise PermanentError(msg)
    return said


def names_in(record: object) -> tuple[str, ...]:
    """The names in a first record, none where it has none."""
    return tuple(record) if isinstance(record, dict) else ()
