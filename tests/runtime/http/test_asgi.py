"""ASGI applications on our server: what they see, what they may send, how clients leave."""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from contextlib import suppress

import aiohttp
import pytest
from aiohttp import web
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from buildflow_nb.runtime.http.asgi import request_of, route_app, run_app
from buildflow_nb.runtime.http.request import BODY_LIMIT
from tests.runtime.http.site import Site, serve, until

START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"a"}
MORE = {**BODY, "more_body": True}


async def mount(site: Site, app, route="/x", method="POST"):
    """An endpoint whose place an ASGI application takes."""

    async def place(name: str = "", rest: str = "") -> str:
        return "endpoint"

    unit = await site.endpoint(place, route, method)
    handle = unit.handle

    async def through(bounded, values):
        return await run_app(app, bounded, values, handle)

    unit.handle = through
    return unit


def sending(*messages):
    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    return app


async def opened(site: Site, sent: bytes):
    host, port = site.server.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    return reader, writer


def test_the_scope_tells_all_of_the_request():
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope)
        await sending(START, BODY)(scope, receive, send)

    async def scenario(site: Site):
        await mount(site, app, "/shop/{name}/{rest:path}", "GET")
        await site.raw(
            b"GET /shop/caf%C3%A9/a%2Fb/c?q=1&q=%20 HTTP/1.1\r\nHost: localhost:1\r\n"
            b"X-Two: 1\r\nx-two: 2\r\nConnection: close\r\n\r\n"
        )
        assert seen["server"] == ("127.0.0.1", int(site.server.address.rpartition(":")[2]))

    serve(scenario)
    assert {name: seen[name] for name in ("type", "http_version", "method", "scheme")} == {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
    }
    assert seen["asgi"] == {"version": "3.0", "spec_version": "2.4"}
    assert (seen["path"], seen["raw_path"]) == ("/shop/café/a/b/c", b"/shop/caf%C3%A9/a%2Fb/c")
    assert (seen["query_string"], seen["root_path"]) == (b"q=1&q=%20", "")
    assert seen["headers"] == [
        (b"host", b"localhost:1"),
        (b"x-two", b"1"),
        (b"x-two", b"2"),
        (b"connection", b"close"),
    ]
    assert seen["client"][0] == "127.0.0.1"
    assert seen["path_params"] == {"name": "café", "rest": "a/b/c"}
    assert (seen["state"], seen["extensions"]) == ({}, {})


def test_a_body_comes_in_pieces_which_are_read_when_asked_for():
    async def app(scope, receive, send):
        size, count = 0, 0
        while True:
            message = await receive()
            size, count = size + len(message["body"]), count + 1
            if not message["more_body"]:
                break
        answer = f"{size} {count > 1}".encode()
        await sending(START, {**BODY, "body": answer})(scope, receive, send)

    async def scenario(site: Site):
        await mount(site, app)
        size = 3 * BODY_LIMIT
        reply = await site.ask("POST", data=io.BytesIO(b"x" * size))
        assert reply.body == b"%d True" % size
        assert site.held == 0
        assert (await site.ask("POST", data=b"small")).body == b"5 False"
        assert (await site.ask("POST")).body == b"0 False"

    serve(scenario)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_packed_body_comes_unpacked_and_says_so(coding):
    async def app(scope, receive, send):
        request = Request(scope, receive)
        found = b"".join([piece async for piece in request.stream()])
        assert "content-encoding" not in request.headers
        assert "content-length" not in request.headers
        await sending(START, {**BODY, "body": b"%d" % len(found)})(scope, receive, send)

    async def scenario(site: Site):
        await mount(site, app)
        plain = b"abc" * 200_000
        packed = gzip.compress(plain) if coding == "gzip" else zlib.compress(plain)
        headers = {"Content-Encoding": coding}
        reply = await site.ask("POST", data=packed, headers=headers)
        assert reply.body == b"600000"

        async def broken():
            yield packed[:1]
            yield packed[1:-4]

        reply = await site.ask("POST", data=broken(), headers=headers)
        assert (reply.status, "cut off" in reply.detail) == (400, True)

    serve(scenario)


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([BODY], "sent before its start"),
        ([START, START], "sent twice"),
        ([START, BODY, BODY], "sent after the end"),
        ([START, BODY, START], "sent twice"),
        ([{"type": "http.response.trailers"}], "no message of an HTTP answer"),
        ([START], "without an answer"),
        ([START, MORE], "amid its answer"),
        ([], "without an answer"),
        ([{**START, "headers": [(b"content-length", b"3")]}, BODY], "2 bytes shorter"),
        ([{**START, "headers": [(b"content-length", b"0")]}, MORE], "1 bytes longer"),
    ],
)
def test_what_breaks_the_order_is_an_error(messages, says):
    seen = []

    async def app(scope, receive, send):
        await sending(*messages)(scope, receive, send)

    async def scenario(site: Site):
        unit = await mount(site, app)
        through = unit.handle

        async def told(bounded, values):
            try:
                return await through(bounded, values)
            except RuntimeError as error:
                seen.append(str(error))
                raise web.HTTPConflict from error

        unit.handle = told
        with suppress(aiohttp.ClientError):
            await site.ask("POST")

    serve(scenario)
    assert says in seen[0]


