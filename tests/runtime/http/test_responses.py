"""Files, conditional requests, events: what a client gets of the classes in `responses`."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from email.utils import formatdate

import httpx
import pytest
from starlette.exceptions import HTTPException as StarletteError

from buildflow_nb import responses
from buildflow_nb.exceptions import HTTPException
from buildflow_nb.requests import Header
from buildflow_nb.responses import (
    EventSourceResponse,
    FileResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    ServerSentEvent,
    StreamingResponse,
)
from tests.fakes import PATIENCE_S, FakeSink
from tests.runtime.http.site import Site, serve, until
from tests.runtime.http.test_asgi import opened
from tests.runtime.http.test_reply import GET, returning

CHANGED = 1_700_000_000
WORDS = b"0123456789"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes(WORDS)
    os.utime(path, (CHANGED, CHANGED))
    return path


def at(seconds: int) -> str:
    return formatdate(CHANGED + seconds, usegmt=True)


def asked(make, steps):
    """Serve a response at GET /x, and run steps with a client."""

    async def scenario(site: Site):
        unit = await site.endpoint(returning(make), method="GET")
        async with httpx.AsyncClient(base_url=site.server.address, trust_env=False) as client:
            await steps(client)
        assert not unit.snapshot().failed
        await until(lambda: not unit.snapshot().in_flight)  # the client has it before that

    serve(scenario)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_is_sent_with_what_tells_of_it(file, method):
    async def steps(client):
        reply = await client.request(method, "/x")
        assert (reply.status_code, reply.content) == (200, WORDS if method == "GET" else b"")
        assert reply.headers["content-length"] == "10"
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        assert reply.headers["content-disposition"] == 'attachment; filename="w.txt"'
        assert reply.headers["accept-ranges"] == "bytes"
        assert reply.headers["last-modified"] == at(0)
        assert reply.headers["etag"].startswith('"')

    asked(lambda: FileResponse(file, filename="w.txt"), steps)


@pytest.mark.parametrize(
    ("wanted", "status", "body", "range_"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=0-100", 206, WORDS, "bytes 0-9/10"),
        ("bytes=0-3,2-5", 206, b"012345", "bytes 0-5/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("lines=1-2", 400, None, None),
        ("bytes=" + ",".join(["0-0"] * 101), 200, WORDS, None),
    ],
)
def test_a_part_of_a_file_is_sent(file, wanted, status, body, range_):
    async def steps(client):
        for method in ("GET", "HEAD"):
            reply = await client.request(method, "/x", headers={"Range": wanted})
            assert (reply.status_code, reply.headers.get("content-range")) == (status, range_)
            assert method == "GET" or reply.content == b""
            assert method == "HEAD" or body in (None, reply.content)

    asked(lambda: FileResponse(file), steps)


def test_several_parts_of_a_file_come_as_one_multipart_body(file):
    async def steps(client):
        reply = await client.get("/x", headers={"Range": "bytes=0-1, 5-6"})
        assert reply.status_code == 206
        kind, _, boundary = reply.headers["content-type"].partition("; boundary=")
        assert kind == "multipart/byteranges"
        parts = reply.content.split(f"--{boundary}".encode())
        assert [part.strip().rpartition(b"\r\n\r\n")[2] for part in parts[1:-1]] == [b"01", b"56"]
        assert b"Content-Range: bytes 0-1/10" in parts[1]
        assert len(reply.content) == int(reply.headers["content-length"])

    asked(lambda: FileResponse(file), steps)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": "{tag}"}, 304),
        ({"If-None-Match": 'W/{tag}, "other"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": '"other"', "If-Modified-Since": at(0)}, 200),
        ({"If-Modified-Since": at(0)}, 304),
        ({"If-Modified-Since": at(60)}, 304),
        ({"If-Modified-Since": at(-60)}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Match": "{tag}"}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": "W/{tag}"}, 412),
        ({"If-Unmodified-Since": at(0)}, 200),
        ({"If-Unmodified-Since": at(-60)}, 412),
        ({"Range": "bytes=0-1", "If-Range": "{tag}"}, 206),
        ({"Range": "bytes=0-1", "If-Range": '"other"'}, 200),
        ({"Range": "bytes=0-1", "If-Range": at(0)}, 206),
        ({"Range": "bytes=0-1", "If-None-Match": "{tag}"}, 304),
    ],
)
def test_a_file_is_sent_where_the_conditions_are_met(file, headers, status):
    async def steps(client):
        tag = (await client.head("/x")).headers["etag"]
        for method in ("GET", "HEAD"):
            filled = {name: value.format(tag=tag) for name, value in headers.items()}
            reply = await client.request(method, "/x", headers=filled)
            assert reply.status_code == status
            if status in (304, 412):
                assert reply.content == b""
                assert reply.headers["etag"] == tag
                assert reply.headers["cache-control"] == "max-age=5"
            if status == 304:
                assert "content-length" not in reply.headers

    asked(lambda: FileResponse(file, headers={"cache-control": "max-age=5"}), steps)


def test_a_file_that_grows_is_cut_off_at_the_length_that_it_had(file):
    async def steps(client):
        reply = await client.get("/x")
        assert reply.content == WORDS[:4]

    def make():
        made = FileResponse(file)
        found = os.stat_result([*file.stat()[:6], 4, *file.stat()[7:]])
        made.stat_result = found
        made.set_stat_headers(found)
        return made

    asked(make, steps)


def test_a_file_that_is_not_there_is_the_endpoints_fault(tmp_path):
    async def scenario(site: Site):
        unit = await site.endpoint(returning(lambda: FileResponse(tmp_path / "no")), method="GET")
        assert (await site.get()).status == 500
        assert unit.snapshot().failed == 1

    serve(scenario)


def test_a_redirection_leads_on_and_a_cookie_is_kept():
    async def steps(client):
        reply = await client.get("/x", follow_redirects=False)
        assert (reply.status_code, reply.headers["location"]) == (303, "/y?a=b%20c")
        cookie = reply.headers["set-cookie"]
        wanted = {"user=ann", "Max-Age=5", "HttpOnly", "SameSite=strict", "Path=/"}
        assert set(cookie.split("; ")) == wanted
        assert client.cookies["user"] == "ann"

    def make():
        made = RedirectResponse("/y?a=b c", 303)
        made.set_cookie("user", "ann", max_age=5, httponly=True, samesite="strict")
        return made

    asked(make, steps)


@pytest.mark.parametrize("error", [HTTPException, StarletteError])
@pytest.mark.parametrize(
    ("status", "detail", "body"),
    [
        (404, None, b'{"detail":"Not Found"}'),
        (418, {"a": 1}, b'{"detail":{"a":1}}'),
        (204, None, b""),
        (304, None, b""),
    ],
)
def test_an_http_exception_is_the_answer(error, status, detail, body):
    async def fail() -> str:
        raise error(status, detail, {"X-Why": "because"})

    async def scenario(site: Site):
        unit = await site.endpoint(fail, method="GET")
        reply = await site.get()
        assert (reply.status, reply.body, reply.headers["X-Why"]) == (status, body, "because")
        assert ("Content-Type" in reply.headers) is bool(body)
        assert unit.snapshot().failed == 0

    serve(scenario)


@dataclass
class Price:
    total: float


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        (ServerSentEvent("a"), "data: a\n\n"),
        (ServerSentEvent("a\nb\r\nc\rd\u2028e"), "data: a\ndata: b\ndata: c\ndata: d\u2028e\n\n"),
        (ServerSentEvent(""), "data: \n\n"),
        (ServerSentEvent({"a": "x\ny"}), 'data: {"a":"x\\ny"}\n\n'),
        (ServerSentEvent(Price(1.5)), 'data: {"total":1.5}\n\n'),
        (
            ServerSentEvent("a", "e", "7", 100, "c\nd"),
            ": c\n: d\nevent: e\nid: 7\nretry: 100\ndata: a\n\n",
        ),
        (ServerSentEvent(retry=5), "retry: 5\n\n"),
    ],
)
def test_an_event_is_written_as_browsers_read_it(event, sent):
    assert event.encoded().decode() == sent


@pytest.mark.parametrize("words", [{"event": "a\nb"}, {"id": "a\rb"}, {"id": "a\0"}])
def test_an_event_that_would_end_early_is_refused(words):
    with pytest.raises(ValueError, match="cannot hold line breaks"):
        ServerSentEvent("a", **words)


def test_events_come_as_they_happen_and_the_client_comes_back_for_more():
    async def ticks(last_event_id: str = Header("0")) -> EventSourceResponse:
        async def events():
            number = int(last_event_id) + 1
            yield ServerSentEvent(Price(number), id=str(number))
            yield {"n": number}
            yield "text"

        return EventSourceResponse(events())

    async def scenario(site: Site):
        await site.endpoint(ticks, method="GET")
        async with httpx.AsyncClient(base_url=site.server.address, trust_env=False) as client:
            reply = await client.get("/x")
            assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert reply.headers["cache-control"] == "no-cache"
            assert reply.text == 'id: 1\ndata: {"total":1}\n\ndata: {"n":1}\n\ndata: text\n\n'
            reply = await client.get("/x", headers={"Last-Event-ID": "7"})
            assert reply.text.startswith('id: 8\ndata: {"total":8}')

    serve(scenario)


def test_a_silent_stream_is_kept_alive(monkeypatch):
    monkeypatch.setattr(responses, "KEEP_ALIVE_S", 0.02)
    monkeypatch.setattr(responses, "FIRST_S", 0.0)
    closed = []

    async def events():
        try:
            await asyncio.Event().wait()
            yield "never"
        finally:
            closed.append(1)

    async def scenario(site: Site):
        unit = await site.endpoint(returning(lambda: EventSourceResponse(events())), method="GET")
        reader, writer = await opened(site, GET)
        for _ in range(3):
            await reader.readuntil(b":\n\n")
        writer.close()
        await until(lambda: bool(closed) and unit.drained)
        assert unit.snapshot().failed == 0

    serve(scenario)


def test_a_stream_of_events_that_fails_at_once_is_an_error():
    async def events():
        raise ValueError
        yield ""

    async def scenario(site: Site):
        unit = await site.endpoint(returning(lambda: EventSourceResponse(events())), method="GET")
        assert (await site.get()).status == 500
        assert unit.snapshot().failed == 1

    serve(scenario)


def test_a_stop_while_nobody_reads_a_stream_of_events_is_no_failure():
    given, closed = [], []

    async def events():
        try:
            while True:
                given.append(asyncio.get_running_loop().time())
                yield "x" * 100_000
        finally:
            closed.append(1)

    async def scenario(site: Site):
        unit = await site.endpoint(returning(lambda: EventSourceResponse(events())), method="GET")
        _, writer = await opened(site, GET)  # and reads nothing
        now = asyncio.get_running_loop().time
        await until(lambda: bool(given) and now() - given[-1] > 0.1)  # it waits for room
        await unit.stop(drain=True, timeout_s=PATIENCE_S)
        assert closed
        assert unit.snapshot().failed == 0
        assert unit.snapshot().codes == ((499, 1),)
        writer.close()

    serve(scenario)


def test_a_drain_ends_streams_of_events_as_if_they_were_over():
    closed = []

    async def events():
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            closed.append(1)

    async def scenario(site: Site):
        unit = await site.endpoint(returning(lambda: EventSourceResponse(events())), method="GET")
        reader, writer = await opened(site, GET)
        await reader.readuntil(b"data: a\n\n")
        await unit.stop(drain=True, timeout_s=20.0)
        assert await reader.readuntil(b"0\r\n\r\n")
        assert closed == [1]
        assert (unit.snapshot().failed, dict(unit.snapshot().codes)) == (0, {200: 1})
        writer.close()

    async def reading(site: Site):
        await asyncio.wait_for(scenario(site), 10)

    serve(reading)


def test_a_piece_that_is_empty_sends_the_head():
    async def pieces():
        yield b""
        await asyncio.Event().wait()

    async def scenario(site: Site):
        await site.endpoint(returning(lambda: StreamingResponse(pieces())), method="GET")
        reader, writer = await opened(site, GET)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()

    serve(scenario)


def test_an_annotation_with_a_response_declares_no_model():
    async def page() -> PlainTextResponse:
        return PlainTextResponse("a")

    async def either(n: int) -> Price | Response:
        return Price(n) if n else Response("none", 404)

    async def scenario(site: Site):
        await site.endpoint(page, method="GET")
        await site.endpoint(either, "/y", method="GET")
        assert (await site.get()).body == b"a"
        assert (await site.get("/y?n=1")).json == {"total": 1}
        assert (await site.get("/y?n=0")).status == 404

    serve(scenario)


def test_a_collector_cannot_store_a_response():
    async def keep() -> Response:
        return Response("a")

    async def scenario(site: Site):
        unit = await site.collector(keep, FakeSink(), "/x", method="GET")
        assert (await site.get()).status == 500
        assert "returned a response, which no sink can store" in unit.ledger.failures[0].error

    serve(scenario)
