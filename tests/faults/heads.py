"""Requests that no client should send: heads and bodies made of a seed, whole, odd and broken."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

__all__ = ("Attempt", "attempt")

METHODS = [*[b"POST"] * 24, *b"GET GET PUT HEAD DELETE OPTIONS PATCH TRACE CONNECT".split()]
ODD_METHODS = [
    b"get",
    b"",
    b"P\xffST",
    b"A" * 9_000,
    b"PRI",
    b"PROPFIND",
    b"POST POST",
    b"\x16\x03",
]
TARGETS = b"/raw /order /collect /request /stream /number/7 /runtime/status /runtime/drain".split()
ODD_TARGETS = [
    *b"/ * // /docs /openapi.json /docs/../x /% /%ff /%00 /number/%e9 /number/nan".split(),
    *b"http://localhost/order http:// http://[/x localhost:80 /order?id=%00&note=%ff".split(),
    *b"/order#x /number/1/2/3 http://localhost:x/ /?%3D /order?;;==&&".split(),
    *[b"", b"/a b", b"/number/\xff", b"/number/" + b"9" * 5_000, b"/\xf0\x9f\x98\x80"],
    *[b"/x?" + b"a=b&" * 900, b"/" + b"a" * 9_000],
]
VERSIONS = [*[b"HTTP/1.1"] * 12, *b"HTTP/1.0 HTTP/2.0 HTTP/0.9 HTTX/1.1 HTTP/1.10".split(), b""]
HOSTS = [*[b"localhost"] * 20, *b"evil.example [::1] [ a@b \xff 127.0.0.1:x".split(), b""]
ODD_LINES = rb"""Origin: null
Origin: http://localhost
Origin: https://evil.example
Sec-Fetch-Site: cross-site
Referer: http://[
Authorization:
Authorization: Bearer open sesame
Content-Type: application/json; charset=rot13
Content-Type: application/json; charset=idna
Content-Type: text/plain; charset=utf-16
Content-Type: text/plain; charset="
Content-Type: multipart/form-data
Content-Type: multipart/form-data; boundary=x
Content-Type: application/x-www-form-urlencoded
Content-Type: ;;;=
Expect: 100-continue
Upgrade: websocket
Connection: close
Connection: Upgrade
Host: localhost
Content-Length: 5
Content-Length: -1
Content-Length: +5
Content-Length: 1e3
Content-Length: 999999999999999999999999999999
Transfer-Encoding: gzip
Transfer-Encoding: chunked
Transfer-Encoding: chunked, chunked
Content-Encoding: foo
Content-Encoding: gzip
Content-Encoding: gzip, deflate
Content-Encoding: br
No colon
: none
 folded: line
