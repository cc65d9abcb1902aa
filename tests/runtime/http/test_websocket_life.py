"""How long WebSockets live: limits, stops, swaps, and clients that are lost, silent or deaf."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from buildflow_nb.requests import WebSocket, WebSocketDisconnect
from buildflow_nb.runtime.http import websocket as sockets
from tests.runtime.http.site import Site, serve, until
from tests.runtime.http.test_websocket import closed, connect, denied, echo, mount, raw


def test_so_many_and_no_more_are_open():
    async def scenario(site: Site):
        unit = await mount(site, echo, max_concurrent_queries=1)
        opened = [await connect(site) for _ in range(10)]
        status, said = await denied(site)
        assert (status, said) == (503, {"detail": "busy: 10 WebSockets are open"})
        await opened.pop().close()
        await until(lambda: unit.snapshot().in_flight == 9)
        opened.append(await connect(site))
        for one in opened:
            await one.close()

    serve(scenario)


def test_a_stop_closes_with_1001_and_functions_end(monkeypatch):
    monkeypatch.setattr(sockets, "GOODBYE_S", 0.05)
    ended = []

    async def listening(ws: WebSocket) -> None:
        await ws.accept()
        try:
            await ws.receive_text()
        except WebSocketDisconnect as end:
            ended.append(end.code)

    async def waiting(ws: WebSocket) -> None:
        await ws.accept()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("finally")

    async def scenario(site: Site):
        for function, route in ((listening, "/l"), (waiting, "/w")):
            unit = await mount(site, function, route)
            async with connect(site, route) as ws:
                await until(lambda unit=unit: unit.snapshot().in_flight == 1)
                await unit.stop(drain=True, timeout_s=10.0)
                assert await closed(ws) == (1001, "the service stops")
            assert unit.snapshot().in_flight == 0
            assert not unit.ledger.failures
        assert ended == [1001, "finally"]

    serve(scenario)


def test_a_stop_before_the_accept_is_a_503():
    async def waiting(ws: WebSocket) -> None:
        await asyncio.Event().wait()

    async def scenario(site: Site):
        unit = await mount(site, waiting)
        asked = asyncio.create_task(denied(site))
        await until(lambda: unit.snapshot().in_flight == 1)
        await unit.stop(drain=True, timeout_s=10.0)
        assert (await asked)[0] == 503

    serve(scenario)


def test_a_swap_lets_open_ones_end_on_the_old_code():
    torn = []

    def version(name: str):
        class chat:
            async def process(self, ws: WebSocket) -> None:
                await ws.accept()
                async for text in ws.iter_text():
                    await ws.send_text(name + text)

            async def teardown(self) -> None:
                torn.append(name)

        return chat

    async def scenario(site: Site):
        unit = await mount(site, version("old "))
        async with connect(site) as before:
            await before.send("1")
            assert await before.recv() == "old 1"
            assert await unit.swap(site.spec(version("new "), "/x", "WEBSOCKET"))
            async with connect(site) as after:
                await after.send("2")
                assert await after.recv() == "new 2"
            await before.send("3")
            assert await before.recv() == "old 3"
            assert not torn
        await until(lambda: torn == ["old "])

    serve(scenario)


def test_a_route_that_becomes_a_websocket_is_another_unit():
    async def x() -> int:
        return 1

    async def scenario(site: Site):
        unit = await site.endpoint(x, "/x", "GET")
        assert not await unit.swap(site.spec(echo, "/x", "WEBSOCKET"))
        other = await mount(site, echo, "/y")
        assert not await other.swap(site.spec(x, "/y", "GET"))

    serve(scenario)


def test_a_client_that_is_killed_is_1006():
    ends = []

    async def listening(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                await ws.receive_text()
        except WebSocketDisconnect as end:
            ends.append(end.code)
            await ws.send_text("too late")

    async def scenario(site: Site):
        unit = await mount(site, listening)
        async with connect(site) as ws:
            await ws.send("hello")
            await until(lambda: unit.snapshot().in_flight == 1)
            ws.transport.abort()
        await until(lambda: unit.snapshot().in_flight == 0)
        assert ends == [1006]
        assert not unit.ledger.failures
        assert (1006, 1) in unit.snapshot().codes

    serve(scenario)


def test_who_never_reads_is_dropped(monkeypatch):
    monkeypatch.setattr(sockets, "SEND_S", 0.05)
    monkeypatch.setattr(sockets, "BEAT_S", 0.02)
    sent = 0

    async def pouring(ws: WebSocket) -> None:
        nonlocal sent
        await ws.accept()
        while True:
            await ws.send_bytes(bytes(2**20))
            sent += 1

    async def scenario(site: Site):
        unit = await mount(site, pouring)
        async with raw(site) as (reader, _):
            await reader.readuntil(b"\r\n\r\n")
            reader._transport.pause_reading()
            await until(lambda: (1006, 1) in unit.snapshot().codes)
        assert sent < 50
        assert not unit.ledger.failures

    serve(scenario)


def test_who_is_silent_is_pinged_then_dropped(monkeypatch):
    monkeypatch.setattr(sockets, "PING_S", 0.1)
    monkeypatch.setattr(sockets, "BEAT_S", 0.02)

    async def scenario(site: Site):
        unit = await mount(site, echo)
        async with connect(site, ping_interval=None) as alive, raw(site) as (reader, _):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"\x89\x00"  # a ping, which nobody answers
            await until(lambda: (1006, 1) in unit.snapshot().codes)
            await alive.send("still here")
            assert await alive.recv() == "still here"

    serve(scenario)


def test_pings_and_closes_are_seen_while_the_function_only_sends(monkeypatch):
    monkeypatch.setattr(sockets, "BEAT_S", 0.02)
    ends = []

    async def sending(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send_text("tick")
                await asyncio.sleep(0.01)
        except WebSocketDisconnect as end:
            ends.append(end.code)

    async def scenario(site: Site):
        unit = await mount(site, sending)
        async with connect(site) as ws:
            async with asyncio.timeout(5):
                await (await ws.ping())
            await ws.close(4000)
            assert ws.close_code == 4000
        await until(lambda: unit.snapshot().in_flight == 0)
        assert ends == [1006]

    serve(scenario)


def test_what_came_while_nobody_received_is_not_lost(monkeypatch):
    monkeypatch.setattr(sockets, "BEAT_S", 0.01)

    async def late(ws: WebSocket) -> None:
        await ws.accept()
        await asyncio.sleep(0.1)
        for _ in range(3):
            try:  # given up, and asked again
                async with asyncio.timeout(0.02):
                    await ws.send_text(await ws.receive_text())
            except TimeoutError:
                await ws.send_text("late")
        async for text in ws.iter_text():
            await ws.send_text(text)

    async def scenario(site: Site):
        await mount(site, late)
        async with connect(site) as ws:
            await ws.send("1")
            await ws.send("2")
            assert [await ws.recv() for _ in range(3)] == ["1", "2", "late"]
            await ws.send("3")
            assert await ws.recv() == "3"

    serve(scenario)


def test_a_stop_at_once_writes_no_answer_of_http_into_the_socket():
    async def waiting(ws: WebSocket) -> None:
        await ws.accept()
        await asyncio.Event().wait()

    async def scenario(site: Site):
        unit = await mount(site, waiting)
        async with raw(site) as (reader, _):
            await reader.readuntil(b"\r\n\r\n")
            await until(lambda: unit.snapshot().in_flight == 1)
            await unit.stop(drain=False, timeout_s=0.0)
            with suppress(ConnectionError):
                assert b"HTTP" not in await reader.read()
        assert unit.snapshot().in_flight == 0

    serve(scenario)
