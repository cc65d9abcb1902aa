"""Paths as primitives keep them, the formats that they tell, and what errors of files mean."""

from __future__ import annotations

import errno
import os
from pathlib import Path, PurePath

from buildflow_nb.core.errors import (
    BuildFlowError,
    DeclarationError,
    PermanentError,
    TemporaryError,
)
from buildflow_nb.types.portable import FileFormat

__all__ = ("absolute", "fault", "format_of")


_ENDINGS = {
    ".csv": FileFormat.CSV,
    ".json": FileFormat.JSON,
    ".jsonl": FileFormat.JSON,
    ".ndjson": FileFormat.JSON,
    ".parquet": FileFormat.PARQUET,
}


def format_of(
    path: str, given: FileFormat | str | None, default: FileFormat | None, owner: str
) -> FileFormat:
    """The format given, else that of the path's ending, else the default.

    Raises:
        DeclarationError: there is none, or what is given is no format; `owner` opens the message.
    """
    known = ", ".join(repr(member.value) for member in FileFormat)
    if given is None:
        found = _ENDINGS.get(PurePath(path).suffix.lower(), default)
        if found is None:
            msg = f"{owner}: its ending is no format; give file_format, one of {known}"
            raise DeclarationError(msg)
        return found
    try:
        return FileFormat(given)
    except ValueError as error:
        msg = f"{owner}: file_format must be one of {known}, got {given!r}"
        raise DeclarationError(msg) from error


# What waiting cannot mend: somebody has to change the declaration or the machine.
_PERMANENT = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,  # a file where a folder should be made
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)


def absolute(path: str | os.PathLike[str]) -> str:
    """The path from the root, `~` resolved, links kept; relative paths start in this folder."""
    return os.path.abspath(Path(path).expanduser())  # noqa: PTH100  (Path keeps "..")


def fault(error: OSError, path: str, verb: str) -> BuildFlowError:
    """The error to raise for `error`; `verb` is what was tried ("read", "written")."""
    reason = error.strerror or str(error)
    msg = f"file {path} cannot be {verb}: {reason}"
    return PermanentError(msg) if error.errno in _PERMANENT else TemporaryError(msg)
