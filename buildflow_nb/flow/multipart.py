"""A form with files as a body (RFC 7578), for the client of a flow's routes.

Files are read as they are sent, so that a long one never is in memory as a whole.
"""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ("File", "file_of", "multipart")

PIECE = 64 * 1024  # bytes that are read at once


@dataclass(frozen=True, slots=True)
class File:
    """A file to be sent: what is in it, or where it is."""

    name: str
    content: bytes | Path

    @property
    def size(self) -> int:
        """Bytes."""
        found = self.content
        return len(found) if isinstance(found, bytes) else found.stat().st_size

    @property
    def kind(self) -> str:
        """Its content type, by its name."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"

    def pieces(self) -> Iterator[bytes]:
        """What is in it."""
        if isinstance(self.content, bytes):
            yield self.content
            return
        with self.content.open("rb") as opened:
            while piece := opened.read(PIECE):
                yield piece


def file_of(given: object) -> File:
    """A file as people give it: a path, bytes, or a name with bytes.

    Raises:
        TypeError: it is something else.
        OSError: there is no such file.
    """
    if isinstance(given, (str, Path)):
        path = Path(given)
        path.stat()
        return File(path.name, path)
    if isinstance(given, (bytes, bytearray)):
        return File("file", bytes(given))
    if isinstance(given, tuple) and len(given) == 2:  # noqa: PLR2004
        name, content = given
        if isinstance(name, str) and isinstance(content, (bytes, bytearray, Path)):
            return File(name, content if isinstance(content, Path) else bytes(content))
    msg = f"a file is a path, bytes, or (name, bytes), not {type(given).__name__}"
    raise TypeError(msg)


def multipart(
    fields: Iterable[tuple[str, str]], files: Iterable[tuple[str, File]]
) -> tuple[Iterable[bytes], dict[str, str]]:
    """The body, in pieces, and the headers that tell of it."""
    boundary = secrets.token_hex(16)
    parts: list[bytes | File] = []
    for name, text in fields:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n'
        parts.append(head.encode() + text.encode() + b"\r\n")
    for name, file in files:
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"; '
            f'filename="{_quoted(file.name)}"\r\nContent-Type: {file.kind}\r\n\r\n'
        )
        parts += [head.encode(), file, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    size = sum(part.size if isinstance(part, File) else len(part) for part in parts)
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(size),
    }
    return _pieces(parts), headers


def _pieces(parts: Iterable[bytes | File]) -> Iterator[bytes]:
    for part in parts:
        if isinstance(part, File):
            yield from part.pieces()
        else:
            yield part


def _quoted(name: str) -> str:
    """A name as browsers write it (WHATWG HTML section 4.10.22.8)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
