"""WebSockets with a real client: the handshake, messages, and how they are closed."""

from __future__ import annotations

import asyncio
import json
import zlib
from contextlib import asynccontextmanager
from typing import Annotated

import pytest
import websockets
from starlette.exceptions import HTTPException, WebSocketException
from starlette.responses import JSONResponse
from websockets.exceptions import ConnectionClosed, InvalidStatus

from buildflow_nb.requests import Header, WebSocket, WebSocketDisconnect
from buildflow_nb.runtime.http.websocket import MESSAGE_LIMIT
from tests.runtime.http.site import Site, serve, until

KEY = b"MDEyMzQ1Njc4OWFiY2RlZg=="
HANDSHAKE = (
    b"GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n" % KEY
)


def connect(site: Site, path: str = "/x", **words):
    words.setdefault("proxy", None)
    return websockets.connect(site.server.address.replace("http", "ws") + path, **words)


async def mount(site: Site, function, route="/x", **options):
    return await site.endpoint(function, route, "WEBSOCKET", **options)


async def closed(socket, last: str | None = None) -> tuple[int, str]:
    """How it is closed after the last message; whatever comes before is thrown away."""
    try:
        if last is not None:
            await socket.send(last)
        while True:
            await socket.recv()
    except ConnectionClosed as end:
        return (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "")


async def denied(site: Site, path: str = "/x", **words) -> tuple[int, object]:
    with pytest.raises(InvalidStatus) as caught:
        await connect(site, path, **words)
    response = caught.value.response
    return response.status_code, json.loads(response.body)


@asynccontextmanager
async def raw(site: Site, head: bytes = HANDSHAKE):
    host, port = site.server.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head + b"\r\n")
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def echo(ws: WebSocket) -> None:
    await ws.accept()
    async for text in ws.iter_text():
        await ws.send_text(text)


def test_texts_bytes_and_json_with_parameters():
    async def chat(
        ws: WebSocket, room: str, user_agent: Annotated[str, Header()], n: int = 1
    ) -> None:
        await ws.accept()
        await ws.send_json({"room": room, "n": n, "agent": user_agent})
        await ws.send_text(await ws.receive_text())
        await ws.send_bytes(await ws.receive_bytes())
        await ws.send_json(await ws.receive_json())
        await ws.send_json(await ws.receive_json(mode="binary"), mode="binary")
        async for found in ws.iter_bytes():
            await ws.send_bytes(found)

    async def scenario(site: Site):
        unit = await mount(site, chat, "/chat/{room}")
        async with connect(site, "/chat/a%20b?n=3", user_agent_header="me") as ws:
            assert json.loads(await ws.recv()) == {"room": "a b", "n": 3, "agent": "me"}
            for one in ("zwölf", b"\x00\xff", '{"a":[1]}', b'{"b":2}', b"x", b"y"):
                await ws.send(one)
                assert await ws.recv() == one
            assert unit.snapshot().in_flight == 1
        await until(lambda: unit.snapshot().in_flight == 0)
        assert unit.snapshot().codes == ((101, 1), (1000, 1))
        (passage,) = unit.ledger.passages
        assert passage.element["ws"] == "WEBSOCKET /chat/a%20b?n=3"
        assert passage.results == ("closed with 1000",)
        assert unit.snapshot().p50_s is None  # no latency: it lasted as long as the client stayed

    serve(scenario)


def test_an_accept_names_a_protocol_and_headers():
    async def choosing(ws: WebSocket) -> None:
        assert ws.scope["subprotocols"] == ["soap", "wamp"]
        await ws.accept("wamp", headers=[(b"x-hello", b"you")])
        await ws.receive()

    async def scenario(site: Site):
        await mount(site, choosing)
        await mount(site, echo, "/plain")
        async with connect(site, subprotocols=["soap", "wamp"]) as ws:
            assert ws.subprotocol == "wamp"
            assert ws.response.headers["X-Hello"] == "you"
            assert ws.response.headers["Server"] == "buildflow"
        async with connect(site, "/plain", subprotocols=["soap"]) as ws:
            assert ws.subprotocol is None

    serve(scenario)


def test_a_protocol_that_was_not_offered_is_a_failure():
    async def choosing(ws: WebSocket) -> None:
        await ws.accept("wamp")

    async def scenario(site: Site):
        unit = await mount(site, choosing)
        assert (await denied(site))[0] == 500
        assert "was not offered" in str(unit.ledger.failures[0].error)

    serve(scenario)


