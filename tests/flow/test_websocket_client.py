"""WebSockets of a running flow, from another thread, as a notebook's cell uses them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from buildflow_nb import Flow, Service
from buildflow_nb.core.errors import UsageError
from buildflow_nb.flow.client import AnswerError
from buildflow_nb.flow.websocket_client import ClosedError
from buildflow_nb.requests import Header, WebSocket
from buildflow_nb.types.method import Method


@dataclass
class Order:
    qty: int
    price: float


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    flow = Flow("test")
    yield flow
    if flow.handle is not None:
        flow.handle.stop(drain=False, timeout=1)


def declare(app) -> None:
    @app.endpoint("/chat/{room}", method="WEBSOCKET")
    async def chat(ws: WebSocket, room: str, user_agent: str = Header("")) -> None:
        if room == "closed":
            await ws.close()
            return
        await ws.accept()
        await ws.send_text(f"{room} {user_agent}")
        async for text in ws.iter_text():
            if text == "bye":
                await ws.close(4000, "bye")
            else:
                await ws.send_text(text.upper())

    service = Service("/shop")

    @service.endpoint("/orders", method=Method.WEBSOCKET)
    async def price(messages: AsyncIterator[Order]) -> AsyncIterator[float]:
        async for order in messages:
            yield order.qty * order.price

    app.add_service(service)

    @app.endpoint("/count", method="websocket")
    async def count(n: int) -> AsyncIterator[int]:
        for at in range(n):
            yield at


def test_a_route_is_a_context(app):
    declare(app)
    app.run(block=False, serve_port=0)
    with app.client().chat("a b", user_agent="me") as ws:
        assert ws.receive() == "a b me"
        ws.send("hello")
        assert ws.receive(timeout=5) == "HELLO"
        with pytest.raises(TimeoutError, match=r"no message within 0\.01 s"):
            ws.receive(timeout=0.01)
        ws.send("bye")
        with pytest.raises(ClosedError, match="was closed with 4000: bye") as caught:
            ws.receive()
        assert (caught.value.code, caught.value.reason) == (4000, "bye")
        with pytest.raises(ClosedError):
            ws.send("more")


def test_typed_messages(app):
    declare(app)
    app.run(block=False, serve_port=0)
    client = app.client()
    with client.price() as ws:
        ws.send(Order(2, 1.5))
        ws.send({"qty": 4, "price": 2})
        assert [ws.receive(), ws.receive()] == [3.0, 8.0]
        ws.send({"qty": "x"})
        with pytest.raises(ClosedError, match=r"1007: message\.qty: Expected int, got str"):
            ws.receive()
    with client.count(n=3) as ws:
        assert list(ws) == [0, 1, 2]


def test_what_does_not_open(app):
    declare(app)
    app.run(block=False, serve_port=0)
    client = app.client()
    with pytest.raises(AnswerError, match="answered 403") as caught, client.chat("closed"):
        pass
    assert caught.value.status == 403
    with pytest.raises(UsageError, match="is not open"):
        client.count(n=1).receive()
    with pytest.raises(UsageError, match="missing a required argument: 'n'"):
        client.count()
    assert "count(n: int)" in repr(client)
    app.handle.stop(drain=False, timeout=1)
    with pytest.raises(UsageError, match="does not serve"):
        client.count(n=1)


def test_send_says_how_to_try_it(app):
    declare(app)
    with pytest.raises(UsageError, match=r"with app\.client\(\)\.price\(\.\.\.\) as ws"):
        app.send("price", {"qty": 1, "price": 2})
    app.run(block=False, serve_port=0)
    with pytest.raises(UsageError, match=r"with app\.client\(\)\.price\(\.\.\.\) as ws"):
        app.send("price", {"qty": 1, "price": 2})


def test_cells_that_are_run_again_and_a_stop(app):
    declare(app)
    app.run(block=False, serve_port=0)
    client = app.client()
    with client.price() as ws:
        ws.send(Order(2, 1.5))
        assert ws.receive() == 3.0
        assert app.handle.snapshot().processors[1].in_flight == 1
        app.handle.stop(drain=True, timeout=5)
        with pytest.raises(ClosedError, match="1001: the service stops"):
            ws.receive()
