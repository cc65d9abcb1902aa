"""WebSocket endpoints whose messages are typed, what is refused, and a thousand at once."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import resource
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from buildflow_nb.core.credentials import Secret, revealed
from buildflow_nb.core.errors import DeclarationError, UsageError
from buildflow_nb.dependencies import dependency
from buildflow_nb.io.local import Empty
from buildflow_nb.requests import Request, UploadFile, WebSocket
from buildflow_nb.runtime.http import websocket as sockets
from buildflow_nb.types.method import Method
from tests.runtime.http.site import Site, serve, until
from tests.runtime.http.test_websocket import closed, connect, denied, echo, mount


@dataclass
class Order:
    qty: int
    price: float
    at: dt.date | None = None


@dataclass
class Priced:
    total: float


async def price(messages: AsyncIterator[Order], factor: float = 1.0) -> AsyncIterator[Priced]:
    async for order in messages:
        yield Priced(order.qty * order.price * factor)


def test_messages_are_decoded_and_what_is_yielded_is_sent():
    async def scenario(site: Site):
        unit = await mount(site, price)
        async with connect(site, "/x?factor=2") as ws:
            for sent in ('{"qty":2,"price":1.5}', b'{"qty":4,"price":1,"at":"2024-05-06"}'):
                await ws.send(sent)
            assert [json.loads(await ws.recv()) for _ in range(2)] == [{"total": 6}, {"total": 8}]
        await until(lambda: unit.snapshot().in_flight == 0)
        (passage,) = unit.ledger.passages
        assert passage.element == {"messages": "WEBSOCKET /x?factor=2", "factor": 2.0}
        assert not unit.ledger.failures

    serve(scenario)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ('{"qty":"x","price":1}', "message.qty: Expected int, got str"),
        ('{"price":1}', "message.qty: Field required"),
        ("{", "message: Input data was truncated"),
        (b"\xff", "message"),
    ],
)
def test_a_message_that_does_not_fit_closes_with_1007(sent, told):
    ends = []

    async def take(messages: AsyncIterable[Order]) -> None:
        try:
            async for _ in messages:
                pass
        finally:
            ends.append("finally")

    async def scenario(site: Site):
        unit = await mount(site, take)
        async with connect(site) as ws:
            code, reason = await closed(ws, sent)
            assert code == 1007
            assert reason.startswith(told)
        await until(lambda: unit.snapshot().in_flight == 0)
        assert ends == ["finally"]
        assert (1007, 1) in unit.snapshot().codes
        assert not unit.ledger.failures
        (line,) = [line for line in unit.ledger.log.lines() if "1007" in str(line)]
        assert told in str(line)

    serve(scenario)


@dataclass
class Login:
    name: str
    password: Secret


def test_what_is_told_of_a_message_with_secrets_is_not_logged():
    async def take(messages: AsyncIterator[Login]) -> None:
        async for login in messages:
            raise ValueError(revealed(login.password))

    async def scenario(site: Site):
        unit = await mount(site, take)
        async with connect(site) as ws:
            assert (await closed(ws, '{"name": "ann"}'))[0] == 1007
        async with connect(site) as ws:
            assert (await closed(ws, '{"name": "ann", "password": "hunter2"}'))[0] == 1011
        await until(lambda: len(unit.ledger.failures) == 1)
        assert "password" not in str(unit.ledger.log.lines())
        assert "hunter2" not in str(unit.ledger.log.lines()) + repr(unit.ledger.failures)

    serve(scenario)


def test_text_and_bytes_are_messages_as_they_are():
    async def up(messages: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        async for text in messages:
            yield text.upper()

    async def twice(messages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for data in messages:
            yield data + data

    async def any_(messages: AsyncIterator) -> AsyncIterator:
        async for found in messages:
            yield [found]

    async def scenario(site: Site):
        for function, route, sent, seen in (
            (up, "/up", '{"a"', '{"A"'),
            (twice, "/twice", b"ab", b"abab"),
            (any_, "/any", '{"a":1}', '[{"a":1}]'),
        ):
            await mount(site, function, route)
            async with connect(site, route) as ws:
                await ws.send(sent)
                assert await ws.recv() == seen

    serve(scenario)


def test_a_generator_without_messages_ends_with_its_client():
    ended = asyncio.Event()

    async def ticks(n: int) -> AsyncIterator[int]:
        try:
            for at in range(n):
                yield at
            if n > 3:
                await asyncio.Event().wait()
        finally:
            ended.set()

    async def scenario(site: Site):
        unit = await mount(site, ticks)
        async with connect(site, "/x?n=3") as ws:
            assert [message async for message in ws] == ["0", "1", "2"]
            assert ws.close_code == 1000
        ended.clear()
        async with connect(site, "/x?n=4") as ws:
            assert await ws.recv() == "0"
            await ws.send("whatever")
        await ended.wait()
        await until(lambda: unit.snapshot().in_flight == 0)
        assert not unit.ledger.failures
        assert (await denied(site, "/x?n=x"))[0] == 422

    serve(scenario)


def test_a_value_of_another_type_than_promised_is_a_failure():
    async def wrong() -> AsyncIterator[Priced]:
        yield Order(1, 2.0)  # type: ignore[misc]

    async def scenario(site: Site):
        unit = await mount(site, wrong)
        async with connect(site) as ws:
            assert (await closed(ws)) == (1011, "")
        await until(lambda: len(unit.ledger.failures) == 1)
        assert "not Priced" in str(unit.ledger.failures[0].error)

    serve(scenario)


closings: list[str] = []


@dependency("no_scope")
class Session:
    def __init__(self, ws: WebSocket) -> None:
        self.name = ws.query_params["name"]

    def close(self) -> None:
        closings.append(f"{self.name} closed")


async def greet(messages: AsyncIterator[str], session: Session) -> AsyncIterator[str]:
    async for text in messages:
        yield f"{session.name}: {text}"


def test_dependencies_live_as_long_as_the_socket():
    async def scenario(site: Site):
        unit = await mount(site, greet)
        async with connect(site, "/x?name=ann") as ws:
            await ws.send("hi")
            assert await ws.recv() == "ann: hi"
            assert not closings
        await until(lambda: unit.snapshot().in_flight == 0)
        assert closings == ["ann closed"]

    serve(scenario)


def test_a_route_whose_messages_are_typed_cannot_be_sent_to():
    async def scenario(site: Site):
        unit = await mount(site, price)
        with pytest.raises(UsageError, match=r"with app\.client\(\)\.price\(\.\.\.\) as ws"):
            await unit.send({"qty": 1})

    serve(scenario)


async def _nothing() -> None: ...


async def _both(ws: WebSocket, messages: AsyncIterator[int]) -> None: ...


async def _sends_twice(ws: WebSocket) -> AsyncIterator[int]:
    yield 1


def _sync(ws: WebSocket) -> None: ...


def _sync_many(ws: WebSocket) -> Iterator[int]:
    yield 1


async def _request(ws: WebSocket, request: Request) -> None: ...


async def _aiohttp(ws: WebSocket, request: web.Request) -> None: ...


async def _body(ws: WebSocket, orders: list[Order]) -> None: ...


async def _file(ws: WebSocket, file: UploadFile) -> None: ...


class _Odd:
    pass


async def _odd(messages: AsyncIterator[_Odd]) -> None: ...


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (_nothing, "neither takes the WebSocket nor messages"),
        (_both, "'ws' and 'messages' both take the messages"),
        (_sends_twice, "sends by 'ws' and by yielding"),
        (_sync, "must be async def"),
        (_sync_many, "must be async def"),
        (_request, "has messages only"),
        (_aiohttp, "has messages only"),
        (_body, "'orders' would come from a request's body"),
        (_file, "'file' would come from a request's file"),
        (_odd, "_Odd"),
    ],
)
def test_what_cannot_be_a_websocket_endpoint_is_refused(function, why):
    async def scenario(site: Site):
        with pytest.raises(DeclarationError) as caught:
            site.spec(function, "/x", "WEBSOCKET")
        assert why in str(caught.value)
        assert "\n" not in str(caught.value)

    serve(scenario)


def test_what_only_a_websocket_has_is_refused_elsewhere():
    async def scenario(site: Site):
        for function in (echo, price):
            with pytest.raises(DeclarationError, match='write method="WEBSOCKET"'):
                site.spec(function, "/x", "POST")
        with pytest.raises(DeclarationError, match="a WebSocket is an endpoint"):
            await site.collector(price, Empty(), method=Method.WEBSOCKET)

    serve(scenario)


MOST_KIB = 60  # of memory for each open one: both ends of it are in this process


def test_a_thousand_at_once():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))

    async def scenario(site: Site):
        unit = await mount(site, echo)
        before = _resident_kib()
        async with aiohttp.ClientSession(
            site.server.address, connector=aiohttp.TCPConnector(limit=0)
        ) as session:
            opened = [await session.ws_connect("/x") for _ in range(1000)]
            assert unit.snapshot().in_flight == 1000
            for round_ in range(2):
                await asyncio.gather(*(ws.send_str(f"{round_}") for ws in opened))
                found = await asyncio.gather(*(ws.receive_str() for ws in opened))
                assert found == [f"{round_}"] * 1000
            grown = _resident_kib() - before
            assert grown < 1000 * MOST_KIB, f"{grown} KiB"
            await asyncio.gather(*(ws.close() for ws in opened))
        await until(lambda: unit.snapshot().in_flight == 0)
        assert dict(unit.snapshot().codes) == {101: 1000, 1000: 1000}

    try:
        serve(scenario, patience_s=60.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _resident_kib() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize() // 1024


def test_silent_ones_cost_nothing_but_a_look(monkeypatch):
    monkeypatch.setattr(sockets, "BEAT_S", 0.01)

    async def scenario(site: Site):
        unit = await mount(site, echo)
        async with connect(site) as ws:
            await until(lambda: unit.snapshot().in_flight == 1)
            await asyncio.sleep(0.05)  # some looks
            await ws.send("a")
            assert await ws.recv() == "a"

    serve(scenario)


async def listen(ws: WebSocket, room: str, n: int = 1) -> None:
    """Talks in a room.

    To whoever is there.
    """


def test_the_document_tells_of_websockets_in_words():
    async def scenario(site: Site):
        await mount(site, price, "/prices")
        await mount(site, listen, "/rooms/{room}")
        await site.endpoint(_page, "/prices", "GET")
        document = (await site.get("/openapi.json")).json
        OpenAPIV31SpecValidator(document).validate()
        prices, rooms = document["paths"]["/prices"], document["paths"]["/rooms/{room}"]
        assert set(prices) == {"get", "x-websocket"}
        entry = prices["x-websocket"]
        assert entry["receives"] == {"$ref": "#/components/schemas/Order"}
        assert entry["sends"] == {"$ref": "#/components/schemas/Priced"}
        assert entry["parameters"][0]["name"] == "factor"
        assert rooms["x-websocket"]["summary"] == "Talks in a room."
        assert rooms["x-websocket"]["description"] == "To whoever is there."
        names = [(one["name"], one["in"]) for one in rooms["x-websocket"]["parameters"]]
        assert names == [("room", "path"), ("n", "query")]
        said = document["info"]["description"]
        assert "* `/prices`: price (takes `Order`, sends `Priced`)" in said
        assert "* `/rooms/{room}`: Talks in a room." in said

    serve(scenario)


async def _page() -> str:
    return "page"
