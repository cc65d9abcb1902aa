"""Paths as primitives keep them, and what an error of the file system means for a processor."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from buildflow_nb.core.errors import BuildFlowError, PermanentError, TemporaryError

__all__ = ("absolute", "fault")

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
