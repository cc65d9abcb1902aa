"""An object into a file that only its owner can read: whole, or not at all.

Names of objects are anybody's: one gives a file a name and never a place, so that what is not
told where to go is written into the folder that one is in, and nowhere else.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from buildflow_nb.core.errors import UsageError

__all__ = ("downloaded", "file_of")

PRIVATE = 0o600
MOST_BYTES = 255  # of a file's name, with most file systems
MOST_ENDING = 32  # bytes of an ending that a shortened name keeps
UNNAMED = "object"

Take = Callable[[bytes], object]


def file_of(key: str, to: str | Path | None) -> Path:
    """The file that an object goes to: `to`, in it where that is a folder, else by its own name.

    Raises:
        UsageError: `to` is no path.
    """
    if not to:
        return Path(_named(key))
    try:
        path = Path(to).expanduser()
        return path / _named(key) if path.is_dir() else path
    except (OSError, ValueError, RuntimeError) as error:  # too long, NUL, "~nobody"
        msg = f"download: {str(to)!r} is no place for a file: {_said(error)}; name another"
        raise UsageError(msg) from error


def _named(key: str) -> str:
    """A name for a file of an object: one that is legal, short enough, and leads nowhere."""
    last = key.rstrip("/").rpartition("/")[2].encode(errors="replace").decode()
    name = "".join(c if c.isprintable() and c not in (os.sep, os.altsep) else "_" for c in last)
    if name in ("", ".", ".."):
        return UNNAMED
    stem, dot, ending = name.rpartition(".")
    if len(name.encode()) <= MOST_BYTES:
        return name
    kept = f".{ending}" if dot and stem and len(ending.encode()) < MOST_ENDING else ""
    left = MOST_BYTES - len(kept.encode())
    return name.encode()[:left].decode(errors="ignore") + kept


def downloaded(path: Path, fetch: Callable[[Take], object], *, overwrite: bool) -> Path:
    """Write what is fetched beside its place, and move it there when it is whole.

    Raises:
        UsageError: something is there and shall stay, nothing can be written there, or not all of
            it could be fetched.
    """
    part = path.with_name(f".{os.getpid()}.{secrets.token_hex(4)}.part")  # fits beside any name
    try:
        _check_free(path, overwrite=overwrite)
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        try:
            with os.fdopen(number, "wb") as file:
                _fetched(path, fetch, file.write)
            _check_free(path, overwrite=overwrite)
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        msg = f"download: {str(path)!r} cannot be written: {_said(error)}"
        raise UsageError(msg) from error
    return path


def _check_free(path: Path, *, overwrite: bool) -> None:
    """Raise where something stays: also a link that leads nowhere, and a folder in any case."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        msg = f"download: {path} is a folder; name another file"
        raise UsageError(msg)
    if not overwrite:
        msg = f"download: {path} is there; name another file, or say overwrite=True (--force)"
        raise UsageError(msg)


def _fetched(path: Path, fetch: Callable[[Take], object], write: Take) -> None:
    """Fetch; a fault of the file's is raised as such, one of the network's as a refusal."""
    faults: list[OSError] = []

    def take(piece: bytes) -> None:
        try:
            write(piece)
        except OSError as error:
            faults.append(error)
            raise

    try:
        fetch(take)
    except Exception as error:
        if faults:
            raise faults[0] from error
        if isinstance(error, UsageError):
            raise
        msg = f"download: not all of what goes to {path} was fetched: {_said(error)}; try again"
        raise UsageError(msg) from error


def _said(error: Exception) -> str:
    """An error in a few words, on one line."""
    words = error.strerror if isinstance(error, OSError) else None
    return " ".join((words or str(error) or type(error).__name__).split())
