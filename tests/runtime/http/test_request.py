"""Bodies: packed, broken, and left in the middle, for every kind of route."""

from __future__ import annotations

import asyncio
import io
import logging
import zlib

import pytest

from buildflow_nb.runtime.http import request as requests
from buildflow_nb.runtime.http.encoding import MEMBERS, PIECE, unpacked_pieces
from buildflow_nb.runtime.http.request import BODY_LIMIT
from tests.runtime.http.bodies import PACKED, PLAIN, begin, chunks, every_kind, mount, raw, zipped
from tests.runtime.http.site import Site, controlled, serve, until


def bare(data: bytes) -> bytes:
    """Without zlib's head and checksum, as some clients send what they call deflate."""
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(data) + packing.flush()


HALF = zipped(PLAIN[:1_000]) + zipped(PLAIN[1_000:])
ENCODINGS = [
    ("gzip", PACKED, 200),
    ("GZip", PACKED, 200),
    ("x-gzip", PACKED, 200),
    (" gzip ,identity", PACKED, 200),
    ("identity", PLAIN, 200),
    ("", PLAIN, 200),
    ("gzip", HALF, 200),
    ("deflate", zlib.compress(PLAIN), 200),
    ("deflate", bare(PLAIN), 200),
    ("foo", PLAIN, 415),
    ("br", PLAIN, 415),
    ("zstd", PLAIN, 415),
    ("compress", PLAIN, 415),
    ("gzip, gzip", zipped(PACKED), 415),
    ("gzip, foo", PACKED, 415),
    ("gzip;q=1", PACKED, 415),
    ("\u00e9", PLAIN, 415),
    ("gzip", PLAIN, 400),
    ("gzip", b"", 400),
    ("gzip", PACKED[: len(PACKED) // 2], 400),
    ("gzip", PACKED[:-8], 400),
    ("gzip", PACKED[:-1], 400),
    ("gzip", PACKED[:-8] + bytes(8), 400),
    ("gzip", PACKED + b"more", 400),
    ("gzip", PACKED + bytes(8), 400),
    ("gzip", HALF[:-1], 400),
    ("gzip", zlib.compress(PLAIN), 400),
    ("deflate", PACKED, 400),
    ("deflate", zlib.compress(PLAIN)[:-1], 400),
    ("deflate", zlib.compress(PLAIN)[:-4] + bytes(4), 400),
    ("deflate", zlib.compress(PLAIN) * 2, 400),
    ("deflate", bare(PLAIN)[:-1], 400),
    ("deflate", bare(PLAIN) + b"more", 400),
    ("gzip", zipped(b"") * (MEMBERS + 1), 400),
    ("gzip", zipped(bytes(BODY_LIMIT + 1)), 413),
    ("deflate", zlib.compress(bytes(BODY_LIMIT + 1)), 413),
]


@every_kind
def test_a_body_is_whole_or_refused(kind):
    async def scenario(site: Site):
        unit = await mount(site, kind)
        for coding, sent, status in ENCODINGS:
            headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
            for data in (sent, chunks(sent)):
                path = "/shop/x" if kind == "service" else "/x"
                reply = await site.ask("POST", path, data=data, headers=headers)
                assert reply.status == status, (coding, sent[:40])
                if status == 415:
                    assert reply.headers["Accept-Encoding"] == "gzip, deflate"
                elif status == 200 and kind != "collector":
                    assert reply.json == 7
        assert site.held == 0
        assert not unit.ledger.failures

    serve(scenario)


@pytest.mark.parametrize(
    ("coding", "packed"),
    [("gzip", PACKED), ("gzip", HALF), ("deflate", zlib.compress(PLAIN)), ("deflate", bare(PLAIN))],
)
def test_no_beginning_is_taken_for_the_whole(coding, packed):
    assert b"".join(unpacked_pieces(packed, coding)) == PLAIN
    whole_too = {len(zipped(PLAIN[:1_000]))} if packed is HALF else set()
    for end in set(range(len(packed))) - whole_too:
        with pytest.raises(ValueError, match="cut off"):
            list(unpacked_pieces(packed[:end], coding))


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE])
@pytest.mark.parametrize("pack", [zipped, zlib.compress, bare])
def test_what_is_unpacked_comes_in_small_pieces(size, pack):
    data = bytes(size)
    coding = "gzip" if pack is zipped else "deflate"
    pieces = list(unpacked_pieces(pack(data), coding))
    assert b"".join(pieces) == data
    assert max(map(len, pieces), default=0) <= PIECE