def test_an_answer_in_pieces_keeps_the_connection():
    async def app(scope, receive, send):
        for number in range(3):
            if not number:
                await send(START)
            await send({**MORE, "body": b"%d" % number})
        await send({**BODY, "body": b"."})
        assert (await receive())["type"] in ("http.request", "http.disconnect")

    async def scenario(site: Site):
        await mount(site, app)
        for _ in range(3):
            reply = await site.ask("POST")
            assert (reply.status, reply.body) == (200, b"012.")
            assert reply.headers["Server"] == "buildflow"
        assert site.session.connector is not None
        assert len(site.session.connector._conns) == 1

    serve(scenario)


@pytest.mark.parametrize("messages", [[START, BODY], [START, MORE, BODY]])
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_where_there_is_no_body_none_is_sent(method, status, messages):
    async def scenario(site: Site):
        first = {**START, "status": status}
        await mount(site, sending(first, *messages[1:]), method="GET")
        head = f"{method} /x HTTP/1.1\r\nHost: localhost\r\n".encode()
        found = await site.raw(head + b"\r\n" + head + b"Connection: close\r\n\r\n")
        heads = found.split(b"\r\n\r\n")
        assert len(heads) == 3
        assert heads[2] == b""
        assert all(one.startswith(b"HTTP/1.1 %d" % status) for one in heads[:2])

    serve(scenario)


def test_a_client_that_leaves_is_told_of():
    seen = []

    async def app(scope, receive, send):
        request = request_of(scope["buildflow.connection"].bounded, {})
        assert not await request.is_disconnected()
        await send(START)
        await send(MORE)
        message = await receive()
        while message["type"] == "http.request":
            message = await receive()
        seen.append(message["type"])
        seen.append(await request.is_disconnected())
        try:
            await send(MORE)
        except OSError as error:
            seen.append(str(error))
            raise

    async def scenario(site: Site):
        await mount(site, app)
        sent = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        reader, writer = await opened(site, sent)
        await reader.readuntil(b"1\r\na\r\n")
        writer.close()
        await until(lambda: len(seen) == 3)

    serve(scenario)
    assert seen == ["http.disconnect", True, "the client has left"]


def test_a_client_that_leaves_amid_its_body_is_told_of():
    seen = []

    async def app(scope, receive, send):
        request = Request(scope, receive)
        try:
            await request.body()
        except ClientDisconnect as error:
            seen.append(error)
            raise ConnectionResetError from error

    async def scenario(site: Site):
        await mount(site, app)
        sent = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc"
        _, writer = await opened(site, sent)
        writer.close()
        await until(lambda: bool(seen))

    serve(scenario)


def test_what_the_client_does_not_take_is_waited_for():
    sent = 0

    async def app(scope, receive, send):
        nonlocal sent
        await send(START)
        while True:
            await send({**MORE, "body": b"x" * 65_536})
            sent += 65_536

    async def scenario(site: Site):
        unit = await mount(site, app)
        head = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        _, writer = await opened(site, head)
        before = -1
        while before != sent:  # until nothing more goes out
            before = sent
            await asyncio.sleep(0.1)
        assert 0 < sent < 2**25
        writer.transport.abort()
        await until(lambda: unit.drained)

    serve(scenario)


def test_middleware_stands_around_a_route():
    """It sees the request first and the answer last, and what it makes of them is used."""

    def wrap(app):
        async def middleware(scope, receive, send):
            inner = {**scope, "state": {"user": "ann"}, "path": "/other"}

            async def marked(message):
                if message["type"] == "http.response.start":
                    headers = [*message["headers"], (b"x-mark", b"1")]
                    message = {**message, "headers": headers}
                await send(message)

            async def shouted():
                message = await receive()
                return {**message, "body": message["body"].upper()}

            await app(inner, shouted, marked)

        return middleware

    async def echo(order: str = "") -> dict[str, str]:
        return {"order": order}

    async def scenario(site: Site):
        unit = await site.endpoint(echo)
        handle = unit.handle

        async def through(bounded, values):
            async def seeing(bounded, values):
                request = request_of(bounded, values)
                assert (request.state.user, request.url.path) == ("ann", "/other")
                assert await request.body() == b"ABC"
                assert request_of(bounded, values) is request
                return await handle(bounded, values)

            return await run_app(wrap(route_app), bounded, values, seeing)

        unit.handle = through
        reply = await site.ask("POST", "/x?order=a", data=b"abc")
        assert (reply.status, reply.json) == (200, {"order": "a"})
        assert reply.headers["x-mark"] == "1"
        assert reply.headers["Content-Type"] == "application/json"

    serve(scenario)


def test_a_client_that_has_its_answer_and_leaves_cuts_nothing_off():
    closed = []

    class Slow(Response):
        async def __call__(self, scope, receive, send):
            await super().__call__(scope, receive, send)
            while (await receive())["type"] != "http.disconnect":
                pass
            await asyncio.sleep(0.01)  # for whoever would cancel it
            closed.append(True)

    async def give() -> Response:
        return Slow(b"all of it")

    async def scenario(site: Site):
        await site.endpoint(give, method="GET")
        reader, writer = await opened(site, b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"all of it")
        writer.close()
        await until(lambda: closed)

    serve(scenario)
