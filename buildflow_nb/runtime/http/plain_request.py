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
MOST_DIGITS = 9  # of a length, which is LONGEST at most
MOST_LINES = 64  # of a head; aiohttp takes 128 headers
CACHED = 1024  # heads, and names of headers, whose reading is remembered

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


# Headers that hold no secret. A head of these alone, without a query, is remembered: a client sends
# the same one again and again.
_COMMON = {
    *("accept", "accept-encoding", "accept-language", "connection", "content-length"),
    *("content-type", "host", "origin", "referer", "user-agent"),
}
_known: dict[bytes, tuple[RawRequestMessage, int]] = {}


def plain_request(data: bytes) -> tuple[RawRequestMessage, bytes] | None:
    """The request that these bytes are, and its body; None where they are not a plain one."""
    end = -1 if len(data) > LONGEST else data.find(b"\r\n\r\n", 0, LONGEST_HEAD)
    head = data[: max(end, 0)]
    found = _known.get(head) or _read_head(head)
    if found is None:
        return None
    message, length = found
    body = data[end + 4 :]
    return (message, body) if len(body) == length else None


def _read_head(head: bytes) -> tuple[RawRequestMessage, int] | None:
    """A plain head, and the length of the body that it tells."""
    lines = head.decode("latin-1").split("\r\n")
    line = _LINE.fullmatch(lines[0])
    ends = head.translate(None, _PRINTABLE)
    if line is None or ends != b"\r\n" * (len(lines) - 1) or len(lines) > MOST_LINES:
        return None
    headers = _headers(lines[1:])
    if headers is None or hdrs.HOST not in headers or b" \r\n" in head + b"\r\n":
        return None
    length = headers.get(hdrs.CONTENT_LENGTH, "0")
    if not length.isdecimal() or len(length) > MOST_DIGITS:
        return None
    method, target = line.groups()
    proxy, url = CIMultiDictProxy(headers), URL(target, encoded=True)
    message = RawRequestMessage(
        method, target, HttpVersion11, proxy, (), False, None, False, False, url
    )
    if "?" not in target and _COMMON.issuperset(name.lower() for name in headers):
        if len(_known) >= CACHED:
            _known.clear()
        _known[head] = (message, int(length))
    return message, int(length)


def _headers(fields: list[str]) -> CIMultiDict[str] | None:
    pairs = []
    for field in fields:
        name, _, value = field.partition(": ")
        key = _header_name(name)
        if key is None:
            if field.lower() != "connection: keep-alive":  # HTTP/1.1 means that anyway
                return None
            key = hdrs.CONNECTION
        pairs.append((key, value.lstrip(" ")))
    headers = CIMultiDict(pairs)
    return headers if len(set(headers)) == len(pairs) else None


@lru_cache(CACHED)
def _header_name(name: str) -> istr | None:
    """A name that says nothing about the message or the connection."""
    known = _NAME.fullmatch(name) is not None and name.lower() not in _OTHER
    return istr(name) if known else None
