"""Which format a file has, as it is given or as its ending tells."""

from __future__ import annotations

from pathlib import PurePath

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
