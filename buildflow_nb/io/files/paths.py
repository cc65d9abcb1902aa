"""Paths as primitives keep them, the formats that they tell, and what is wrong with files.

A file that is no UTF-8 text is known by its first bytes, so that it is told by its name ("gzip")
instead of by the first byte that makes no sense, and so that nothing is appended to it.
"""

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

__all__ = ("UTF8_MARK", "absolute", "fault", "foreign", "format_of")

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


UTF8_MARK = b"\xef\xbb\xbf"
_SAVE = "save it as UTF-8"
_UNPACK = "unpack it first"
_OTHER = "name another file, or another file_format"
# The longer beginnings come first: UTF-32 begins like UTF-16.
_KINDS = (
    (b"\xff\xfe\x00\x00", "UTF-32", _SAVE),
    (b"\x00\x00\xfe\xff", "UTF-32", _SAVE),
    (b"\xff\xfe", "UTF-16", _SAVE),
    (b"\xfe\xff", "UTF-16", _SAVE),
    (b"\x1f\x8b", "gzip", _UNPACK),
    (b"BZh", "bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "zstd", _UNPACK),
    (b"\x04\x22\x4d\x18", "LZ4", _UNPACK),
    (b"PK\x03\x04", "a zip archive (a spreadsheet, say)", "unpack it, or save it as CSV"),
    (b"PAR1", "Parquet", _OTHER),
    (b"ARROW1", "Arrow", _OTHER),
    (b"Obj\x01", "Avro", _OTHER),
    (b"ORC", "ORC", _OTHER),
    (b"SQLite format 3\x00", "an SQLite database", _OTHER),
)
_DUCKDB = (8, b"DUCK")  # https://duckdb.org/docs/stable/internals/storage: behind a checksum
_FIRST_LETTERS = 4  # in UTF-16 without its mark each second byte of Latin text is zero


def foreign(start: bytes) -> tuple[str, str] | None:
    """What a file that begins like this is, and the cure; None where it may be text."""
    for mark, name, cure in _KINDS:
        # "ORC" and "BZh" may be letters of a text; nothing else in such a file is.
        if start.startswith(mark) and (len(mark) != len(b"ORC") or _is_binary(start)):
            return name, cure
    at, mark = _DUCKDB
    if start[at : at + len(mark)] == mark and _is_binary(start):
        return "a DuckDB database", "read it with DuckDBTable"
    if b"\x00" in start[:_FIRST_LETTERS]:
        return "no UTF-8 text (UTF-16 or UTF-32, or binary)", _SAVE
    return None


def _is_binary(start: bytes) -> bool:
    try:
        start[: -_FIRST_LETTERS or None].decode()  # a letter may be cut at the end
    except UnicodeDecodeError:
        return True
    return b"\x00" in start