@pytest.mark.parametrize(
    ("sent", "seen"), [((1000, "done"), (1000, "done")), ((4321, "ä" * 60), (4321, "ä" * 60))]
)
def test_the_function_sees_how_the_client_closed(sent, seen):
    ends = []

    async def listen(ws: WebSocket) -> None:
        await ws.accept()
        try:
            await ws.receive_text()
        except WebSocketDisconnect as end:
            ends.append((end.code, end.reason))

    async def scenario(site: Site):
        unit = await mount(site, listen)
        async with connect(site) as ws:
            await ws.close(*sent)
        await until(lambda: unit.snapshot().in_flight == 0)
        assert ends == [seen]

    serve(scenario)


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (None, (1000, "")),
        (WebSocketDisconnect(1000), (1000, "")),
        (WebSocketException(4001, "no"), (4001, "no")),
        (HTTPException(403, "not you"), (1008, "not you")),
        (ValueError("secret"), (1011, "")),
        (SystemExit(3), (1011, "")),
    ],
)
def test_how_a_function_ends_is_how_the_socket_closes(raised, seen):
    async def ending(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive_text()
        if raised is not None:
            raise raised

    async def scenario(site: Site):
        unit = await mount(site, ending)
        async with connect(site) as ws:
            await ws.send("of nobody else's")
            assert await closed(ws) == seen
        await until(lambda: unit.snapshot().in_flight == 0)
        assert len(unit.ledger.failures) == (seen[0] == 1011)
        for failure in unit.ledger.failures:
            assert "nobody" not in repr(failure)
            assert failure.element == "WEBSOCKET /x"
        assert unit.snapshot().codes == ((101, 1), (seen[0], 1))

    serve(scenario)


def test_the_function_closes_with_a_code_and_a_reason():
    async def closing(ws: WebSocket, code: int, reason: str) -> None:
        await ws.accept()
        await ws.close(code, reason)

    async def scenario(site: Site):
        unit = await mount(site, closing)
        async with connect(site, "/x?code=3000&reason=" + "%C3%A4" * 100) as ws:
            assert await closed(ws) == (3000, "ä" * 61)  # 123 bytes are all that fits
        for wrong in (1005, 1006, 999, 5000):
            async with connect(site, f"/x?reason=&code={wrong}") as ws:
                assert (await closed(ws))[0] == 1011
        await until(lambda: len(unit.ledger.failures) == 4)

    serve(scenario)


async def _close(ws):
    await ws.close(1008, "not today")


async def _deny(ws):
    await ws.send_denial_response(JSONResponse({"detail": "pay"}, 402))


async def _raise(_ws):
    raise HTTPException(401, "who are you?")


async def _fail(_ws):
    raise KeyError(_ws)


async def _nothing(_ws):
    pass


@pytest.mark.parametrize(
    ("way", "seen"),
    [
        (_close, (403, {"detail": "not today"})),
        (_deny, (402, {"detail": "pay"})),
        (_raise, (401, {"detail": "who are you?"})),
        (_fail, (500, {"detail": "Internal Server Error"})),
        (_nothing, (500, {"detail": "Internal Server Error"})),
    ],
)
def test_what_is_not_accepted_is_answered(way, seen):
    async def denying(ws: WebSocket) -> None:
        await way(ws)

    async def scenario(site: Site):
        unit = await mount(site, denying)
        assert await denied(site) == seen
        assert len(unit.ledger.failures) == (seen[0] == 500)
        assert (await site.get("/healthz")).status == 200

    serve(scenario)


def test_what_does_not_bind_is_a_422_before_the_handshake():
    async def counting(ws: WebSocket, n: int) -> None:
        await ws.accept()

    async def scenario(site: Site):
        await mount(site, counting)
        status, said = await denied(site, "/x?n=x")
        assert (status, said["detail"][0]["loc"]) == (422, ["query", "n"])

    serve(scenario)


def test_fragments_are_one_message_and_pings_between_them_are_answered():
    async def scenario(site: Site):
        await mount(site, echo)
        async with connect(site, compression=None) as ws:
            pong = None

            async def pieces():
                nonlocal pong
                yield "one "
                pong = await ws.ping()
                yield "two "
                yield "three"

            await ws.send(pieces())
            assert await ws.recv() == "one two three"
            async with asyncio.timeout(5):
                await pong

    serve(scenario)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_message_that_is_too_large_closes_with_1009(compression):
    async def scenario(site: Site):
        unit = await mount(site, echo)
        async with connect(site, compression=compression, max_size=None) as ws:
            most = "x" * MESSAGE_LIMIT
            await ws.send(most)
            assert await ws.recv() == most
        async with connect(site, compression=compression, max_size=None) as ws:
            assert (await closed(ws, "x" * (MESSAGE_LIMIT + 2)))[0] == 1009
        await until(lambda: unit.snapshot().in_flight == 0)
        assert (1009, 1) in unit.snapshot().codes

    serve(scenario)


def test_a_packed_message_is_not_unpacked_beyond_the_limit():
    made = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = made.compress(bytes(200 * 2**20)) + made.flush(zlib.Z_SYNC_FLUSH)

    async def scenario(site: Site):
        await mount(site, echo)
        extension = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
        async with raw(site, HANDSHAKE + extension) as (reader, writer):
            assert b"permessage-deflate" in await reader.readuntil(b"\r\n\r\n")
            size = len(bomb[:-4]).to_bytes(8, "big")
            writer.write(bytes([0xC2, 0x80 | 127]) + size + bytes(4) + bomb[:-4])
            found = await reader.readexactly(4)
            assert found[0] == 0x88  # a close
            assert int.from_bytes(found[2:], "big") == 1009

    serve(scenario)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Referer": "https://evil.example/"},
    ],
)
def test_pages_of_other_sites_are_turned_away(headers):
    async def scenario(site: Site):
        unit = await mount(site, echo)
        assert (await denied(site, additional_headers=headers))[0] == 403
        async with connect(site, origin=site.server.address) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
        assert unit.ledger.metrics.taken.total == 1

    serve(scenario)


def test_what_is_no_websocket_is_told_so():
    async def page() -> str:
        return "page"

    async def scenario(site: Site):
        await mount(site, echo)
        found = await site.get("/x")
        assert (found.status, found.headers["Upgrade"]) == (426, "websocket")
        assert (await site.post(1)).status == 426
        assert (await site.ask("OPTIONS", "/x")).headers["Allow"] == "GET, OPTIONS"
        broken = HANDSHAKE.replace(KEY, b"short") + b"Connection: close\r\n\r\n"
        assert b" 400 " in await site.raw(broken)
        await site.endpoint(page, "/x", "GET")  # beside it
        assert (await site.get("/x")).json == "page"
        async with connect(site) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"

    serve(scenario)
