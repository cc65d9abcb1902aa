"""Content encodings of bodies: gzip and deflate, unpacked piece by piece between other requests.

What is broken, cut off or followed by something else is refused, never taken for the whole: gzip
carries a checksum and a length at its end (RFC 1952 section 2.3.1), zlib's form a checksum (RFC
1950 section 2.2). `deflate` means zlib's form (RFC 9110 section 8.4.1.2); the bare one, which some
clients send in its place, is taken, too. No piece is longer than `PIECE`, so a body that would fill
the memory is known before it has.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from buildflow_nb.runtime.http.errors import HttpError

__all__ = ("PIECE", "Unpacker", "coding_of", "unpacked_pieces")

PIECE = 64 * 1024  # bytes: a fraction of a millisecond
MEMBERS = 1024  # of a gzip body: one for 16 KiB is what parallel packers write
_FED = 16 * 1024  # bytes: zlib copies what it has not used of them, for each piece and member
_TELLING = 2  # bytes that tell the form of `deflate`
_BROKEN = "it does not unpack"
_CODINGS = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}  # RFC 9110 section 8.4.1.3
_GZIP, _ZLIB, _BARE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


def coding_of(said: Iterable[str]) -> str | None:
    """The encoding that values of `Content-Encoding` name, "gzip" or "deflate"; None for none.

    Raises:
        HttpError: it is another one, or several: 415.
    """
    names = [name.strip(" \t").lower() for value in said for name in value.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if not names:
        return None
    if len(names) == 1 and names[0] in _CODINGS:
        return _CODINGS[names[0]]
    shown = ", ".join(names)[:100].encode("ascii", "backslashreplace").decode()
    msg = f"a body in the encoding {shown!r} is not read; send it plain, in gzip or in deflate"
    raise HttpError(415, msg, {"Accept-Encoding": "gzip, deflate"}, close=True)


def unpacked_pieces(packed: bytes, coding: str) -> Iterator[bytes]:
    """What is packed, in pieces of at most `PIECE` bytes, some of them empty.

    Raises:
        ValueError: it is broken, cut off, or followed by something else; the pieces before that
            have been given.
    """
    unpacker = Unpacker(coding)
    yield from unpacker.feed(packed)
    yield from unpacker.end()


class Unpacker:
    """Unpacks a body that comes bit by bit; gives pieces of at most `PIECE` bytes, some empty."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._unpacking: zlib._Decompress | None = None
        self._members = 1
        self._begun = b""  # too few bytes yet to tell the form

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """What these bytes make.

        Raises:
            ValueError: it is broken, or followed by something else.
        """
        if self._unpacking is None:
            packed, self._begun = self._begun + packed, b""
            if len(packed) < _TELLING:
                self._begun = packed
                return
            self._unpacking = zlib.decompressobj(_form(packed, self._coding))
        for at in range(0, len(packed), _FED):
            yield from self._fed(packed[at : at + _FED], self._unpacking)

    def _fed(self, rest: bytes, unpacking: zlib._Decompress) -> Iterator[bytes]:
        try:
            while rest:
                if unpacking.eof:
                    self._members += 1
                    if self._coding != "gzip" or self._members > MEMBERS:
                        msg = "something follows its end"
                        raise ValueError(msg)
                    unpacking = self._unpacking = zlib.decompressobj(_GZIP)
                yield unpacking.decompress(rest, PIECE)
                rest = unpacking.unused_data if unpacking.eof else unpacking.unconsumed_tail
        except zlib.error as error:
            raise ValueError(_BROKEN) from error

    def end(self) -> Iterator[bytes]:
        """What is left.

        Raises:
            ValueError: it is broken or cut off.
        """
        unpacking = self._unpacking
        try:
            while unpacking and not unpacking.eof and (piece := unpacking.decompress(b"", PIECE)):
                yield piece
        except zlib.error as error:
            raise ValueError(_BROKEN) from error
        if unpacking is None or not unpacking.eof:
            msg = "it is cut off"
            raise ValueError(msg)


def _form(packed: bytes, coding: str) -> int:
    if coding == "gzip":
        return _GZIP
    # RFC 1950 section 2.2: method 8, and both bytes together a multiple of 31.
    is_zlib = packed[:1] and packed[0] & 0x0F == 8 and int.from_bytes(packed[:2], "big") % 31 == 0  # noqa: PLR2004
    return _ZLIB if is_zlib else _BARE
