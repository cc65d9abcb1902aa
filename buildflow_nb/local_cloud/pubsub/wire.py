"""Protobuf's wire format, as far as deliveries need it.

A message is serialised once, when it is published, and every delivery of it is a join of bytes:
building and serialising response objects would cost ten times the rest of a delivery. The layout
is that of the protobuf documentation, "Encoding": a field is its number and type in one byte,
followed, for type 2 (LEN), by a varint length and the content.
"""

from __future__ import annotations

from functools import lru_cache

__all__ = ("length_delimited", "tag", "varint")

_LEN = 2  # wire type of strings, bytes and messages
_MORE = 0x80  # set on every byte of a varint but the last


@lru_cache(maxsize=8192)  # sizes repeat: a stream's messages are mostly alike
def varint(number: int) -> bytes:
    """Encode a number that is not negative."""
    out = bytearray()
    while number >= _MORE:
        out.append(number & 0x7F | _MORE)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(field: int, wire_type: int = _LEN) -> bytes:
    """Encode the head of a field."""
    return varint(field << 3 | wire_type)


def length_delimited(field: int, content: bytes) -> bytes:
    """Encode a field of type string, bytes or message."""
    return tag(field) + varint(len(content)) + content
