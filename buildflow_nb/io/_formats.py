"""Which format a file has, as it is given or as its ending tells."""

from __future__ import annotations

from pathlib import PurePosixPath

from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.types.portable import FileFormat

__all__ = ("format_of",)

_ENDINGS = {
    ".csv": FileFormat.CSV,
    ".json": FileFormat.JSON,
    ".jsonl": FileFormat.JSON,
    ".ndjson": FileFormat.JSON,
    ".parquet": FileFormat.PARQUET,
}


def format_of(
    path: str, given: FileFormat | str | None, default: FileFormat, owner: str
) -> FileFormat:
    """The format given, else that of the path's ending, else the default.

    Raises:
        DeclarationError: what is given is no format; `owner` opens the message.
    """
    if given is None:
        return _ENDINGS.get(PurePosixPath(path).suffix.lower(), default)
    try:
        return FileFormat(given)
    except ValueError as error:
        known = ", ".join(repr(member.value) for member in FileFormat)
        msg = f"{owner}: file_format must be one of {known}, got {given!r}"
        raise DeclarationError(msg) from error
