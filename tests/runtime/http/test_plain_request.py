"""What is read at one look, and that aiohttp reads the same in it."""

from __future__ import annotations

import asyncio
import random

import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser

from buildflow_nb.runtime.http.plain_request import (
    CACHED,
    LONGEST,
    LONGEST_HEAD,
    _known,
    plain_request,
)
from tests.faults.heads import attempt

POST = b"POST /x?a=%20b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"


def test_a_small_post():
    found = plain_request(POST + b"X-Y:   two words\r\n\r\nabc")
    assert found is not None
    message, body = found
    assert (message.method, message.path, body) == ("POST", "/x?a=%20b", b"abc")
    assert dict(message.headers) == {"Host": "localhost", "Content-Length": "3", "X-Y": "two words"}
    assert not message.should_close
    assert message.url.query["a"] == " b"


@pytest.mark.parametrize(
    "sent",
    [
        *(
            b"GET %s HTTP/1.1\r\nHost:  x\r\n\r\n" % target
            for target in b"/ /? /a//b /../x /a/. /?? /x?a&b=%ff&?/ /%2f/%ZZ/% /:80 /@ /&;=".split()
        ),
        b"DELETE /a/b;c=d HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n",
        POST + b"Cookie: a=b; c=d\r\n\r\n\x00\xff\n",
    ],
)
def test_plain_ones(sent):
    found = plain_request(sent)
    assert found is not None
    _same_as_aiohttp(sent, found)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        POST.replace(b": 3", b": %d" % LONGEST) + b"\r\n" + bytes(LONGEST),
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET // HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET //x/y HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nmore",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x \r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost:x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\x00y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\ry\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\ny: z\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\tb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nupgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 100 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nLong: " + b"a" * LONGEST_HEAD + b"\r\n\r\n",
        POST + b"\r\nab",
        POST + b"\r\nabcd",
        POST + b"content-length: 3\r\n\r\nabc",
        POST + b"Transfer-Encoding: chunked\r\n\r\nabc",
        POST + b"Content-Encoding: gzip\r\n\r\nabc",
        POST + b"Expect: 100-continue\r\n\r\nabc",
        POST.replace(b": 3", b": +3") + b"\r\nabc",
        POST.replace(b": 3", b": -3") + b"\r\nabc",
        POST.replace(b": 3", b": 3_0") + b"\r\n" + b"a" * 30,
        POST.replace(b": 3", b": " + b"9" * 4_000) + b"\r\nabc",
        POST.replace(b": 3", b": ") + b"\r\n",
    ],
)
def test_what_is_not_plain_is_left_to_aiohttp(sent):
    assert plain_request(sent) is None


def test_the_same_head_is_read_once_and_its_body_each_time():
    head = b"POST /once HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
    (first, one), (second, two) = plain_request(head + b"abc"), plain_request(head + b"xyz")
    assert first is second
    assert (one, two) == (b"abc", b"xyz")
    assert plain_request(head + b"ab") is None
    assert plain_request(head + b"abcd") is None


@pytest.mark.parametrize(
    "secret", [b"Authorization: Bearer x", b"Cookie: a=b", b"X-Api-Key: x", b"Sec-Any: x"]
)
def test_a_head_that_may_hold_a_secret_is_not_kept(secret):
    for head in (
        b"GET /secret HTTP/1.1\r\nHost: x\r\n" + secret + b"\r\n\r\n",
        b"GET /secret?token=x HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        (first, _), (second, _) = plain_request(head), plain_request(head)
        assert first is not second


def test_what_is_kept_of_heads_is_bounded():
    for number in range(CACHED + 10):
        assert plain_request(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
    assert len(_known) <= CACHED


def test_aiohttp_reads_the_same_in_whatever_is_taken():
    rng = random.Random(3)  # noqa: S311  (no secret)
    taken = 0
    for number in range(6_000):
        sent = b"".join(attempt(rng, b"<%d>" % number).pieces)
        if number % 2:
            at = rng.randrange(len(sent) + 1)
            sent = sent[:at] + rng.choice([b"\r", b"\n", b" ", b":", b"\x00", b"a"]) + sent[at:]
        found = plain_request(sent)
        if found is not None:
            taken += 1
            _same_as_aiohttp(sent, found)
    assert taken > 500


def _same_as_aiohttp(sent: bytes, found) -> None:
    message, body = found

    async def parsed():
        loop = asyncio.get_running_loop()
        parser = HttpRequestParser(
            BaseProtocol(loop),
            loop,
            2**16,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,
        )
        messages, upgraded, tail = parser.feed_data(sent)
        ((theirs, payload),) = messages
        assert not upgraded, sent
        assert not tail, sent
        assert payload.is_eof(), sent
        return theirs, payload.read_nowait()

    theirs, payload = asyncio.run(parsed())
    assert body == payload
    assert theirs.version == (1, 1)
    for name in ("method", "path", "should_close", "compression", "upgrade", "chunked", "url"):
        assert getattr(message, name) == getattr(theirs, name), (name, sent)
    assert list(message.headers.items()) == list(theirs.headers.items())
