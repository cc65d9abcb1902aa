"""A project's own folder, `.buildflow`: made for its owner only, never in git, written whole.

What lies there (stack state, positions of sources, recordings) is read again after kills and power
cuts. So a file is written beside its place, synced and renamed: whoever reads it finds the old
content or the new one, and never a part of it.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from buildflow_nb.core.errors import InfraError

__all__ = ("PRIVATE", "private_folder", "write_whole")

PRIVATE = ".buildflow"


def private_folder(project: Path) -> Path:
    """A project's own folder, made for its owner only and kept out of git.

    Raises:
        InfraError: it cannot be made.
    """
    folder = project / PRIVATE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        msg = f"the folder {folder} cannot be made ({error}); the project's files are kept there"
        raise InfraError(msg) from error
    return folder


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path`, readable by its owner only, whole or not at all, also in a power cut.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(file, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