X : space""".split(b"\n")
NOT_TEXT = (
    b"Origin Sec-Fetch-Site Referer Content-Type Expect Connection Transfer-Encoding Cookie "
    b"Content-Encoding Accept Range Upgrade X\xff"
).split()
ODD_LINES += [
    *[name + b": \xff\xfe/\xc3\x28" for name in NOT_TEXT],
    *[b"Authorization: Bearer \xff", b"X: a\x00b", b"X: a\rb", b"X" * 9_000 + b": y"],
    *[b"X: " + b"y" * 9_000, b"Cookie: " + b"a=b; " * 900, b"Connection: Upgrade\r\nUpgrade: h2c"],
]
CODINGS: list[tuple[bytes, Callable[[bytes], bytes]]] = [
    (b"gzip", gzip.compress),
    (b"deflate", zlib.compress),
]


@dataclass(frozen=True)
class Attempt:
    """Bytes as they are sent, one after the other.

    `body` is what a route may see of it: None where nothing may be seen, since it is broken. Where
    it is not `sure`, something else may have come of it on the way. `leaves` says that the client
    does not wait for an answer.
    """

    pieces: tuple[bytes, ...]
    body: bytes | None
    sure: bool
    leaves: bool


def attempt(rng: random.Random, mark: bytes) -> Attempt:
    """The next one; `mark`, which no other one has, begins some bodies; the others may be JSON."""
    body = _body(rng, mark)
    lines: list[bytes] = []
    sent, broken = body, False
    if rng.random() < 0.4:
        coding, pack = rng.choice(CODINGS)
        sent = pack(body)
        if rng.random() < 0.6:
            sent, broken = _hurt(rng, sent)
        lines.append(b"Content-Encoding: " + coding)
    return _assembled(rng, lines, sent, None if broken else body)


def _assembled(rng: random.Random, lines: list[bytes], sent: bytes, seen: bytes | None) -> Attempt:
    odd = rng.random() < 0.35
    method = rng.choice(ODD_METHODS if rng.random() < 0.1 else METHODS)
    target = rng.choice(ODD_TARGETS if odd and rng.random() < 0.4 else TARGETS)
    head = [b"%s %s %s" % (method, target, rng.choice(VERSIONS) if odd else VERSIONS[0])]
    head += [b"Host: " + (rng.choice(HOSTS) if odd else HOSTS[0]), *lines]
    if odd:
        head += rng.choices(ODD_LINES, k=rng.randrange(4))
    sure = not any(line.startswith(b"Content-Length") for line in head)
    framed = _framed(rng, head, sent)
    whole = b"\r\n".join(head) + b"\r\n\r\n" + framed
    if rng.random() < 0.05:
        whole, sure = _hurt(rng, whole)[0], False
    cuts = sorted(rng.randrange(len(whole) + 1) for _ in range(rng.randrange(3)))
    edges = [0, *cuts, len(whole)]
    pieces = tuple(whole[a:b] for a, b in pairwise(edges) if a < b)
    return Attempt(pieces, seen, sure, leaves=rng.random() < 0.15)


def _framed(rng: random.Random, head: list[bytes], sent: bytes) -> bytes:
    """The body as it goes over the wire, and what the head says of that."""
    way = rng.random()
    if way < 0.5:
        head.append(b"Content-Length: %d" % len(sent))
        return sent
    if way < 0.6:
        head.append(b"Content-Length: %d" % (len(sent) + rng.choice([1, 100, 2**24, 2**40])))
        return sent
    if way < 0.65:
        return sent  # of no length at all
    head.append(b"Transfer-Encoding: chunked")
    size = rng.choice([1, 7, 100, 5_000, max(len(sent), 1)])
    size = max(size, len(sent) // 50)
    parts = [sent[at : at + size] for at in range(0, len(sent), size)]
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    end = rng.choice(
        [b"0\r\n\r\n"] * 6 + [b"0\r\nX: y\r\n\r\n", b"", b"0\r\n", b"zz\r\n", b"-1\r\n"]
    )
    return chunked + end


def _body(rng: random.Random, mark: bytes) -> bytes:
    deep = rng.choice([10, 900, 5_000, 100_000])
    return (mark if rng.random() < 0.5 else b"") + rng.choice(
        [
            b"",
            b'{"id": 1}',
            b'{"id": 1, "note": "x"',
            b'{"id": 1e999}',
            b'{"id": NaN}',
            b'{"id": ' + b"9" * 5_000 + b"}",
            b'{"id": 1, "note": "\\ud800"}',
            b'{"id": 1, "note": "\xff"}',
            b'{"id":' * deep,
            b"[" * deep + b"]" * deep,
            b"\xef\xbb\xbf{}",
            b"id=1&id=2&note=%ff",
            b"a=1&" * 2_000,
            b"--x\r\n\r\n--x--\r\n",
            bytes(rng.choice([10, 100_000, 3_000_000])),
            rng.randbytes(rng.choice([1, 300, 70_000])),
        ]
    )


def _hurt(rng: random.Random, data: bytes) -> tuple[bytes, bool]:
    """Damaged somewhere; and whether it surely is."""
    at = rng.randrange(len(data))
    way = rng.randrange(4)
    if way == 0:
        return data[:at], True
    if way == 1:
        return data + rng.randbytes(3), True
    if way == 2:
        return data[: max(at, 10)] + rng.randbytes(40), True
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :], False