def test_a_bomb_is_unpacked_to_the_limit_and_no_further(monkeypatch):
    given = 0

    def counted(packed: bytes, coding: str):
        nonlocal given
        for piece in unpacked_pieces(packed, coding):
            given += len(piece)
            yield piece

    async def scenario(site: Site):
        await site.endpoint(raw)
        bomb = zipped(bytes(6 * BODY_LIMIT))
        turns = 0

        async def beat():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beating = asyncio.create_task(beat())
        reply = await site.ask("POST", data=bomb, headers={"Content-Encoding": "gzip"})
        beating.cancel()
        assert reply.status == 413
        assert given <= BODY_LIMIT + PIECE
        assert turns >= BODY_LIMIT // PIECE  # others had a turn after each piece

    monkeypatch.setattr(requests, "unpacked_pieces", counted)
    serve(scenario)


BEGINNINGS = [
    (b"Content-Length: 100\r\n", b"x" * 50),
    (b"Content-Length: 100\r\n", b""),
    (b"Content-Length: 100\r\nExpect: 100-continue\r\n", b""),
    (b"Content-Length: 100\r\nContent-Encoding: gzip\r\n", b"\x1f\x8b"),
    (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n"),
    (b"Transfer-Encoding: chunked\r\n", b"5\r\nhe"),
    (b"Transfer-Encoding: chunked\r\n", b""),
]


@every_kind
def test_a_client_that_leaves_is_not_worth_a_word(kind, caplog):
    caplog.set_level(logging.INFO)

    async def scenario(site: Site):
        unit = await mount(site, kind)
        for head, sent in BEGINNINGS:
            for leave in ("abort", "close"):
                _, writer = await begin(site, kind, unit, head, sent)
                getattr(writer.transport, leave)()
                await until(lambda: unit.snapshot().in_flight == 0)
        assert unit.snapshot().codes == ((499, 2 * len(BEGINNINGS)),)
        assert site.held == 0
        assert not unit.ledger.failures

    serve(scenario)
    assert not caplog.records


@every_kind
def test_chunks_that_break_in_the_middle_are_answered_at_once(kind, caplog):
    async def scenario(site: Site):
        unit = await mount(site, kind)
        for later in (b"xxxNOLF", b"xxx\r\nno size\r\n", b"xxx\r\n-1\r\n"):
            head = b"Transfer-Encoding: chunked\r\n"
            reader, writer = await begin(site, kind, unit, head, b"5\r\nxx")
            writer.write(later)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 400 "), answer
            assert b"the body is broken" in answer
            writer.close()
            await writer.wait_closed()
        assert unit.snapshot().codes == ((400, 3),)
        assert site.held == 0
        assert not unit.ledger.failures

    serve(scenario)
    assert not caplog.records


@pytest.mark.parametrize(
    ("headers", "sent", "status"),
    [
        ({}, b"", 200),
        ({}, PLAIN, 200),
        ({"Content-Encoding": "gzip"}, PACKED, 200),
        ({"Content-Encoding": "gzip"}, PACKED[:-1], 400),
        ({"Content-Encoding": "foo"}, PLAIN, 415),
        ({"Content-Encoding": "gzip"}, zipped(bytes(BODY_LIMIT + 1)), 413),
        ({}, bytes(BODY_LIMIT + 1), 413),
    ],
)
def test_the_runtime_server_acts_on_whole_requests_only(headers, sent, status):
    async def scenario(site: Site):
        async with controlled() as (run, address):
            reply = await site.ask(
                "POST", f"{address}/runtime/stop", data=io.BytesIO(sent), headers=headers
            )
            await asyncio.sleep(0)
            assert (reply.status, run.ended) == (status, [False] if status == 200 else [])

    serve(scenario)


def test_who_leaves_the_runtime_server_in_the_middle_stops_nothing(caplog):
    async def scenario(site: Site):
        async with controlled() as (run, address):
            host, port = address.removeprefix("http://").split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            head = b"POST /runtime/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
            writer.write(head + b"1")
            writer.close()
            await writer.wait_closed()
            assert (await site.ask("GET", f"{address}/runtime/status")).status == 200
            assert run.ended == []

    serve(scenario)
    assert not caplog.records
