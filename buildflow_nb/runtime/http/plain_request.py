"""Reads a plain request out of what a connection received: the common case of a small body.

Plain is what can be told at one look, and means the same to every reader of HTTP (RFC 9112): one
request, whole, with nothing behind it, in printable ASCII, with each header once, no body or one of
the length that it says, and without a word about the connection, the transfer or its coding. What
is not plain is not refused: aiohttp's parser reads it, which knows all of HTTP. So this one must
never take what aiohttp would refuse, nor read it otherwise.
"""

from __future__ import annotations

import re
from functools import lru_cache

from aiohttp import HttpVersion11, hdrs
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy, istr
from yarl import URL

__all__ = ("LONGEST", "LONGEST_HEAD", "plain_request")

LONGEST_HEAD = 4096  # bytes; aiohttp's limit for a single line is twice as long
LONGEST = 64 * 1024  # bytes; aiohttp may pause the connection for more
MOST_LINES = 64  # of a head; aiohttp takes 128 headers
CACHED = 1024  # names of headers, and targets, whose reading is remembered

_PRINTABLE = bytes(range(0x20, 0x7F))
_LINE = re.compile(
    r"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (/(?!/)[\w!$%&'()*+,\-./:;=?@~]*) HTTP/1\.1",
    re.ASCII,
)
_NAME = re.compile(r"[a-z0-9-]+", re.IGNORECASE | re.ASCII)
# Headers that say how to read a message, or what becomes of its connection.
_OTHER = {
    *("connection", "content-encoding", "expect", "http2-settings", "keep-alive"),
    *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
}


def plain_request(data: bytes) -> tuple[RawRequestMessage, bytes] | None:
    """The request that these bytes are, and its body; None where they are not a plain one."""
    end = -1 if len(data) > LONGEST else data.find(b"\r\n\r\n", 0, LONGEST_HEAD)
    head = data[: max(end, 0)]
    ends = head.translate(None, _PRINTABLE)
    lines = head.decode("latin-1").split("\r\n")
    line = _request_line(lines[0])
    if line is None or ends != b"\r\n" * (len(lines) - 1) or len(lines) > MOST_LINES:
        return None
    if b" \r\n" in data[: end + 2]:
        return None
    pairs = []
    for field in lines[1:]:
        name, _, value = field.partition(": ")
        key = _header_name(name)
        if key is None:
            if field.lower() != "connection: keep-alive":  # HTTP/1.1 means that anyway
                return None
            key = hdrs.CONNECTION
        pairs.append((key, value.lstrip(" ")))
    headers = CIMultiDict(pairs)
    length = headers.get(hdrs.CONTENT_LENGTH, "0")
    body = data[end + 4 :]
    if len(set(headers)) < len(pairs) or hdrs.HOST not in headers:
        return None
    if not length.isdecimal() or len(body) != int(length):
        return None
    method, target, url = line
    proxy = CIMultiDictProxy(headers)
    message = RawRequestMessage(
        method, target, HttpVersion11, proxy, (), False, None, False, False, url
    )
    return message, body


@lru_cache(CACHED)
def _request_line(line: str) -> tuple[str, str, URL] | None:
    """The method, the target as it was sent, and as a URL."""
    found = _LINE.fullmatch(line)
    return None if found is None else (found[1], found[2], URL(found[2], encoded=True))


@lru_cache(CACHED)
def _header_name(name: str) -> istr | None:
    """A name that says nothing about the message or the connection."""
    known = _NAME.fullmatch(name) is not None and name.lower() not in _OTHER
    return istr(name) if known else None
