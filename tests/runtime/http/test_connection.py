"""One connection with requests of both ways: plain ones, and those that aiohttp answers."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import aiohttp
import pytest
from aiohttp import web

from buildflow_nb.responses import FileResponse, StreamingResponse
from buildflow_nb.runtime.http import connection, listener
from buildflow_nb.runtime.http.connection import USED, Connection
from tests.runtime.http.site import Site, serve, until

HOST = b"Host: 127.0.0.1\r\n"


def plain(body: bytes, path: bytes = b"/x") -> bytes:
    return b"POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (path, HOST, len(body), body)


def chunked(body: bytes) -> bytes:
    head = b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@pytest.fixture
def short(monkeypatch):
    """How many requests were answered the short way."""
    seen = []
    original = Connection._answer_soon

    def counted(self, *words):
        seen.append(words)
        original(self, *words)

    monkeypatch.setattr(Connection, "_answer_soon", counted)
    return seen


@asynccontextmanager
async def connected(site: Site):
    host, port = site.server.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    return await reader.readexactly(length)


async def same(n: int) -> int:
    return n


async def body(n: bytes) -> int:
    return len(n)


def test_aiohttp_has_the_names_that_the_short_way_uses():
    missing = [name for name in USED if not hasattr(web.RequestHandler, name)]
    assert not missing, (
        f"aiohttp {aiohttp.__version__} has no {missing} in web.RequestHandler: every request goes "
        "aiohttp's own way now, at half the rate; find what replaced them for connection.py"
    )


def test_without_these_names_all_goes_aiohttps_way(monkeypatch, short):
    monkeypatch.setattr(connection, "_SHORT", False)

    async def scenario(site: Site):
        await site.endpoint(body)
        async with connected(site) as (reader, writer):
            for sent in (plain(b"abc"), chunked(b"abcd"), plain(b"")):
                writer.write(sent)
                await answer(reader)
        assert not short

    serve(scenario)


def test_more_requests_than_the_parser_queues(short):
    async def scenario(site: Site):
        await site.endpoint(body)
        async with connected(site) as (reader, writer):
            for number in range(100):
                writer.write(plain(b"x" * number))
                assert await answer(reader) == b"%d" % number
        assert len(short) == 100

    serve(scenario)


def server_side(site: Site) -> Connection:
    """The one connection, to be given pieces as they would come from the network."""
    (one,) = site.server._listener._server.connections
    return one


@pytest.mark.parametrize(
    ("cuts", "ways"),
    [
        ((62,), 2),
        ((62, 65), 2),
        ((20,), 1),  # a head in pieces is not counted
        ((20, 65), 1),
    ],
)
def test_after_a_body_in_pieces_a_plain_request_goes_the_short_way(short, cuts, ways):
    async def scenario(site: Site):
        await site.endpoint(body)
        async with connected(site) as (reader, writer):
            writer.write(plain(b"ab"))
            assert await answer(reader) == b"2"
            sent = plain(b"abcdefghij")
            assert sent[:62].endswith(b"\r\n\r\nabcde")
            for start, end in pairwise((0, *cuts, len(sent))):
                server_side(site).data_received(sent[start:end])
                await asyncio.sleep(0)
            assert await answer(reader) == b"10"
            writer.write(plain(b"abc"))
            assert await answer(reader) == b"3"
        assert len(short) == ways

    serve(scenario)


@pytest.mark.parametrize("first", [plain(b"abc"), chunked(b"abc")])
@pytest.mark.parametrize("cut", [1, 60])
def test_what_looks_like_a_request_inside_a_head_is_none(first, cut):
    async def scenario(site: Site):
        await site.endpoint(body)
        async with connected(site) as (reader, _):
            pieces = (first[:cut], first[cut:] + b"POST /x HTTP/1.1\r\nX: ", plain(b"ab"))
            for piece in pieces:
                server_side(site).data_received(piece)
                await asyncio.sleep(0)
            assert await answer(reader) == b"3"
            server_side(site).data_received(plain(b"abcd"))
            assert [await answer(reader), await answer(reader)] == [b"2", b"4"]

    serve(scenario)


def test_a_chunked_body_and_what_follows_it(short):
    async def scenario(site: Site):
        await site.endpoint(body)
        async with connected(site) as (reader, writer):
            for number in range(3):
                writer.write(chunked(b"x" * (number + 1)))
                assert await answer(reader) == b"%d" % (number + 1)
                writer.write(plain(b"x" * number))
                assert await answer(reader) == b"%d" % number
        assert not short

    serve(scenario)


@pytest.mark.parametrize("at_once", [True, False])
def test_pipelined_requests_are_answered_in_order(short, at_once):
    go = asyncio.Event()

    async def slow(n: bytes) -> int:
        if n == b"0":
            await go.wait()
        return int(n)

    async def scenario(site: Site):
        unit = await site.endpoint(slow)
        async with connected(site) as (reader, writer):
            writer.write(plain(b"0"))
            await until(lambda: unit.snapshot().in_flight == 1)
            pieces = [plain(b"%d" % number) for number in range(1, 60)]  # more than aiohttp queues
            for piece in [b"".join(pieces)] if at_once else pieces:
                server_side(site).data_received(piece)
            assert len(short) == 1
            go.set()
            assert [await answer(reader) for _ in range(60)] == [b"%d" % n for n in range(60)]
            writer.write(plain(b"7"))
            assert await answer(reader) == b"7"
            writer.write(plain(b"8") + plain(b"9"))
            assert [await answer(reader), await answer(reader)] == [b"8", b"9"]

    serve(scenario)


def test_a_stop_lets_the_request_finish_and_leaves_those_behind_it():
    go = asyncio.Event()
    seen = []

    async def slow(n: bytes) -> int:
        seen.append(n)
        await go.wait()
        return int(n)

    async def scenario(site: Site):
        unit = await site.endpoint(slow)
        async with connected(site) as (reader, writer):
            writer.write(plain(b"1"))
            await until(lambda: unit.snapshot().in_flight == 1)
            server_side(site).data_received(plain(b"2"))
            stopping = asyncio.create_task(site.server.stop(5.0))
            await until(lambda: site.server.address is None)
            go.set()
            assert await answer(reader) == b"1"
            assert await reader.read() == b""
            await stopping
        assert seen == [b"1"]

    serve(scenario)


def test_an_answer_that_closes_the_connection_closes_it(short):
    async def scenario(site: Site):
        await site.endpoint(body)
        async with connected(site) as (reader, writer):
            writer.write(plain(b"1").replace(b"127.0.0.1", b"evil.example"))
            found = await reader.read()
            assert found.startswith(b"HTTP/1.1 403 ")
        assert len(short) == 1

    serve(scenario)


def test_who_leaves_at_once_is_served_to_the_end():
    done = []

    async def late(n: bytes) -> int:
        await asyncio.sleep(0)
        done.append(n)
        return 0

    async def scenario(site: Site):
        unit = await site.endpoint(late)
        async with connected(site) as (_, writer):
            writer.write(plain(b"a"))
            writer.transport.abort()
        async with connected(site) as (_, writer):
            writer.write(plain(b"b"))
        await until(lambda: b"b" in done)
        await until(lambda: unit.snapshot().in_flight == 0)
        assert not unit.ledger.failures

    serve(scenario)


def test_an_idle_connection_is_closed_and_one_at_work_is_not(monkeypatch):
    monkeypatch.setattr(listener, "IDLE_S", 0.05)
    go = asyncio.Event()

    async def slow(n: bytes) -> int:
        await go.wait()
        return len(n)

    async def scenario(site: Site):
        unit = await site.endpoint(slow)
        async with connected(site) as (reader, writer), connected(site) as (other, _):
            writer.write(plain(b"ab"))
            await until(lambda: unit.snapshot().in_flight == 1)
            assert await other.read() == b""  # the idle one
            go.set()
            assert await answer(reader) == b"2"
            assert await reader.read() == b""

    serve(scenario)


def test_a_connection_in_use_is_not_idle(monkeypatch):
    monkeypatch.setattr(listener, "IDLE_S", 0.1)

    async def scenario(site: Site):
        await site.endpoint(body)
        async with connected(site) as (reader, writer):
            end = asyncio.get_running_loop().time() + 0.3
            while asyncio.get_running_loop().time() < end:
                writer.write(plain(b"ab"))
                assert await answer(reader) == b"2"

    serve(scenario)


@pytest.mark.parametrize("made", [plain, chunked])
def test_who_does_not_read_its_answers_is_not_served_for_ever(monkeypatch, made):
    monkeypatch.setattr(connection, "WRITE_S", 0.05)

    async def long(n: bytes) -> str:
        return "x" * 60_000

    async def scenario(site: Site):
        unit = await site.endpoint(long)
        async with connected(site) as (reader, _):
            reader._transport.pause_reading()
            one = server_side(site)
            for _ in range(1_000):
                one.data_received(made(b"ab"))
                await asyncio.sleep(0)
            await until(lambda: one.transport is None)
        assert unit.ledger.metrics.taken.total < 500
        assert unit.snapshot().in_flight == 0

    serve(scenario)


VAR = contextvars.ContextVar("VAR", default=0)


def test_a_request_leaves_nothing_to_the_next_one():
    seen = []

    async def counted(n: bytes) -> int:
        VAR.set(VAR.get() + 1)
        seen.append(asyncio.current_task())
        return VAR.get()

    async def scenario(site: Site):
        await site.endpoint(counted)
        async with connected(site) as (reader, writer):
            for _ in range(3):
                writer.write(plain(b""))
                assert await answer(reader) == b"1"
        assert len(set(seen)) == 3

    serve(scenario)


def test_the_request_itself_is_as_aiohttp_makes_it(short):
    async def whole(request: web.Request) -> dict:
        return {
            "body": (await request.read()).decode(),
            "exists": request.body_exists,
            "raw": [name.decode() for name, _ in request.raw_headers],
            "form": dict(await request.post()),
            "host": request.host,
        }

    async def scenario(site: Site):
        await site.endpoint(whole)
        for headers in ({}, {"Expect": "100-continue"}):
            kind = {"Content-Type": "application/x-www-form-urlencoded", **headers}
            found = await site.ask("POST", data=b"a=b", headers=kind)
            assert found.json["body"] == "a=b"
            assert found.json["exists"] is True
            assert found.json["form"] == {"a": "b"}
            assert found.json["raw"][0] == "Host"
            assert found.json["host"].startswith("127.0.0.1:")

    serve(scenario)


def file() -> FileResponse:
    return FileResponse(__file__)


def streamed() -> StreamingResponse:
    return StreamingResponse(iter([b"a", b"b"]))


async def typed() -> str:
    return "x"


@pytest.mark.parametrize("function", [file, streamed, typed])
def test_nothing_is_left_of_clients_that_leave_right_after_their_answers(function, short):
    asked = b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n"

    async def scenario(site: Site):
        await site.endpoint(function, "/x", "GET")
        before = asyncio.all_tasks()
        host, port = site.server.address.removeprefix("http://").split(":")
        loop = asyncio.get_running_loop()
        for _ in range(20):
            with socket.create_connection((host, int(port))) as client:
                client.setblocking(False)
                await loop.sock_sendall(client, asked)
                assert (await loop.sock_recv(client, 2**20)).startswith(b"HTTP/1.1 200 ")
        await until(lambda: asyncio.all_tasks() <= before)
        assert len(short) == 20

    serve(scenario)
