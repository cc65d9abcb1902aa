"""An object into a file that only its owner can read: whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from buildflow_nb.core.errors import UsageError

__all__ = ("downloaded",)

PRIVATE = 0o600


def downloaded(
    path: Path, fetch: Callable[[Callable[[bytes], object]], object], *, overwrite: bool
) -> Path:
    """Write what is fetched beside its place, and move it there when it is whole.

    Raises:
        UsageError: something is there and shall stay, or nothing can be written there.
    """
    if path.exists() and not overwrite:
        msg = f"download: {path} is there; name another file, or say overwrite=True (--force)"
        raise UsageError(msg)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        try:
            with os.fdopen(number, "wb") as file:
                fetch(file.write)
            if path.exists() and not overwrite:
                msg = f"download: {path} is there by now; name another file"
                raise UsageError(msg)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        msg = f"download: {path} cannot be written: {error.strerror or error}"
        raise UsageError(msg) from error
    return path
